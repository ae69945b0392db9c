import type { SessionMeta } from './record.js'

/** Two clocks (OWASP ASVS 7.3.1 and 7.3.2): how long a session may lie idle, and how long it may live at all. */
export interface Timeouts {
  /** Milliseconds without a request after which a session ends, unless it has its own. */
  readonly idleTimeout: number
  /** Milliseconds after sign-in (or creation) after which a session ends, however busy it is. */
  readonly absoluteTimeout: number
}

/** How long after a rotation a cookie from before it is still recognised as a late one, in milliseconds. */
export const SUPERSEDED_FOR: number = 60_000

export interface Deadlines {
  readonly expiresAt: number
  readonly absoluteExpiresAt: number
}

/** Idle timeout of one session: its own where it has one ("remember me"), else the configured one. */
export function idleTimeoutOf(meta: SessionMeta, timeouts: Timeouts): number {
  return meta.maxAge ?? timeouts.idleTimeout
}

/** A session that was given a longer idle timeout than the absolute one lives as long as that; it was asked for. */
export function deadlinesOf(meta: SessionMeta, lastSeenAt: number, timeouts: Timeouts): Deadlines {
  const idleTimeout = idleTimeoutOf(meta, timeouts)
  const lifetime = Math.max(timeouts.absoluteTimeout, meta.maxAge ?? 0)
  const absoluteExpiresAt = (meta.signedInAt ?? meta.createdAt) + lifetime
  return { expiresAt: Math.min(lastSeenAt + idleTimeout, absoluteExpiresAt), absoluteExpiresAt }
}

/** Last-seen moves at most once per tenth of the idle timeout, so a busy reader does not write. */
export function isTouchDue(
  meta: SessionMeta,
  lastSeenAt: number,
  now: number,
  timeouts: Timeouts,
): boolean {
  return now - lastSeenAt >= idleTimeoutOf(meta, timeouts) / 10
}
