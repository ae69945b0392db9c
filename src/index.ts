/**
 * Server-side sessions for Express.
 *
 * ```ts
 * import { session } from 'staykept'
 * app.use(session({ secret: process.env.SESSION_SECRET! }))
 * ```
 */
import { createMiddleware, type Sessions } from './express/middleware.js'
import type { SessionOptions } from './express/options.js'
import { memoryStore } from './stores/memory.js'

/**
 * Makes the sessions of an application: a middleware for `app.use`, and their manager.
 *
 * @throws {TypeError} for an option that cannot work, with what to write instead.
 */
export function session(options: SessionOptions): Sessions {
  return createMiddleware(options, memoryStore)
}

export type { BreakerState } from './core/breaker.js'
export {
  isSessionError,
  SessionError,
  type SessionErrorCode,
  storeError,
} from './core/errors.js'
export type { RejectReason, SessionEventListener, SessionEvents } from './core/events.js'
export type { NearCacheOptions } from './core/near-cache.js'
export type { Clock } from './core/options.js'
export type { Device, UserId } from './core/record.js'
// By `*`: in TypeScript 5, `declare module 'staykept'` adds to SessionData only where no list of names stands between.
export * from './core/session.js'
export type { CheckResult, ListedSession, SessionManager } from './core/sessions.js'
export type {
  DeleteByUserOptions,
  EndReason,
  KeyedRecord,
  MaybePromise,
  PingResult,
  SessionRecord,
  SessionStore,
  StoreConcern,
  StoreConcernCode,
  StoreEvent,
  StoreFeed,
  StoreKey,
  StoreLimits,
  TellMark,
  WriteResult,
} from './core/store.js'
export type { SessionWarning, SessionWarningCode } from './core/warnings.js'
export type { CookieOptions } from './express/cookie-options.js'
export type { Next, OfOptions, Sessions } from './express/middleware.js'
export type { SessionOptions, SessionSecret } from './express/options.js'

import './express/request.js'
