import { SessionError } from './errors.js'
import { hasExtras, isPlain, isPlainArray, MAX_DEPTH } from './plain-values.js'
import { RESERVED_KEYS } from './reserved-keys.js'

/** Thrown by the encoder's quick walk; it knows that something is wrong, not where. */
export const REFUSED: unique symbol = Symbol('refused')

/** The slow second walk, only for data that was refused: finds the place and says what is wrong there. */
export function explainRefusal(error: unknown, data: object): unknown {
  if (error !== REFUSED && !(error instanceof RangeError)) return error
  const reserved = Object.keys(data).find((key) => RESERVED_KEYS.has(key) || key === '__proto__')
  if (reserved !== undefined) return reservedKey(reserved)
  const found = findRefused(data, '', [])
  return new SessionError(
    'ERR_SESSION_DATA',
    found === undefined
      ? 'req.session holds a value that cannot be stored'
      : `req.session.${found.path} cannot be stored: ${found.reason}`,
    found === undefined ? {} : { path: found.path },
  )
}

export function reservedKey(key: string): SessionError {
  return new SessionError(
    'ERR_SESSION_RESERVED_KEY',
    `req.session.${key} cannot be assigned: the name belongs to the session itself. Nothing of this request is stored; take input key by key, or under a key of your own.`,
    { path: key },
  )
}

function findRefused(
  value: unknown,
  path: string,
  ancestors: readonly object[],
): { path: string; reason: string } | undefined {
  if (typeof value === 'function') return { path, reason: 'it is a function; store plain data' }
  if (typeof value === 'symbol') return { path, reason: 'it is a symbol; store a string' }
  if (typeof value !== 'object' || value === null) return undefined
  if (ancestors.includes(value)) {
    return { path, reason: 'it refers back to an object that contains it; store an id instead' }
  }
  if (ancestors.length > MAX_DEPTH) {
    return { path: shorten(path), reason: `it is nested more than ${MAX_DEPTH} levels deep` }
  }
  const isTop = ancestors.length === 0
  const isContainer = isTop || (Array.isArray(value) ? isPlainArray(value) : isPlain(value))
  if (!isContainer && !(isBuiltIn(value, Map) || isBuiltIn(value, Set) || isBuiltIn(value, Date))) {
    return { path, reason: describeInstance(value) }
  }
  if (Array.isArray(value) && Object.keys(value).length > value.length) {
    return { path, reason: 'it is an array with named properties; store a copy such as [...value]' }
  }
  const inner = [...ancestors, value]
  const entries = value instanceof Map || value instanceof Set ? [...value] : Object.entries(value)
  for (const [index, entry] of entries.entries()) {
    if (value instanceof Map || value instanceof Set) {
      const found = findRefused(entry, `${path}[${index}]`, inner)
      if (found !== undefined) return found
      continue
    }
    const [key, held] = entry as [string, unknown]
    const at = Array.isArray(value) ? `${path}[${key}]` : isTop ? key : `${path}.${key}`
    if (key === '__proto__') {
      return {
        path: at,
        reason: 'this key would change the prototype of the object it is read into',
      }
    }
    const found = findRefused(held, at, inner)
    if (found !== undefined) return found
  }
  return undefined
}

function isBuiltIn(
  value: object,
  type: MapConstructor | SetConstructor | DateConstructor,
): boolean {
  return value instanceof type && !hasExtras(value, type.prototype)
}

function describeInstance(value: object): string {
  const name = (value.constructor as { name?: string } | undefined)?.name || 'a class'
  if (value instanceof Uint8Array) return `it is a ${name}; store value.toString('base64')`
  const mend = 'toJSON' in value ? 'its id, such as user.id,' : 'a plain object'
  return `it is an instance of ${name} and would come back without its class; store ${mend} instead`
}

function shorten(path: string): string {
  return path.length > 80 ? `${path.slice(0, 77)}...` : path
}
