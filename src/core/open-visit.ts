import { createBudget } from './budget.js'
import type { Engine } from './engine.js'
import type { Credential } from './identity.js'
import { hashSecret, sameHash } from './identity.js'
import { chain, isPromise } from './maybe.js'
import { readRecord, type StoredSession } from './record.js'
import { createSessionHost } from './session-host.js'
import type { MaybePromise, SessionRecord } from './store.js'
import { isTouchDue } from './timing.js'
import { Visit, type VisitClient, type VisitKind } from './visit.js'

/** How long after a rotation a cookie from before it is still recognised as a late one, in milliseconds. */
const SUPERSEDED_FOR = 60_000

/** More cookies of our name than this are not even tried. */
const MAX_CREDENTIALS = 3

interface Found {
  readonly kind: VisitKind
  /** Several cookies fit: none counts, and the response clears them all. */
  readonly isDuplicate?: boolean
  readonly stored?: StoredSession | undefined
  readonly credential?: Credential
}

/**
 * Begins a visit with the cookie values that a request brought. Rejects where the store fails and the options say so.
 * A cookie that does not verify costs no store call.
 */
export function openVisit(
  engine: Engine,
  client: VisitClient,
  cookieValues: readonly string[],
): MaybePromise<Visit> {
  const openedAt = engine.now()
  const budget = createBudget(engine.options.storeBudget)
  const hadCookie = cookieValues.length > 0

  function begin(found: Found): Visit {
    const { kind, stored, credential, isDuplicate = false } = found
    const secret = kind === 'loaded' ? credential?.secret : undefined
    const visit = new Visit(
      engine,
      client,
      { kind, stored, secret, hadCookie, isDuplicate, openedAt, budget },
      createSessionHost,
    )
    if (kind === 'loaded' && credential !== undefined && credential.keyIndex > 0) {
      visit.isSignedByOldKey = true
    }
    return visit
  }

  function onStoreFailure(error: unknown): Visit {
    if (engine.options.onStoreError === 'anonymous') return begin({ kind: 'degraded' })
    throw error
  }

  function touchAndBegin(found: Found): MaybePromise<Visit> {
    const visit = begin(found)
    const touched = touchIfDue(visit)
    return touched !== undefined && engine.options.awaitTouch ? touched.then(() => visit) : visit
  }

  const credentials = verifyAll(engine, cookieValues)
  if (credentials.length === 0) return begin({ kind: 'new' })
  engine.upkeep.start()
  try {
    const found =
      credentials.length === 1
        ? findOne(engine, credentials[0] as Credential)
        : findAmong(engine, credentials)
    if (!isPromise(found)) return touchAndBegin(found)
    return budget.spend(found).then(touchAndBegin, onStoreFailure)
  } catch (error) {
    return onStoreFailure(error)
  }
}

/** The distinct credentials among the values; several equal cookies are one. */
function verifyAll(engine: Engine, values: readonly string[]): Credential[] {
  const credentials: Credential[] = []
  for (const value of values) {
    if (credentials.length === MAX_CREDENTIALS) break
    const credential = engine.keyring.verify(value)
    if (credential === undefined) engine.events.emit('rejected', { reason: 'forged' })
    else if (!credentials.some(({ secret }) => secret === credential.secret)) {
      credentials.push(credential)
    }
  }
  return credentials
}

function findOne(engine: Engine, credential: Credential): MaybePromise<Found> {
  const { id } = credential
  if (engine.tombstones.has(id)) return reject(engine, credential, 'unknown')
  return chain(engine.loads.load(id), (record) => judge(engine, credential, record))
}

/**
 * Several cookies of our name: another host of the domain may have tossed one (RFC 6265bis, "Weak Integrity"). Exactly
 * one must open a session; with more, nobody can say whose browser this is.
 */
async function findAmong(engine: Engine, credentials: readonly Credential[]): Promise<Found> {
  const found = await Promise.all(credentials.map((credential) => findOne(engine, credential)))
  const open = found.filter(({ kind }) => kind === 'loaded')
  if (open.length === 1) return open[0] as Found
  if (open.length === 0) return found.find(({ kind }) => kind === 'superseded') ?? { kind: 'new' }
  engine.events.emit('rejected', { reason: 'duplicate' })
  return { kind: 'new', isDuplicate: true }
}

function judge(engine: Engine, credential: Credential, record: SessionRecord | undefined): Found {
  const { id, secret } = credential
  const now = engine.now()
  if (record === undefined || record.expiresAt <= now) return reject(engine, credential, 'unknown')
  const stored = readRecord(id, record)
  if (typeof stored === 'string') {
    engine.events.emit('corrupt', { id, reason: stored })
    return { kind: 'new' }
  }
  const { secretHash, previous } = stored.meta
  const given = hashSecret(secret)
  if (sameHash(given, secretHash)) return { kind: 'loaded', stored, credential }
  const isLate =
    previous !== undefined &&
    sameHash(given, previous.secretHash) &&
    now - previous.at < SUPERSEDED_FOR
  if (!isLate) return reject(engine, credential, 'secret')
  engine.events.emit('rejected', { reason: 'superseded', id })
  return { kind: 'superseded' }
}

function reject(engine: Engine, { id }: Credential, reason: 'unknown' | 'secret'): Found {
  engine.events.emit('rejected', { reason, id })
  return { kind: 'new' }
}

/** A visit is activity. Sent right after the load, so that a long request cannot outlive its own session. */
function touchIfDue(visit: Visit): PromiseLike<unknown> | undefined {
  const { engine, stored } = visit
  if (stored === undefined) return undefined
  const { timeouts, devices } = engine.options
  if (!isTouchDue(stored.meta, stored.lastSeenAt, engine.now(), timeouts)) return undefined
  const touched = engine.touches.touch(stored, devices ? visit.client.device : undefined)
  return isPromise(touched) ? touched : undefined
}
