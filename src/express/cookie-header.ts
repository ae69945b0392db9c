import type { CookieOrder } from '../core/cookie-order.js'
import type { CookieAttributes } from '../core/session-cookie.js'

const NONE: readonly string[] = Object.freeze([])
const EQUALS = 0x3d

/**
 * Every value of the cookie `name` in a Cookie header. Only space and tab are trimmed and the name is compared to the
 * byte: a laxer reader takes a look-alike for a `__Host-` cookie (RFC 6265bis §5.7, CVE-2026-39410).
 */
export function readCookie(header: string | undefined, name: string): readonly string[] {
  if (header === undefined || !header.includes(name)) return NONE
  // Nothing but our cookie is what most browsers send.
  if (
    header.startsWith(name) &&
    header.charCodeAt(name.length) === EQUALS &&
    !header.includes(';')
  ) {
    return [trim(header.slice(name.length + 1))]
  }
  const values: string[] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals >= 0 && trim(pair.slice(0, equals)) === name)
      values.push(trim(pair.slice(equals + 1)))
  }
  return values
}

function trim(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** Writes Set-Cookie lines whose attributes were put together once. */
export interface CookieWriter {
  write(order: Exclude<CookieOrder, { kind: 'none' }>): string
  /** `line`, and one that clears the cookie for every wider domain that some other host may have set it for. */
  clearElsewhere(host: string | undefined, line: string): string[]
}

export function createCookieWriter(
  name: string,
  attributes: CookieAttributes,
  isSecure: boolean,
): CookieWriter {
  const { path, domain, httpOnly, sameSite, partitioned, priority } = attributes
  const common =
    `; Path=${path}` +
    (httpOnly ? '; HttpOnly' : '') +
    (isSecure ? '; Secure' : '') +
    (sameSite === false ? '' : `; SameSite=${capitalise(sameSite)}`) +
    (partitioned ? '; Partitioned' : '') +
    (priority === undefined ? '' : `; Priority=${capitalise(priority)}`)
  const own = `${domain === undefined ? '' : `; Domain=${domain}`}${common}`

  return {
    write(order) {
      if (order.kind === 'clear') return `${name}=; Max-Age=0${own}`
      const { value, maxAge } = order
      return `${name}=${value}${maxAge === undefined ? '' : `; Max-Age=${maxAge}`}${own}`
    },
    clearElsewhere(host, line) {
      const clear = `${name}=; Max-Age=0`
      // A browser ignores the ones that name a public suffix.
      const elsewhere = domainsOf(host).map((parent) => `${clear}; Domain=${parent}${common}`)
      return [...(domain === undefined ? [] : [`${clear}${common}`]), ...elsewhere, line]
    },
  }
}

const MOST_LABELS = 6

/** `shop.example.com` and `example.com` for `shop.example.com:3000`; nothing for an address, or for what is no host. */
function domainsOf(host = ''): string[] {
  const [bare = ''] = host.split(':', 1)
  if (!/^(?:[a-z\d-]+\.)+[a-z][a-z\d-]*$/i.test(bare)) return []
  const labels = bare.split('.').slice(-MOST_LABELS)
  return labels.slice(0, -1).map((_, from) => labels.slice(from).join('.'))
}

function capitalise(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`
}

/** RFC 6265bis §5.1.4, "path-match": /admin covers /admin and /admin/users, not /administrator. */
export function pathMatches(requestPath: string, cookiePath: string): boolean {
  if (cookiePath === '/' || requestPath === cookiePath) return true
  if (!requestPath.startsWith(cookiePath)) return false
  return cookiePath.endsWith('/') || requestPath.charAt(cookiePath.length) === '/'
}
