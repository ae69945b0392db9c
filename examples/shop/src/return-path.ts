const HERE = 'http://here.invalid'

/**
 * A path of this site to go back to, or `fallback`: never another site. Browsers read `//host`, `/\host` and
 * `/\t/host` as other hosts, and `/.//host` becomes one when it is normalised, so the result is judged, not the input.
 */
export function safeReturnPath(value: unknown, fallback = '/dashboard'): string {
  if (typeof value !== 'string' || value.length > 500 || !/^\/[\x21-\x7e]*$/.test(value)) {
    return fallback
  }
  if (!URL.canParse(value, HERE)) return fallback
  const url = new URL(value, HERE)
  if (url.origin !== HERE) return fallback
  const path = url.pathname + url.search
  return path.startsWith('//') ? fallback : path
}

/** The path of a full address of this site, such as a Referer. */
export function sameSitePath(address: string | undefined, origin: string): string | undefined {
  if (!address?.startsWith(`${origin}/`)) return undefined
  return safeReturnPath(address.slice(origin.length), '/')
}
