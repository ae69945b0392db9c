import type { Engine } from './engine.js'
import type { CookieSecret } from './identity.js'
import type { StoredSession } from './record.js'

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

/** The order to send the cookie of a session: kept by the browser, or gone when it closes. */
export function cookieOrderFor(
  { options, keyring, now }: Engine,
  stored: StoredSession,
  secret: CookieSecret,
): CookieOrder {
  const { maxAge } = stored.meta
  const isPersistent = (maxAge === undefined ? options.cookieMaxAge : maxAge) !== null
  return {
    kind: 'set',
    value: keyring.sign(stored.id, secret),
    maxAge: isPersistent ? maxAgeSeconds(stored.absoluteExpiresAt, now()) : undefined,
  }
}

/** RFC 6265bis §5.5: browsers cap a cookie's life at 400 days. */
const LONGEST_MAX_AGE = 400 * 24 * 3600

/**
 * Max-Age, never Expires: it does not depend on whose clock is right. A cookie that is kept at all is kept for the
 * absolute lifetime; the idle clock is the server's, so a cookie need not be sent again to slide.
 */
export function maxAgeSeconds(absoluteExpiresAt: number, now: number): number {
  return Math.min(LONGEST_MAX_AGE, Math.max(1, Math.ceil((absoluteExpiresAt - now) / 1000)))
}
