import type { Engine } from './engine.js'
import type { SessionError } from './errors.js'
import type { Credential } from './identity.js'
import { equals } from './identity.js'
import { chain, isPromise } from './maybe.js'
import { readRecord, type StoredSession } from './record.js'
import { ended, readOnly, rotated } from './refusals.js'
import { VisitHost } from './session-host.js'
import type { MaybePromise, SessionRecord, StoreKey } from './store.js'
import { isTouchDue, SUPERSEDED_FOR } from './timing.js'
import { Visit, type VisitKind } from './visit.js'
import type { VisitClient } from './visit-client.js'

const NONE: readonly Credential[] = []

const hostFor = (visit: Visit): VisitHost => new VisitHost(visit)

/** Nobody has more cookies of our name by chance; looking at some of them would let those who stand first decide. */
const MAX_CREDENTIALS = 3

interface Found {
  readonly kind: VisitKind
  /** Several cookies fit: none counts, and the response clears them all. */
  readonly isDuplicate?: boolean
  readonly stored?: StoredSession | undefined
  readonly credential?: Credential
  readonly isCached?: boolean
}

/**
 * Begins a visit with the cookie values that a request brought. Rejects where the store fails and the options say so.
 * A cookie that does not verify costs no store call. With `isFresh`, the near cache is passed by.
 */
export function openVisit(
  engine: Engine,
  client: VisitClient,
  cookieValues: readonly string[],
  isFresh = false,
): MaybePromise<Visit> {
  const credentials = cookieValues.length === 0 ? NONE : verifyAll(engine, cookieValues)
  // Before the visit looks at the clock, which this may correct.
  if (credentials.length > 0) engine.upkeep.start()
  const visit = new Visit(engine, client, { hadCookie: cookieValues.length > 0, hostFor })
  if (credentials.length === 0) return visit
  try {
    const found =
      credentials.length === 1
        ? findOne(visit, credentials[0] as Credential, isFresh)
        : findAmong(visit, credentials)
    if (!isPromise(found)) return begin(visit, found)
    return visit.budget.spend(
      found,
      (answer) => begin(visit, answer),
      (error: unknown) => beginWithoutStore(visit, credentials, error),
    )
  } catch (error) {
    return beginWithoutStore(visit, credentials, error)
  }
}

function begin(
  visit: Visit,
  { kind, stored, credential, isDuplicate, isCached }: Found,
): MaybePromise<Visit> {
  visit.kind = kind
  if (isDuplicate === true) visit.meetDuplicates()
  if (stored === undefined || credential === undefined) return visit
  visit.stored = stored
  visit.secret = credential.secret
  visit.credential = credential
  visit.isCached = isCached === true
  visit.isSignedByOldKey = credential.keyIndex > 0
  const touched = touchIfDue(visit, stored)
  const { awaitTouch } = visit.engine.options
  if (!awaitTouch || !isPromise(touched)) return visit
  return visit.budget.waitFor(touched).then(() => visit)
}

function beginWithoutStore(
  visit: Visit,
  credentials: readonly Credential[],
  error: unknown,
): Visit {
  if (visit.engine.options.onStoreError !== 'anonymous') throw error
  visit.kind = 'degraded'
  visit.unseen = credentials
  return visit
}

/**
 * Looks at the store where the near cache was good enough so far. What the request changed meanwhile stays, on top of what
 * is there now; a session that has ended is an empty new one, unless something was changed that would be lost with it.
 */
export function freshen(visit: Visit): MaybePromise<void> {
  const { stored, credential, budget, engine } = visit
  if (!visit.isCached || stored === undefined || credential === undefined) return
  /** A sign-out that nobody waited for, or a write. */
  const isOvertaken = (): boolean => !visit.isCached || visit.stored?.id !== stored.id
  const settle = ({ kind, stored: current }: Found): void => {
    if (isOvertaken()) return
    if (current !== undefined) visit.rebase(current, stored.text)
    else leave(visit, kind, kind === 'superseded' ? rotated() : ended())
  }
  const fail = (error: unknown): void => {
    if (engine.options.onStoreError !== 'anonymous') throw error
    if (isOvertaken()) return
    visit.unseen = [credential]
    leave(visit, 'degraded', readOnly())
  }
  let found: MaybePromise<Found>
  try {
    found = chain(engine.loads.load(stored.id, engine.now()), (record) =>
      judge(engine, credential, record, engine.now()),
    )
  } catch (error) {
    return fail(error)
  }
  return isPromise(found) ? budget.spend(found, settle, fail) : settle(found)
}

function leave(visit: Visit, kind: VisitKind, refusal: SessionError): void {
  visit.isCached = false
  const isChanged = visit.hasUnsavedChanges()
  visit.leave(kind)
  if (!isChanged) return
  visit.fail(refusal)
  throw refusal
}

/** The distinct credentials among the values; several equal cookies are one. */
function verifyAll(engine: Engine, values: readonly string[]): Credential[] {
  const credentials: Credential[] = []
  for (const value of values) {
    if (credentials.length > MAX_CREDENTIALS) break
    const credential = engine.keyring.verify(value)
    if (credential === undefined) engine.events.emit('rejected', { reason: 'forged' })
    else if (!credentials.some(({ secret }) => secret === credential.secret)) {
      credentials.push(credential)
    }
  }
  return credentials
}

function findOne(
  { engine, openedAt }: Visit,
  credential: Credential,
  isFresh: boolean,
): MaybePromise<Found> {
  const { id, secretHash } = credential
  if (engine.tombstones.has(id, secretHash)) return reject(engine, credential, 'unknown')
  const near = isFresh ? undefined : findNear(engine, id, openedAt)
  // It may say yes and never no: what this cookie does not open may be behind.
  if (near !== undefined && equals(secretHash, near.meta.secretHash)) {
    if (engine.tombstones.covers(near)) return reject(engine, credential, 'unknown')
    return { kind: 'loaded', stored: near, credential, isCached: true }
  }
  const record = engine.loads.load(id, openedAt)
  if (!isPromise(record)) return judge(engine, credential, record, openedAt)
  return record.then((late) => judge(engine, credential, late, engine.now()))
}

function findNear(engine: Engine, id: StoreKey, now: number): StoredSession | undefined {
  const { nearCache, feed } = engine
  if (nearCache === undefined) return undefined
  feed.catchUp()
  return nearCache.find(id, now)
}

/**
 * Several cookies of our name: another host of the domain may have tossed one (RFC 6265bis, "Weak Integrity"). Exactly
 * one must open a session; with more, nobody can say whose browser this is.
 */
async function findAmong(visit: Visit, credentials: readonly Credential[]): Promise<Found> {
  const { engine } = visit
  if (credentials.length > MAX_CREDENTIALS) return duplicate(engine)
  const found = await Promise.all(
    // To choose between several, all of them are looked at as they are.
    credentials.map((credential) => findOne(visit, credential, true)),
  )
  const open = found.filter(({ kind }) => kind === 'loaded')
  if (open.length === 1) return open[0] as Found
  if (open.length === 0) return found.find(({ kind }) => kind === 'superseded') ?? { kind: 'new' }
  return duplicate(engine)
}

function duplicate(engine: Engine): Found {
  engine.events.emit('rejected', { reason: 'duplicate' })
  return { kind: 'new', isDuplicate: true }
}

function judge(
  engine: Engine,
  credential: Credential,
  record: SessionRecord | undefined,
  now: number,
): Found {
  const { id, secretHash: given } = credential
  if (record === undefined || record.expiresAt <= now) return reject(engine, credential, 'unknown')
  const stored = readRecord(id, record)
  if (typeof stored === 'string') {
    engine.events.emit('corrupt', { id, reason: stored })
    return { kind: 'new' }
  }
  const { secretHash, previous } = stored.meta
  if (equals(given, secretHash)) {
    if (engine.tombstones.covers(stored)) return reject(engine, credential, 'unknown')
    return { kind: 'loaded', stored, credential }
  }
  const isLate = previous?.some(
    ({ secretHash: old, at }) => equals(given, old) && now - at < SUPERSEDED_FOR,
  )
  if (!isLate) return reject(engine, credential, 'secret')
  engine.events.emit('rejected', { reason: 'superseded', id })
  return { kind: 'superseded' }
}

function reject(engine: Engine, { id }: Credential, reason: 'unknown' | 'secret'): Found {
  engine.events.emit('rejected', { reason, id })
  return { kind: 'new' }
}

/** A visit is activity. Sent right after the load, so that a long request cannot outlive its own session. */
function touchIfDue(
  { engine, client, openedAt }: Visit,
  stored: StoredSession,
): MaybePromise<void> {
  const { timeouts, devices } = engine.options
  if (!isTouchDue(stored.meta, stored.lastSeenAt, openedAt, timeouts)) return
  const isSignedIn = stored.meta.user !== undefined
  return engine.touches.touch(stored, devices && isSignedIn ? client.device : undefined)
}
