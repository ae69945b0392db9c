import { explainRefusal, REFUSED, reservedKey } from './codec-refusal.js'
import { plainlyDiffer } from './plain-difference.js'
import { hasExtras, isPlain, isPlainArray, MAX_DEPTH } from './plain-values.js'
import { RESERVED_KEYS } from './reserved-keys.js'

/**
 * Session data to text and back: JSON, plus the plain values that JSON forgets (Date, Map, Set, BigInt, NaN, the
 * infinities, -0 and `undefined` in arrays), each as an object with one key that starts with `$`. What cannot come
 * back as it was is refused with its path, never changed in silence.
 *
 * The top level is handled key by key, because that is how concurrent changes are merged: a `Fields` holds the
 * encoded text of each key.
 */
export type Fields = Map<string, string>

/** The data that `update` hands to its function. Names of ours can only have been put there by a foreign hand. */
export function decodeForUpdate(text: string): Record<string, unknown> {
  const data = decodeData(text)
  for (const key of Object.keys(data)) if (RESERVED_KEYS.has(key)) delete data[key]
  return data
}

/** What became of it. `Object.assign(data, input)` with a key `__proto__` in the input shows in the prototype only. */
export function encodeUpdated(data: object): string {
  if (Object.getPrototypeOf(data) !== Object.prototype) throw reservedKey('__proto__')
  return encodeData(data)
}

/** One text for a whole session. */
export function encodeData(data: object): string {
  try {
    return JSON.stringify(lowerTop(data))
  } catch (error) {
    throw explainRefusal(error, data)
  }
}

/** The text of every key of a session. `joinFields(encodeFields(data))` is `encodeData(data)`. */
export function encodeFields(data: object): Fields {
  try {
    const fields: Fields = new Map()
    for (const [key, value] of Object.entries(lowerTop(data))) {
      if (value !== undefined) fields.set(key, JSON.stringify(value))
    }
    return fields
  } catch (error) {
    throw explainRefusal(error, data)
  }
}

/**
 * Text to data. Throws for text that is not an object of JSON. A key `__proto__` is left out wherever it stands: only
 * a foreign hand can have put it there (ASVS 15.3.6).
 */
export function decodeData(text: string): Record<string, unknown> {
  const data = parseObject(text)
  const suspicious = text.includes('__proto__') || text.includes('\\u')
  if (suspicious) dropProto(data)
  // A quote stands at every other turn, a dollar hardly ever: the second look is the dear one.
  if (text.includes('$') && text.includes('"$')) {
    for (const key of Object.keys(data)) data[key] = raise(data[key])
  }
  return data
}

/** The text of every key in text that any JSON encoder may have written: same values, same texts. */
export function splitData(text: string): Fields {
  const fields: Fields = new Map()
  const data = parseObject(text)
  for (const key of Object.keys(data)) {
    if (key !== '__proto__') fields.set(key, JSON.stringify(data[key]))
  }
  return fields
}

/** Whether two encoded sessions hold the same, however each was spelt. */
export function saysTheSame(left: string, right: string): boolean {
  if (left === right) return true
  if (plainlyDiffer(left, right)) return false
  const fields = splitData(left)
  const others = splitData(right)
  if (fields.size !== others.size) return false
  for (const [key, value] of fields) if (others.get(key) !== value) return false
  return true
}

export function joinFields(fields: Fields): string {
  let text = '{'
  for (const [key, value] of fields) {
    text += `${text.length === 1 ? '' : ','}${JSON.stringify(key)}:${value}`
  }
  return `${text}}`
}

/** The value of one key, decoded: a fresh copy every time. */
export function decodeField(text: string | undefined): unknown {
  return text === undefined ? undefined : decodeData(`{"value":${text}}`).value
}

function lowerTop(data: object): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const key of Object.keys(data)) {
    if (key === '__proto__' || RESERVED_KEYS.has(key)) throw REFUSED
    const value = (data as Record<string, unknown>)[key]
    const lowered = value === undefined ? undefined : lower(value, 1)
    if (lowered !== value) {
      copy ??= { ...data }
      copy[key] = lowered
    }
  }
  return copy ?? (data as Record<string, unknown>)
}

/** The value itself where JSON keeps it as it is, else a stand-in. One cheap walk, then the engine's own encoder. */
function lower(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Number.isFinite(value) && !Object.is(value, -0)) return value
      return { $number: Object.is(value, -0) ? '-0' : String(value) }
    case 'bigint':
      return { $bigint: String(value) }
    case 'object':
      if (value === null) return value
      if (depth > MAX_DEPTH) throw REFUSED
      return Array.isArray(value) ? lowerArray(value, depth) : lowerObject(value, depth)
    default:
      throw REFUSED
  }
}

function lowerArray(array: readonly unknown[], depth: number): unknown {
  let copy: unknown[] | undefined
  for (let index = 0; index < array.length; index++) {
    const value = array[index]
    const lowered = value === undefined ? { $undefined: 0 } : lower(value, depth + 1)
    if (lowered !== value) {
      copy ??= array.slice()
      copy[index] = lowered
    }
  }
  if (Object.keys(array).length > array.length || !isPlainArray(array)) throw REFUSED
  return copy ?? array
}

function lowerObject(object: object, depth: number): unknown {
  if (!isPlain(object)) return lowerInstance(object, depth)
  let copy: Record<string, unknown> | undefined
  let count = 0
  let last = ''
  for (const key of Object.keys(object)) {
    if (key === '__proto__') throw REFUSED
    const value = (object as Record<string, unknown>)[key]
    if (value === undefined) continue
    count += 1
    last = key
    const lowered = lower(value, depth + 1)
    if (lowered !== value) {
      copy ??= { ...object }
      copy[key] = lowered
    }
  }
  // A user's own one-key object such as { $set: … } is told from a stand-in by a second `$`.
  return count === 1 && last.charCodeAt(0) === 36
    ? { [`$${last}`]: (copy ?? object)[last as never] }
    : (copy ?? object)
}

function lowerInstance(object: object, depth: number): unknown {
  switch (Object.prototype.toString.call(object)) {
    case '[object Date]': {
      if (!(object instanceof Date) || hasExtras(object, Date.prototype)) throw REFUSED
      const time = object.getTime()
      return { $date: Number.isNaN(time) ? null : time }
    }
    case '[object Map]':
      if (!(object instanceof Map) || hasExtras(object, Map.prototype)) throw REFUSED
      return { $map: [...object].map((pair) => lowerArray(pair, depth + 1)) }
    case '[object Set]':
      if (!(object instanceof Set) || hasExtras(object, Set.prototype)) throw REFUSED
      return { $set: lowerArray([...object], depth + 1) }
    default:
      throw REFUSED
  }
}

function raise(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = raise(value[index])
    return value
  }
  const object = value as Record<string, unknown>
  const keys = Object.keys(object)
  const only = keys.length === 1 ? (keys[0] as string) : ''
  if (only.charCodeAt(0) === 36) return raiseStandIn(only, object[only])
  for (const key of keys) object[key] = raise(object[key])
  return object
}

function raiseStandIn(name: string, value: unknown): unknown {
  switch (name) {
    case '$date':
      return new Date((value as number | null) ?? Number.NaN)
    case '$map':
      return new Map(
        (value as [unknown, unknown][]).map((pair) => raise(pair) as [unknown, unknown]),
      )
    case '$set':
      return new Set(raise(value) as unknown[])
    case '$bigint':
      return BigInt(value as string)
    case '$number':
      return Number(value)
    case '$undefined':
      return undefined
    default:
      if (name.startsWith('$$')) return { [name.slice(1)]: raise(value) }
      throw new SyntaxError(`unknown stand-in ${name}`)
  }
}

function parseObject(text: string): Record<string, unknown> {
  const data: unknown = JSON.parse(text)
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new SyntaxError('session data is not an object')
  }
  return data as Record<string, unknown>
}

function dropProto(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__')
  for (const inner of Object.values(value)) dropProto(inner)
}
