import type { BreakerState } from './breaker.js'
import type { FeedTurn } from './change-feed.js'
import { isPromise } from './maybe.js'
import type { UserId } from './record.js'
import type { EndReason } from './store.js'
import type { SessionWarning } from './warnings.js'

/** What a session manager tells its listeners. Nothing in an event can be used as a cookie. */
export interface SessionEvents {
  /** A session was stored for the first time. */
  created: { readonly id: string; readonly userId?: UserId | undefined }
  /** A session got a new secret: a sign-in. */
  rotated: { readonly id: string; readonly userId?: UserId | undefined }
  /**
   * A session was ended, by its own request or from elsewhere: once in this process and, where the store has a change
   * feed, once in every process that listens. `reason` is `undefined` where the store does not know it. That a session
   * expired is no event.
   */
  ended: { readonly id: string; readonly reason: EndReason | undefined }
  /** This process ended a session from elsewhere. */
  revoked: { readonly id: string; readonly userId?: UserId | undefined }
  /** Two requests wrote the same keys; the later one won. */
  conflict: { readonly id: string; readonly keys: readonly string[] }
  /** A cookie of our name opened nothing. */
  rejected: { readonly reason: RejectReason; readonly id?: string | undefined }
  /** A record could not be read and counts as absent. */
  corrupt: { readonly id: string; readonly reason: 'corrupt' | 'newer' }
  /** A store call failed, also where no request had to be refused for it. */
  storeError: { readonly operation: string; readonly error: unknown }
  /** The circuit breaker in front of the store changed its state; `error` is why it opened. */
  breaker: { readonly state: BreakerState; readonly error?: unknown }
  /** The change feed of the store came to life, or was lost, be it for a moment: what others ended meanwhile was missed. */
  feed: FeedTurn
  /** A session was changed after its answer had left, and the change was not stored. */
  lateChange: { readonly id: string }
  /** A warning, also printed by `process.emitWarning`. */
  warning: SessionWarning
}

/**
 * - `forged`: not made with one of our secrets
 * - `unknown`: no such session, or none any more; a store does not tell expired from never been
 * - `secret`: the session is there, but this is not its secret
 * - `superseded`: the secret from before the last rotation
 * - `duplicate`: several cookies of our name, and more than one fits
 */
export type RejectReason = 'forged' | 'unknown' | 'secret' | 'superseded' | 'duplicate'

export type SessionEventListener<Name extends keyof SessionEvents> = (
  event: SessionEvents[Name],
) => void

export interface EventHub {
  on<Name extends keyof SessionEvents>(name: Name, listener: SessionEventListener<Name>): void
  off<Name extends keyof SessionEvents>(name: Name, listener: SessionEventListener<Name>): void
  emit<Name extends keyof SessionEvents>(name: Name, event: SessionEvents[Name]): void
}

/** A listener that throws harms neither the request nor the other listeners. */
export function createEventHub(onListenerError: (name: string, error: unknown) => void): EventHub {
  const listeners = new Map<keyof SessionEvents, Set<SessionEventListener<never>>>()
  return {
    on(name, listener) {
      const set = listeners.get(name) ?? new Set()
      listeners.set(name, set.add(listener as SessionEventListener<never>))
    },
    off(name, listener) {
      listeners.get(name)?.delete(listener as SessionEventListener<never>)
    },
    emit(name, event) {
      for (const listener of listeners.get(name) ?? []) {
        try {
          const answer: unknown = listener(event as never)
          if (isPromise(answer)) answer.then(undefined, (error) => onListenerError(name, error))
        } catch (error) {
          onListenerError(name, error)
        }
      }
    },
  }
}
