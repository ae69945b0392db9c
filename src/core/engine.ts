import { type Breaker, createBreaker } from './breaker.js'
import { type ChangeFeed, createChangeFeed } from './change-feed.js'
import { coherentStore } from './coherent-store.js'
import { type Commits, createCommits } from './commits.js'
import { createEnds, type Ends } from './ends.js'
import { createEventHub, type EventHub } from './events.js'
import { createKeyring, type Keyring } from './identity.js'
import { createLoads, type Loads } from './loads.js'
import { createNearCache, type NearCache } from './near-cache.js'
import type { CoreOptions } from './options.js'
import { pooledRandom, type Random } from './random.js'
import { createRevocations, type Revocations } from './revocations.js'
import type { SessionStore } from './store.js'
import { createStoreCall, type StoreCall } from './store-calls.js'
import { createTombstones, type Tombstones } from './tombstones.js'
import { createTouches, type Touches } from './touches.js'
import { createUpkeep, type Upkeep } from './upkeep.js'
import { createWarnings, type SessionWarningCode } from './warnings.js'

/** The working parts that all requests of one `session()` share. Built once; holds nothing of a single request. */
export interface Engine {
  /** All but the secrets, which nobody needs who has the keyring. */
  readonly options: Omit<CoreOptions, 'secrets'>
  readonly store: SessionStore
  readonly callStore: StoreCall
  readonly breaker: Breaker
  readonly keyring: Keyring
  readonly random: Random
  readonly events: EventHub
  readonly loads: Loads
  readonly commits: Commits
  readonly touches: Touches
  readonly tombstones: Tombstones
  readonly revocations: Revocations
  readonly upkeep: Upkeep
  readonly ends: Ends
  readonly feed: ChangeFeed
  readonly nearCache: NearCache | undefined
  /** The largest payload that the options and the store allow. */
  readonly maxPayloadBytes: number
  readonly warn: (code: SessionWarningCode, message: () => string) => void
  /** Milliseconds since 1970, by the store's clock where that is known. */
  readonly now: () => number
}

export function createEngine(given: CoreOptions, random: Random = pooledRandom()): Engine {
  const { secrets, ...options } = given
  const { timeouts, storeBudget } = options
  const nearCache = options.nearCache && createNearCache(options.nearCache)
  const store = nearCache ? coherentStore(options.store, nearCache) : options.store
  const events = createEventHub((name, error) =>
    warn('WARN_SESSION_LISTENER', () => `a listener for '${name}' threw: ${String(error)}`),
  )
  const warn = createWarnings((warning) => events.emit('warning', warning))
  const breaker = createBreaker({
    storeBudget,
    onChange(change) {
      events.emit('breaker', change)
      if (change.state === 'open') return
      tombstones.resume()
      feed.hurry()
    },
    probe: () => upkeep.check(),
    reconnect:
      store.reconnect &&
      (() => callStore('reconnect', storeBudget, (target) => target.reconnect?.())),
  })
  const callStore = createStoreCall({ store, events, breaker, storeBudget })
  const ends = createEnds(events)
  const feed = createChangeFeed({
    store,
    interval: Math.min(
      (options.nearCache?.maxStaleness ?? Number.POSITIVE_INFINITY) / 4,
      LONGEST_INTERVAL,
    ),
    onEvent(event) {
      if (event.type === 'reset') nearCache?.clear()
      else nearCache?.drop(event.key, event.type === 'changed' ? event.version : undefined)
      if (event.type === 'ended') ends.announce(event.key, event.reason)
    },
    onProof: (at) => nearCache?.proven(at),
    onTurn(turn) {
      events.emit('feed', turn)
      if (turn.error !== undefined)
        warn('WARN_SESSION_FEED', () => feedIsDown(store.name, turn.error))
    },
  })
  const upkeep = createUpkeep({
    options,
    callStore,
    warn,
    onStart: () => nearCache && feed.start(),
  })
  const { now } = upkeep
  const maxPayloadBytes = Math.min(
    options.maxBytes,
    store.limits?.maxPayloadBytes ?? Number.POSITIVE_INFINITY,
  )
  const commits = createCommits({ callStore, events, random, timeouts, maxPayloadBytes, now })
  const tombstones = createTombstones({
    callStore,
    storeBudget,
    now,
    onEnded: ends.announce,
    onRevoked(id, userId) {
      events.emit('revoked', { id, userId })
      ends.announce(id, 'revokeByUser')
    },
  })
  return {
    options,
    store,
    callStore,
    breaker,
    keyring: createKeyring(secrets),
    random,
    events,
    loads: createLoads(storeBudget, (key, time) =>
      callStore('load', storeBudget, (target) => target.load(key, time)),
    ),
    commits,
    touches: createTouches({ callStore, commits, storeBudget, timeouts, now }),
    tombstones,
    revocations: createRevocations(random),
    upkeep,
    ends,
    feed,
    nearCache,
    maxPayloadBytes,
    warn,
    now,
  }
}

/** Also where nobody reads by the feed, or may be long behind it: ends are told, too. */
const LONGEST_INTERVAL = 1000

function feedIsDown(store: string, error: unknown): string {
  const why = error instanceof Error ? error.message : String(error)
  return `the change feed of the ${store} store does not work: ${why}. Until it does, every session is read from the store, and sessions that other processes end are no events here.`
}
