import { createEngine, type Engine } from './engine.js'
import { SessionError } from './errors.js'
import type { SessionEventListener, SessionEvents } from './events.js'
import type { CoreOptions } from './options.js'
import type { Random } from './random.js'
import { readRecord, type StoredSession, type UserId } from './record.js'
import type { KeyedRecord, MaybePromise, SessionStore, StoreConcern, StoreKey } from './store.js'
import type { StoreOperation } from './store-calls.js'
import { checkUserId } from './user-id.js'

/** One session of a user, as a page of devices shows it. Times are milliseconds since 1970. */
export interface ListedSession {
  /** The public id: what `revoke` takes. It opens nothing. */
  readonly id: string
  readonly userId: UserId
  readonly createdAt: number
  readonly signedInAt: number | undefined
  readonly lastSeenAt: number
  readonly expiresAt: number
  /** With the option `devices`: what the device said of itself at sign-in and at its last touch. */
  readonly userAgent: string | undefined
  readonly ip: string | undefined
  /** Whether it is the session named in `current`. */
  readonly current: boolean
}

export interface CheckResult {
  /** Whether the store answers and can do its work. */
  readonly ok: boolean
  /** The name of the store. */
  readonly store: string
  /** Milliseconds that the store took to answer. */
  readonly latency: number | undefined
  /** Milliseconds that the store's clock is ahead of ours; 0 where they agree within 5 s. */
  readonly clockOffset: number
  /** What the store says is wrong with the set-up of its engine. */
  readonly concerns: readonly StoreConcern[]
  readonly error?: unknown
}

/** Everything about sessions that is not one request's business. */
export interface SessionManager {
  /**
   * The live sessions of a user, the one last seen first.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` where the store keeps no index by user.
   */
  listByUser(userId: UserId, options?: { readonly current?: string }): Promise<ListedSession[]>

  /**
   * Ends one session from anywhere and answers whether there was one. With `userId`, only if it is that user's: pass it
   * whenever the id comes from a request. An `userId` of `undefined`, as of a visitor who is not signed in, owns none.
   */
  revoke(id: string, options?: { readonly userId?: UserId | undefined }): Promise<boolean>

  /**
   * Ends every session of a user but for `except`, also those whose sign-in is still under way where the store can,
   * and answers how many. In a request that changes a password, pass `except: req.session.id`.
   */
  revokeByUser(
    userId: UserId,
    options?: { readonly except?: string | readonly string[] },
  ): Promise<number>

  on<Name extends keyof SessionEvents>(name: Name, listener: SessionEventListener<Name>): this
  off<Name extends keyof SessionEvents>(name: Name, listener: SessionEventListener<Name>): this

  /** Removes expired sessions now; otherwise it happens by itself every `pruneInterval`. Answers how many went. */
  prune(): Promise<number>

  /** Asks the store whether it answers and can do its work. Never rejects: what is wrong is in the result. */
  check(): Promise<CheckResult>

  /** Waits for pending touches, stops every timer and closes the store. */
  close(): Promise<void>
}

/** How long a revocation mark is kept: longer than any request takes from its password check to its sign-in. */
const MARK_LIFETIME = 60 * 60_000

export function createSessions(
  options: CoreOptions,
  random?: Random,
): {
  engine: Engine
  manager: SessionManager
} {
  const engine = createEngine(options, random)
  const { store, events, now, tombstones } = engine

  function call<T>(
    operation: StoreOperation,
    invoke: (target: SessionStore) => MaybePromise<T>,
  ): Promise<T> {
    return Promise.resolve().then(() => engine.callStore(operation, options.storeBudget, invoke))
  }

  const manager: SessionManager = {
    async listByUser(userId, { current } = {}) {
      const { listByUser } = requireUserIndex(store)
      const user = String(checkUserId(userId, 'listByUser'))
      const records = await call('listByUser', (target) => listByUser.call(target, user, now()))
      return records
        .map((keyed) => listed(engine, keyed, current))
        .filter((session) => session !== undefined)
        .sort((left, right) => right.lastSeenAt - left.lastSeenAt)
    },

    async revoke(id, options = {}) {
      if (typeof id !== 'string') throw new TypeError('revoke takes the id of a session, a string')
      const key = id as StoreKey
      if (!/^[\w-]{22}$/.test(id)) return false
      const { userId } = options
      // Asked for, and nobody: a visitor who is not signed in owns no session.
      if ('userId' in options && userId === undefined) return false
      if (userId !== undefined) {
        const user = String(checkUserId(userId, 'revoke'))
        const record = await call('load', (target) => target.load(key, now()))
        if (record?.userId !== user) return false
      }
      const existed = await end(key)
      if (existed) {
        events.emit('revoked', { id, userId })
        engine.ends.announce(key, 'revoke')
      }
      return existed
    },

    async revokeByUser(userId, { except = [] } = {}) {
      const { deleteByUser } = requireUserIndex(store)
      const user = String(checkUserId(userId, 'revokeByUser'))
      const kept = typeof except === 'string' ? [except] : except
      const time = now()
      const mark = {
        value: engine.revocations.issue(time, kept),
        expiresAt: time + MARK_LIFETIME,
      }
      const options = { except: kept as readonly StoreKey[], mark }
      let keys: readonly StoreKey[]
      try {
        keys = await call('deleteByUser', (target) =>
          deleteByUser.call(target, user, { ...options, now: time }),
        )
      } catch (error) {
        tombstones.addUser(user, { ...options, at: time })
        throw error
      }
      tombstones.dropUser(user)
      for (const id of keys) {
        events.emit('revoked', { id, userId })
        engine.ends.announce(id, 'revokeByUser')
      }
      return keys.length
    },

    on(name, listener) {
      if (typeof listener !== 'function') {
        throw new TypeError(`on('${String(name)}', listener): the listener is a function`)
      }
      events.on(name, listener)
      // Other processes end sessions, too.
      if (name === 'ended') engine.feed.start()
      return this
    },

    off(name, listener) {
      events.off(name, listener)
      return this
    },

    prune: () => engine.upkeep.prune(),

    async check() {
      try {
        const { error, ...health } = await engine.upkeep.check()
        const result = { store: store.name, ...health }
        return error === undefined ? { ok: true, ...result } : { ok: false, ...result, error }
      } catch (error) {
        const nothing = { latency: undefined, clockOffset: 0, concerns: [] }
        return { ok: false, store: store.name, ...nothing, error }
      }
    },

    async close() {
      engine.upkeep.close()
      engine.feed.close()
      engine.nearCache?.clear()
      engine.breaker.close()
      await engine.touches.settled()
      tombstones.close()
      await call('close', (target) => target.close?.())
    },
  }

  /** A revocation that the store does not confirm holds in this process, and is asked for again. */
  async function end(key: StoreKey): Promise<boolean> {
    try {
      return await call('delete', (target) => target.delete(key, now(), 'revoke'))
    } catch (error) {
      tombstones.add(key, 'revoke')
      throw error
    }
  }

  return { engine, manager }
}

function listed(
  engine: Engine,
  { key, record }: KeyedRecord,
  current: string | undefined,
): ListedSession | undefined {
  const stored: StoredSession | string = readRecord(key, record)
  if (typeof stored === 'string' || stored.meta.user === undefined) return undefined
  if (engine.tombstones.has(key) || engine.tombstones.covers(stored)) return undefined
  const { meta, lastSeenAt, expiresAt } = stored
  return {
    id: key,
    userId: stored.meta.user,
    createdAt: meta.createdAt,
    signedInAt: meta.signedInAt,
    lastSeenAt,
    expiresAt,
    userAgent: meta.device?.userAgent,
    ip: meta.device?.ip,
    current: key === current,
  }
}

function requireUserIndex(
  store: SessionStore,
): Required<Pick<SessionStore, 'listByUser' | 'deleteByUser'>> {
  const { listByUser, deleteByUser } = store
  if (listByUser === undefined || deleteByUser === undefined) {
    throw new SessionError(
      'ERR_SESSION_UNSUPPORTED',
      `the ${store.name} store keeps no index by user, so sessions of a user cannot be listed or revoked`,
    )
  }
  return { listByUser, deleteByUser }
}
