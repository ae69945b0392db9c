import type { SessionCookie } from './session.js'
import { showValue } from './show-value.js'

/** The attributes of every session cookie: configuration, never part of a record. */
export type CookieAttributes = Omit<SessionCookie, 'maxAge' | 'originalMaxAge' | 'expires'>

/** What the cookie face of a session reads and sets. */
export interface CookieLifetime {
  maxAge: number | null
  readonly expiresAt: number
  readonly now: number
}

export function createSessionCookie(
  attributes: CookieAttributes,
  lifetime: CookieLifetime,
): SessionCookie {
  return Object.freeze({
    ...attributes,
    get maxAge() {
      return lifetime.maxAge
    },
    set maxAge(value: number | null) {
      lifetime.maxAge = checkMaxAge(value, 'req.session.cookie.maxAge')
    },
    get originalMaxAge() {
      return lifetime.maxAge
    },
    set originalMaxAge(value: number | null) {
      lifetime.maxAge = checkMaxAge(value, 'req.session.cookie.originalMaxAge')
    },
    get expires() {
      return lifetime.maxAge === null ? null : new Date(lifetime.expiresAt)
    },
    set expires(value: Date | null) {
      const isDate = value instanceof Date && !Number.isNaN(value.getTime())
      if (value !== null && !isDate) {
        throw new TypeError(
          'req.session.cookie.expires takes a Date, or null to end with the browser',
        )
      }
      lifetime.maxAge = value === null ? null : Math.max(1, value.getTime() - lifetime.now)
    },
  })
}

/** Milliseconds, or `null`. Express users meet strings such as '1h' elsewhere; here they would end a session at once. */
export function checkMaxAge(value: unknown, name: string): number | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  throw new TypeError(
    `${name} is a number of milliseconds above 0, or null to end with the browser; ${showValue(value)} is not. One hour is 60 * 60 * 1000.`,
  )
}
