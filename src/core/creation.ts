import type { Budget } from './budget.js'
import type { Engine } from './engine.js'
import { isSessionError, SessionError } from './errors.js'
import { type CookieSecret, hashSecret } from './identity.js'
import { isPromise } from './maybe.js'
import { encodePayload, type SessionMeta, type StoredSession } from './record.js'
import { tooLarge } from './refusals.js'
import type { MaybePromise, SessionRecord, StoreKey, TellMark } from './store.js'
import { deadlinesOf } from './timing.js'

export interface CreationPlan {
  readonly id: StoreKey
  readonly secret: CookieSecret
  readonly text: string
  readonly meta?: Partial<Omit<SessionMeta, 'secretHash' | 'privilege' | 'createdAt'>> | undefined
  readonly tellMark?: TellMark
}

/** Whose first record it is: a visit. */
export interface Creator {
  readonly engine: Engine
  readonly budget: Budget
  /** The id is not to be used again. */
  giveUpId(): void
}

/** Stores a first record. A generator that repeats itself is told apart from a session: it is not overwritten. */
export function createRecord(
  creator: Creator,
  { id, secret, text, meta: extra = {}, tellMark }: CreationPlan,
): MaybePromise<StoredSession> {
  const { engine, budget } = creator
  const { options, random } = engine
  engine.upkeep.start()
  const now = engine.now()
  const meta: SessionMeta = {
    secretHash: hashSecret(secret),
    privilege: random.mark(),
    createdAt: now,
    signedInAt: extra.signedInAt,
    user: extra.user,
    maxAge: extra.maxAge,
    previous: extra.previous,
    device: extra.device,
  }
  const payload = encodePayload(meta, text)
  const limit = engine.maxPayloadBytes
  const bytes = payload.length * 3 > limit ? Buffer.byteLength(payload) : 0
  if (bytes > limit) throw tooLarge(bytes, limit, text)
  const version = random.mark()
  const { expiresAt, absoluteExpiresAt } = deadlinesOf(meta, now, options.timeouts)
  const userId = meta.user === undefined ? undefined : String(meta.user)
  const lastSeenAt = now
  const record: SessionRecord = {
    version,
    payload,
    userId,
    lastSeenAt,
    expiresAt,
    absoluteExpiresAt,
  }

  function accept(isCreated: boolean): StoredSession {
    if (isCreated !== true) throw taken()
    engine.events.emit('created', { id, userId: meta.user })
    return { id, version, meta, text, lastSeenAt, expiresAt, absoluteExpiresAt }
  }

  const answer = engine.callStore('create', budget.left(), (store) =>
    store.create(id, record, now, tellMark),
  )
  if (!isPromise(answer)) return accept(answer)
  return budget.spend(answer, accept, (error: unknown) => {
    if (isSessionError(error, 'ERR_SESSION_OUTCOME_UNKNOWN')) {
      // It may have been stored all the same. Nobody has its cookie, so it should not stand in a list of devices.
      forget(engine, id)
      // The deletion is on its way, and must not meet a second attempt.
      creator.giveUpId()
    }
    throw error
  })
}

/** Deletes without waiting; where that fails the session ends by its idle timeout. */
export function forget(engine: Engine, id: StoreKey): void {
  try {
    const answer = engine.callStore('delete', engine.options.storeBudget, (store) =>
      store.delete(id, engine.now()),
    )
    if (isPromise(answer)) answer.then(undefined, () => {})
  } catch {
    // Reported as a storeError by the call itself.
  }
}

function taken(): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    'the store says that a session stands under a new random id; nothing was stored',
  )
}
