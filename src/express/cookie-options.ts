import { type CookieAttributes, checkMaxAge } from '../core/session-cookie.js'
import { showValue } from '../core/show-value.js'
import { unknownOption } from './unknown-option.js'

interface CookieCommon {
  /**
   * Idle timeout in milliseconds: how long a session lasts without a request. The browser keeps the cookie. Without it
   * the cookie ends with the browser, and the server keeps an idle session for 30 minutes.
   */
  readonly maxAge?: number | null
  /** Path below which the session exists. Default `/`. */
  readonly path?: string
  /** Sends the cookie to every host below this one as well, and gives up the `__Host-` prefix. Default: this host only. */
  readonly domain?: string
  /** Keeps the cookie from scripts in the page. Default `true`. */
  readonly httpOnly?: boolean
  readonly priority?: 'low' | 'medium' | 'high'
}

interface LaxCookie extends CookieCommon {
  /** Whether the cookie goes over HTTPS only. Default `'auto'`: by each request. */
  readonly secure?: boolean | 'auto'
  /** Whether other sites can make the browser send it. Default `'lax'`. */
  readonly sameSite?: 'lax' | 'strict' | boolean
  readonly partitioned?: false
}

interface SecureCookie extends CookieCommon {
  /** Browsers take `SameSite=None` and `Partitioned` only from secure cookies. */
  readonly secure: true
  readonly sameSite?: 'lax' | 'strict' | 'none' | boolean
  readonly partitioned?: boolean
}

/** The session cookie. What a browser would refuse is refused here, by the types where they can and always at start. */
export type CookieOptions = LaxCookie | SecureCookie

export interface ResolvedCookie {
  readonly attributes: CookieAttributes
  readonly maxAge: number | null
  /** The name of the cookie on a secure request and on an insecure one. Each reads only its own. */
  readonly secureName: string
  readonly insecureName: string
}

const KNOWN = new Set([
  'maxAge',
  'path',
  'domain',
  'httpOnly',
  'priority',
  'secure',
  'sameSite',
  'partitioned',
])

/** By their names in lower case, without dashes. */
const MENDS: Readonly<Record<string, string>> = {
  expires: 'Use cookie.maxAge, in milliseconds.',
  ttl: 'Did you mean cookie.maxAge, in milliseconds?',
  originalmaxage: 'Did you mean cookie.maxAge?',
  signed: 'The cookie is always signed; leave it out.',
  secret: 'The secret goes beside cookie: session({ secret, cookie }).',
  encode: 'The cookie needs no encoding; leave it out.',
  overwrite: 'The cookie is always sent once; leave it out.',
  name: 'The name goes beside cookie: session({ secret, name }).',
}

/** RFC 6265bis §4.1.1: a cookie name is a token. */
const TOKEN = /^[!#$%&'*+\-.^`|~\w]+$/
/** A leading dot is allowed and means nothing (RFC 6265bis §5.6.3). */
const HOST_NAME = /^\.?[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]*[a-z\d])?)*$/i
/** RFC 6265bis §5.7: name and value together have at most 4096 bytes; our value has 89. */
const LONGEST_NAME = 4096 - 89
/** RFC 6265bis §4.1.1: attribute values have no control characters and no semicolon. */
const ATTRIBUTE_VALUE = /^[\x20-\x3a\x3c-\x7e]*$/

export function resolveCookie(cookie: unknown, name: unknown): ResolvedCookie {
  if (
    cookie !== undefined &&
    (typeof cookie !== 'object' || cookie === null || Array.isArray(cookie))
  ) {
    const hint =
      typeof cookie === 'function'
        ? ' For other cookies on other routes, make a second session().'
        : ''
    throw new TypeError(
      `cookie is an object, as in cookie: { maxAge: 30 * 60 * 1000 }, not ${showValue(cookie)}.${hint}`,
    )
  }
  const given = (cookie ?? {}) as Record<string, unknown>
  for (const key of Object.keys(given)) {
    if (!KNOWN.has(key)) throw unknownOption(key, { prefix: 'cookie.', known: KNOWN, mends: MENDS })
  }
  const path = checkPath(given.path)
  const domain = checkDomain(given.domain)
  const httpOnly = checkBoolean(given.httpOnly, 'cookie.httpOnly', true)
  const partitioned = checkBoolean(given.partitioned, 'cookie.partitioned', false)
  const sameSite = checkSameSite(given.sameSite)
  const priority = checkPriority(given.priority)
  const secure = checkSecure(given.secure, name)
  if (sameSite === 'none' && secure !== true) {
    throw new TypeError(
      "cookie.sameSite: 'none' needs cookie.secure: true; browsers refuse it otherwise. Leave sameSite out unless your pages are shown inside other sites.",
    )
  }
  if (partitioned && secure !== true) {
    throw new TypeError(
      'cookie.partitioned needs cookie.secure: true; browsers refuse it otherwise',
    )
  }
  const attributes = { path, domain, httpOnly, secure, sameSite, partitioned, priority }
  const maxAge = checkMaxAge(given.maxAge, 'cookie.maxAge')
  if (name === undefined) {
    const prefix =
      secure === false ? '' : path === '/' && domain === undefined ? '__Host-' : '__Secure-'
    return { attributes, maxAge, secureName: `${prefix}sid`, insecureName: 'sid' }
  }
  const checked = checkName(name, attributes)
  return { attributes, maxAge, secureName: checked, insecureName: checked }
}

function checkName(name: unknown, { path, domain, secure }: CookieAttributes): string {
  if (typeof name !== 'string' || !TOKEN.test(name)) {
    throw new TypeError(
      `name is the name of the cookie, with letters, digits and -_. only; ${showValue(name)} is not`,
    )
  }
  if (name.length > LONGEST_NAME) {
    throw new TypeError(
      `name has ${name.length} characters; with more than ${LONGEST_NAME} browsers refuse the cookie`,
    )
  }
  // RFC 6265bis §4.1.3: browsers match prefixes whatever their case.
  const lower = name.toLowerCase()
  const prefix = ['__host-', '__secure-'].find((candidate) => lower.startsWith(candidate))
  if (prefix !== undefined && secure !== true) {
    throw new TypeError(
      `name: '${name}' needs cookie.secure: true; browsers refuse it otherwise. Leave name out: the default takes the prefix exactly where it can.`,
    )
  }
  if (prefix === '__host-' && (domain !== undefined || path !== '/')) {
    throw new TypeError(
      `name: '${name}' goes with path '/' and no domain; browsers refuse it otherwise. Leave out ${domain === undefined ? 'cookie.path' : 'cookie.domain'}, or the prefix.`,
    )
  }
  return name
}

function checkSecure(secure: unknown, name: unknown): boolean | 'auto' {
  if (secure === undefined) {
    return typeof name === 'string' && /^__(?:host|secure)-/i.test(name) ? true : 'auto'
  }
  if (typeof secure === 'boolean' || secure === 'auto') return secure
  throw new TypeError(`cookie.secure is true, false or 'auto', not ${showValue(secure)}`)
}

function checkSameSite(sameSite: unknown): 'lax' | 'strict' | 'none' | false {
  if (sameSite === undefined) return 'lax'
  if (sameSite === true) return 'strict'
  if (sameSite === false) return false
  const lower = typeof sameSite === 'string' ? sameSite.toLowerCase() : undefined
  if (lower === 'lax' || lower === 'strict' || lower === 'none') return lower
  throw new TypeError(
    `cookie.sameSite is 'lax', 'strict' or 'none', not ${showValue(sameSite)}. Leave it out for 'lax'.`,
  )
}

function checkPriority(priority: unknown): 'low' | 'medium' | 'high' | undefined {
  if (priority === undefined) return undefined
  if (priority === 'low' || priority === 'medium' || priority === 'high') return priority
  throw new TypeError(`cookie.priority is 'low', 'medium' or 'high', not ${showValue(priority)}`)
}

function checkPath(path: unknown): string {
  if (path === undefined) return '/'
  if (typeof path === 'string' && path.startsWith('/') && ATTRIBUTE_VALUE.test(path)) return path
  throw new TypeError(
    `cookie.path starts with '/' and has no semicolon, as in '/admin'; it cannot be ${showValue(path)}`,
  )
}

function checkDomain(domain: unknown): string | undefined {
  if (domain === undefined || domain === null) return undefined
  if (typeof domain === 'string' && HOST_NAME.test(domain)) {
    return domain.replace(/^\./, '').toLowerCase()
  }
  throw new TypeError(
    `cookie.domain is a host name, as in 'example.com'; ${showValue(domain)} is not. Leave it out to keep the cookie to this host.`,
  )
}

function checkBoolean(value: unknown, name: string, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value === 'boolean') return value
  throw new TypeError(`${name} is true or false, not ${showValue(value)}`)
}
