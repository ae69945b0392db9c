import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'

/** What goes into the headers of a response that tells the browser about its session. */
export interface CookieHeaders {
  readonly name: string
  /** Set-Cookie lines. */
  readonly lines: readonly string[]
  /** The handler asked for a shared cache to keep this response, cookie and all. */
  readonly onCacheable: () => void
}

type HeaderValue = OutgoingHttpHeader | undefined

const NO_STORE = 'private, no-store'

/** RFC 9213: to a shared cache these outrank Cache-Control. */
const FOR_SHARED_CACHES = ['cdn-cache-control', 'surrogate-control']

export function addHeaders(res: ServerResponse, headers: CookieHeaders): void {
  res.setHeader('Set-Cookie', withOurs(res.getHeader('set-cookie'), headers))
  res.setHeader('Cache-Control', strictest(res.getHeader('cache-control'), headers))
  for (const name of FOR_SHARED_CACHES) {
    if (res.getHeader(name) === undefined) continue
    res.removeHeader(name)
    headers.onCacheable()
  }
}

/** `writeHead(200, { 'Set-Cookie': … })` replaces what was set before: ours goes in as well. */
export function mergeHead(args: unknown[], headers: CookieHeaders): unknown[] {
  const at = args.findLastIndex((arg) => typeof arg === 'object' && arg !== null)
  if (at < 0) return args
  const given = args[at] as object
  return args.with(
    at,
    Array.isArray(given) ? mergeList(given, headers) : mergeObject(given, headers),
  )
}

function mergeObject(given: object, headers: CookieHeaders): OutgoingHttpHeaders {
  const merged: OutgoingHttpHeaders = {}
  for (const [name, value] of Object.entries(given) as [string, HeaderValue][]) {
    const lower = name.toLowerCase()
    if (lower === 'set-cookie') merged[name] = withOurs(value, headers)
    else if (lower === 'cache-control') merged[name] = strictest(value, headers)
    else if (FOR_SHARED_CACHES.includes(lower)) headers.onCacheable()
    else merged[name] = value
  }
  return merged
}

/** Node takes `[name, value, …]` and `[[name, value], …]`; with headers set before, only the first. */
function mergeList(given: readonly unknown[], headers: CookieHeaders): unknown[] {
  const flat = Array.isArray(given[0]) ? given.flat() : given
  const merged: unknown[] = []
  const cookies: string[] = []
  for (let at = 0; at < flat.length; at += 2) {
    const name = String(flat[at])
    const value = flat[at + 1] as HeaderValue
    const lower = name.toLowerCase()
    if (lower === 'set-cookie') cookies.push(...asList(value))
    else if (FOR_SHARED_CACHES.includes(lower)) headers.onCacheable()
    else merged.push(name, lower === 'cache-control' ? strictest(value, headers) : value)
  }
  // One entry with a list: HTTP/2 would keep only the last of several.
  if (cookies.length > 0) merged.push('Set-Cookie', withOurs(cookies, headers))
  return merged
}

/** RFC 6265bis §4.1.1: not two cookies of one name in one response. Ours come last, the application's stay. */
function withOurs(value: HeaderValue, headers: CookieHeaders): string[] {
  if (value === undefined) return [...headers.lines]
  return [...asList(value).filter((line) => !isOurs(line, headers)), ...headers.lines]
}

function isOurs(line: string, { name }: CookieHeaders): boolean {
  return line.startsWith(`${name}=`)
}

/** A response that hands out a session must not be kept for others (OWASP ASVS 14.3.2). */
function strictest(value: HeaderValue, headers: CookieHeaders): string {
  if (value === undefined) return NO_STORE
  const given = asList(value).join(', ')
  const directives = given
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim())
  if (directives.includes('no-store')) return given
  // `public, max-age=0` is what Express's `sendFile` says of itself: nobody asked for it.
  const isAsked = /\bmax-?age\s*=\s*[1-9]/i.test(given)
  if (isAsked || /\bpublic\b(?!.*\bmax-age\s*=\s*0)/i.test(given)) headers.onCacheable()
  return NO_STORE
}

function asList(value: HeaderValue): string[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value.map(String) : [String(value)]
}

/** Headers that describe the body which is not going to be sent. Content-Security-Policy is not one of them. */
const OF_THE_BODY =
  /^(?:content-(?!security-policy)|transfer-encoding$|etag$|last-modified$|accept-ranges$|location$|refresh$|expires$|trailer$)/

export interface HeadersBefore {
  readonly cookies: HeaderValue
  readonly cacheControl: HeaderValue
}

export function rememberHeaders(res: ServerResponse): HeadersBefore {
  return {
    cookies: res.getHeader?.('set-cookie'),
    cacheControl: res.getHeader?.('cache-control'),
  }
}

/** Makes room for an error: nothing of the handler's answer stays, and everything that was there before the session. */
export function cleanForError(res: ServerResponse, before: HeadersBefore): void {
  for (const name of res.getHeaderNames?.() ?? []) {
    if (OF_THE_BODY.test(name)) res.removeHeader(name)
  }
  restore(res, 'Set-Cookie', before.cookies)
  restore(res, 'Cache-Control', before.cacheControl)
}

function restore(res: ServerResponse, name: string, value: HeaderValue): void {
  if (value === undefined) res.removeHeader(name)
  else res.setHeader(name, value)
}
