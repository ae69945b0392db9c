import {
  keepFields,
  type Pending,
  type SignedIn,
  type SignInPlan,
  signInChange,
} from './changes.js'
import { encodeFields, splitData } from './codec.js'
import { adoptData } from './copied-data.js'
import { createRecord } from './creation.js'
import { checkKeep, replaceSession } from './endings.js'
import { isSessionError, SessionError } from './errors.js'
import { type CookieSecret, hashSecret } from './identity.js'
import { isPromise } from './maybe.js'
import { readRecord, type StoredSession, type UserId } from './record.js'
import { RESERVED_KEYS } from './reserved-keys.js'
import type { SignInOptions } from './session.js'
import { checkMaxAge } from './session-cookie.js'
import type { MaybePromise, StoreKey } from './store.js'
import { checkUserId } from './user-id.js'
import type { Visit } from './visit.js'

/**
 * Binds the session to a user under a new secret. In place where it can; with a new id where the session was another
 * user's, has ended, or was signed in by another request meanwhile: right password, working cookie, always.
 */
export async function signIn(visit: Visit, userId: UserId, options: SignInOptions): Promise<void> {
  const { engine, stored } = visit
  const user = checkUserId(userId, 'signIn')
  const keep = checkKeep(options?.keep, 'signIn')
  const given = options?.data === undefined ? undefined : adoptData(checkData(options.data))
  const data = given?.copy.text ?? '{}'
  const maxAge =
    options?.maxAge === undefined ? undefined : checkMaxAge(options.maxAge, 'signIn: maxAge')
  if (visit.kind === 'degraded') visit.assertWritable()
  visit.client.assertCanSetCookie()
  warnOfDroppedKeys(visit, keep, data)

  const caller: Caller = { openedAt: visit.openedAt, order: visit.openedOrder, id: visit.id }
  engine.upkeep.start()
  const signedIn: SignedIn = {
    user,
    signedInAt: engine.now(),
    maxAge: maxAge === undefined ? visit.pendingMaxAge : maxAge,
    device: visit.client.device,
  }
  const formerUser = stored?.meta.user
  if (formerUser !== undefined && String(formerUser) !== String(user)) {
    await replaceSession(visit, { keep, data, reason: 'signIn', meta: signedIn, isForgiven })
  } else {
    const secret = engine.random.secret() as CookieSecret
    const sent = visit.presentText()
    const landed =
      stored &&
      (await rotate(visit, visit.pending(stored), {
        signedIn,
        keep,
        data,
        secretHash: hashSecret(secret),
        privilege: engine.random.mark(),
      }))
    const text = keepFields(sent, keep, data)
    // The id of a session that was stored before stays its own.
    const id = stored === undefined ? visit.id : (engine.random.id() as StoreKey)
    const tellMark = (mark: string | undefined): void => {
      caller.told = { mark }
    }
    const plan = { id, secret, text, meta: signedIn, tellMark }
    const next = landed ?? (await createRecord(visit, plan))
    visit.rebase(next, sent, given)
    visit.settleOn(next, secret)
    if (landed !== undefined) engine.events.emit('rotated', { id: landed.id, userId: user })
  }
  await checkRevocation(visit, user, caller)
}

/** The rotated session; `undefined` where the one this request began with is not there any more, or not its own. */
async function rotate(
  visit: Visit,
  pending: Pending,
  plan: SignInPlan,
): Promise<StoredSession | undefined> {
  const { engine, budget } = visit
  if (engine.tombstones.has(pending.base.id)) return undefined
  try {
    return await engine.commits.commit(signInChange(pending, plan), budget)
  } catch (error) {
    if (isForgiven(error)) return undefined
    if (!isSessionError(error, 'ERR_SESSION_OUTCOME_UNKNOWN') || budget.left() <= 0) throw error
    // One look: our own mark there means that it landed and only the answer was lost.
    const { id } = pending.base
    const record = await budget.spend(
      Promise.resolve(
        engine.callStore('load', budget.left(), (store) => store.load(id, engine.now())),
      ),
    )
    const current = record === undefined ? undefined : readRecord(id, record)
    const isOurs = typeof current === 'object' && current.meta.secretHash === plan.secretHash
    if (!isOurs) throw error
    return current
  }
}

/** Sign-in does not depend on the session it started from (protocol rule Q9). */
function isForgiven(error: unknown): boolean {
  return isSessionError(error, 'ERR_SESSION_ENDED') || isSessionError(error, 'ERR_SESSION_ROTATED')
}

/** The request that signs in, as it began. */
interface Caller {
  readonly openedAt: number
  readonly order: number
  readonly id: string
  /** The user's revocation mark, where the store told it after it had written the record. */
  told?: { readonly mark: string | undefined }
}

/** Whether the user's sessions were revoked while this sign-in was under way (protocol rule Q19). */
async function checkRevocation(visit: Visit, user: UserId, caller: Caller): Promise<void> {
  const { engine, budget, id } = visit
  if (engine.store.revocationMark === undefined) return
  try {
    const { mark } = caller.told ?? { mark: await markOf(visit, user) }
    if (mark === undefined || !engine.revocations.applies(mark, caller)) return
  } catch (error) {
    engine.tombstones.add(id, 'revokeByUser')
    visit.startAnew()
    throw error
  }
  engine.tombstones.add(id, 'revokeByUser')
  visit.startAnew()
  await budget.spend(engine.tombstones.attempt(id, budget.left()))
  throw new SessionError(
    'ERR_SESSION_REVOKED',
    'the sessions of this user were revoked while this sign-in was under way. Sign in again; where one request does both, pass { except: req.session.id } to revokeByUser.',
  )
}

function markOf({ engine, budget }: Visit, user: UserId): MaybePromise<string | undefined> {
  const mark = engine.callStore('revocationMark', budget.left(), (store) =>
    store.revocationMark?.(String(user), engine.now()),
  )
  return isPromise(mark) ? budget.spend(mark) : mark
}

function checkData(data: unknown): object {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new TypeError('signIn: data is an object, as in { data: { user } }')
  }
  const reserved = Object.keys(data).find((key) => RESERVED_KEYS.has(key))
  if (reserved !== undefined) {
    throw new TypeError(
      `signIn: data has a key '${reserved}', a name that belongs to the session itself`,
    )
  }
  // A copy: an object with a `toJSON` of its class would have the encoder write something else.
  return { ...data }
}

function warnOfDroppedKeys(visit: Visit, keep: readonly string[], data: string): void {
  if (visit.session === undefined || Object.keys(visit.session).length === 0) return
  const before = splitData(visit.stored?.text ?? '{}')
  const assigned = splitData(data)
  const dropped = [...encodeFields(visit.session)]
    .filter(
      ([key, value]) => before.get(key) !== value && !keep.includes(key) && !assigned.has(key),
    )
    .map(([key]) => key)
  if (dropped.length === 0) return
  visit.engine.warn(
    'WARN_SESSION_DROPPED_KEYS',
    () =>
      `signIn dropped what this request had just assigned to req.session: ${dropped.join(', ')}. Assign after signIn, pass it as { data }, or name it in { keep }.`,
  )
}
