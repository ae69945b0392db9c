/** What a response is to tell the browser about the session cookie. */
export type CookieOrder =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'set'
      readonly value: string
      /** Seconds the browser is to keep it; `undefined`: until it closes. */
      readonly maxAge: number | undefined
    }
  | { readonly kind: 'clear' }

export const NO_COOKIE_ORDER: CookieOrder = Object.freeze({ kind: 'none' })
export const CLEAR_COOKIE_ORDER: CookieOrder = Object.freeze({ kind: 'clear' })

/** RFC 6265bis §5.5: browsers cap a cookie's life at 400 days. */
const LONGEST_MAX_AGE = 400 * 24 * 3600

/**
 * Max-Age, never Expires: it does not depend on whose clock is right. A cookie that is kept at all is kept for the
 * absolute lifetime; the idle clock is the server's, so a cookie need not be sent again to slide.
 */
export function maxAgeSeconds(absoluteExpiresAt: number, now: number): number {
  return Math.min(LONGEST_MAX_AGE, Math.max(1, Math.ceil((absoluteExpiresAt - now) / 1000)))
}
