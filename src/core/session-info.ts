import { type CookieSecret, csrfIdOf, hashSecret } from './identity.js'
import type { StoredSession } from './record.js'
import type { SessionInfo } from './session.js'
import { deadlinesOf } from './timing.js'
import type { Visit } from './visit.js'

/** What `req.session.info` says at this moment. */
export function describeSession(visit: Visit): SessionInfo {
  return describeStored(visit, visit.stored)
}

/** What it says of `stored`, whatever the visit works on by now. */
export function describeStored(visit: Visit, stored: StoredSession | undefined): SessionInfo {
  const { engine } = visit
  const now = engine.now()
  const meta = stored?.meta
  const unstored = { secretHash: '', privilege: '', createdAt: now, maxAge: visit.pendingMaxAge }
  const { expiresAt } = stored ?? deadlinesOf(unstored, now, engine.options.timeouts)
  return Object.freeze({
    userId: meta?.user,
    isNew: stored === undefined,
    createdAt: meta?.createdAt ?? now,
    signedInAt: meta?.signedInAt,
    lastSeenAt: stored?.lastSeenAt ?? now,
    expiresAt,
    // A getter, because it costs a hash: and, for a session that is not stored yet, a secret to be stored with it.
    get csrfId() {
      if (meta !== undefined) return csrfIdOf(meta.secretHash)
      visit.secret ??= engine.random.secret() as CookieSecret
      return csrfIdOf(hashSecret(visit.secret))
    },
  })
}
