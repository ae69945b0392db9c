import { storeError } from '../core/errors.js'
import {
  type EndReason,
  PRUNE_SLACK,
  type SessionRecord,
  type SessionStore,
  type StoreEvent,
  type StoreKey,
  type WriteResult,
} from '../core/store.js'

export interface MemoryStoreOptions {
  /** The most sessions that are kept. Default 100,000. */
  readonly maxEntries?: number
  /**
   * The most memory that sessions take, in bytes. Default 67,108,864 (64 MiB). Estimated: each session counts 512 bytes
   * and two for every UTF-16 unit of its payload, which is about what V8 needs for it and its place in the indexes.
   */
  readonly maxBytes?: number
}

/**
 * Keeps sessions in the memory of this process: they end with it, and no other process sees them. For development,
 * tests, and a single process that may forget everybody at a restart; `staykept/sqlite` does not forget.
 *
 * Bounded. When it is full, sessions in which nobody is signed in make room, the one unused for longest first. Where
 * only signed-in ones are left, a new session is refused with `ERR_SESSION_STORE_FULL` instead. It has no timers and
 * never keeps the process alive.
 *
 * Throws a `TypeError` for an option that is not a whole number in its range.
 */
export function memoryStore(options: MemoryStoreOptions = {}): SessionStore {
  const { maxEntries = 100_000, maxBytes = 64 * 1024 * 1024 } = checked(options)

  const records = new Map<StoreKey, SessionRecord>()
  /** Keys of records without a user, the least recently written first. */
  const anonymous = new Set<StoreKey>()
  const byUser = new Map<string, Set<StoreKey>>()
  /** By user, the oldest first. */
  const marks = new Map<string, { readonly value: string; readonly expiresAt: number }>()
  const listeners = new Set<(event: StoreEvent) => void>()
  let bytes = 0
  let anonymousBytes = 0
  let sweptAt = Number.NEGATIVE_INFINITY

  function find(key: StoreKey, now: number): SessionRecord | undefined {
    const record = records.get(key)
    return record !== undefined && record.expiresAt > now ? record : undefined
  }

  function write(key: StoreKey, record: SessionRecord): void {
    const old = records.get(key)
    if (old !== undefined) leaveIndex(key, old, record.userId)
    const weight = weigh(record)
    bytes += weight
    if (record.userId === undefined) {
      anonymous.add(key)
      anonymousBytes += weight
    } else {
      const keys = byUser.get(record.userId)
      if (keys === undefined) byUser.set(record.userId, new Set([key]))
      else keys.add(key)
    }
    records.set(key, record)
  }

  function remove(key: StoreKey, record: SessionRecord): void {
    records.delete(key)
    leaveIndex(key, record)
  }

  function end(key: StoreKey, record: SessionRecord, reason?: EndReason): void {
    remove(key, record)
    tell({ type: 'ended', key, reason })
  }

  function leaveIndex(key: StoreKey, old: SessionRecord, nextUserId?: string): void {
    const weight = weigh(old)
    bytes -= weight
    if (old.userId === undefined) {
      anonymous.delete(key)
      anonymousBytes -= weight
    } else if (old.userId !== nextUserId) {
      const keys = byUser.get(old.userId)
      keys?.delete(key)
      if (keys?.size === 0) byUser.delete(old.userId)
    }
  }

  /** Makes room for `record` under `key` by ending anonymous sessions, or throws with nothing changed. */
  function makeRoom(key: StoreKey, record: SessionRecord, now: number): void {
    const old = records.get(key)
    const moreEntries = old === undefined ? 1 : 0
    const moreBytes = weigh(record) - (old === undefined ? 0 : weigh(old))
    const isTooMuch = (freedEntries: number, freedBytes: number): boolean =>
      records.size + moreEntries - freedEntries > maxEntries ||
      bytes + moreBytes - freedBytes > maxBytes
    const isFull = (): boolean =>
      old !== undefined && old.userId === undefined
        ? isTooMuch(anonymous.size - 1, anonymousBytes - weigh(old))
        : isTooMuch(anonymous.size, anonymousBytes)

    if (!isTooMuch(0, 0)) return
    // At most once a second: a flood of refusals must not cost a look at thousands of records each.
    if (isFull() && Math.abs(now - sweptAt) >= 1000) {
      sweptAt = now
      deleteExpired(SWEEP, now)
    }
    if (isFull()) throw full(maxEntries, maxBytes)
    for (const victim of anonymous) {
      if (!isTooMuch(0, 0)) return
      if (victim !== key) end(victim, records.get(victim) as SessionRecord)
    }
  }

  function deleteExpired(limit: number, now: number): number {
    let removed = 0
    let left = Math.min(records.size, SWEEP)
    for (const [key, record] of records) {
      if (left-- === 0 || removed >= limit) break
      if (record.expiresAt + PRUNE_SLACK < now) {
        remove(key, record)
        removed += 1
      } else {
        // To the back of the line, so that the next call looks at others. A kept iterator would do it without the
        // move, but V8 lets every table that the map has outgrown live on as long as such an iterator.
        records.delete(key)
        records.set(key, record)
      }
    }
    for (const [userId, mark] of marks) {
      if (mark.expiresAt > now) break
      marks.delete(userId)
    }
    return removed
  }

  function tell(event: StoreEvent): void {
    for (const listener of listeners) listener(event)
  }

  return {
    name: 'memory',
    limits: { maxPayloadBytes: Math.floor((maxBytes - ENTRY_BYTES) / 2) },

    load: find,

    create(key, record, now) {
      const old = records.get(key)
      if (old !== undefined) {
        if (old.expiresAt > now) return false
        remove(key, old)
      }
      makeRoom(key, record, now)
      write(key, frozen(record, record.lastSeenAt, record.expiresAt))
      tell({ type: 'changed', key, version: record.version })
      return true
    },

    update(key, record, expectedVersion, now, ends) {
      const stored = find(key, now)
      if (stored === undefined) return MISSING
      if (stored.version !== expectedVersion) return { outcome: 'conflict', record: stored }
      makeRoom(key, record, now)
      const { lastSeenAt, expiresAt, absoluteExpiresAt } = record
      const ahead = stored.lastSeenAt - lastSeenAt
      const next =
        ahead > 0 && expiresAt > now
          ? frozen(record, stored.lastSeenAt, Math.min(expiresAt + ahead, absoluteExpiresAt))
          : frozen(record, lastSeenAt, expiresAt)
      write(key, next)
      tell(
        ends === undefined
          ? { type: 'changed', key, version: record.version }
          : { type: 'ended', key, reason: ends },
      )
      return UPDATED
    },

    touch(key, expectedVersion, lastSeenAt, expiresAt, now) {
      const stored = find(key, now)
      if (stored === undefined) return MISSING
      if (stored.version !== expectedVersion) return { outcome: 'conflict', record: stored }
      if (lastSeenAt > stored.lastSeenAt) write(key, frozen(stored, lastSeenAt, expiresAt))
      return UPDATED
    },

    delete(key, now, reason) {
      const record = records.get(key)
      if (record === undefined) return false
      if (record.expiresAt > now) end(key, record, reason)
      else remove(key, record)
      return record.expiresAt > now
    },

    listByUser(userId, now) {
      return [...(byUser.get(userId) ?? [])].flatMap((key) => {
        const record = find(key, now)
        return record === undefined ? [] : [{ key, record }]
      })
    },

    deleteByUser(userId, { except, mark, now }) {
      const known = marks.get(userId)
      if (known === undefined || known.expiresAt <= mark.expiresAt) {
        marks.delete(userId)
        marks.set(userId, { value: mark.value, expiresAt: mark.expiresAt })
      }
      for (const oldest of marks.keys()) {
        if (marks.size <= maxEntries) break
        marks.delete(oldest)
      }
      const staying = new Set(except)
      const ended: StoreKey[] = []
      for (const key of byUser.get(userId) ?? []) {
        const record = find(key, now)
        if (record === undefined || staying.has(key)) continue
        end(key, record, 'revokeByUser')
        ended.push(key)
      }
      return ended
    },

    revocationMark(userId, now) {
      const mark = marks.get(userId)
      return mark !== undefined && mark.expiresAt > now ? mark.value : undefined
    },

    deleteExpired,

    watch(listener) {
      // Wrapped: the same function may listen twice, and each stops for itself.
      const own = (event: StoreEvent): void => listener(event)
      listeners.add(own)
      return {
        check() {},
        stop() {
          listeners.delete(own)
        },
      }
    },

    ping() {
      return {}
    },

    close() {
      listeners.clear()
    },
  }
}

/** What a record without its payload costs: measured at 480 bytes with a user, at 280 without. */
const ENTRY_BYTES = 512
/** How many records one prune looks at: a millisecond or two. */
const SWEEP = 5000

const UPDATED: WriteResult = Object.freeze({ outcome: 'updated' })
const MISSING: WriteResult = Object.freeze({ outcome: 'missing' })

function weigh(record: { readonly payload: string }): number {
  return ENTRY_BYTES + 2 * record.payload.length
}

/** A copy that nobody can change, so that `load` can hand out the record itself. */
function frozen(record: SessionRecord, lastSeenAt: number, expiresAt: number): SessionRecord {
  const { version, payload, userId, absoluteExpiresAt } = record
  return Object.freeze(
    userId === undefined
      ? { version, payload, lastSeenAt, expiresAt, absoluteExpiresAt }
      : { version, payload, userId, lastSeenAt, expiresAt, absoluteExpiresAt },
  )
}

function full(maxEntries: number, maxBytes: number): Error {
  return storeError(
    `memoryStore is full of signed-in sessions (maxEntries ${maxEntries}, maxBytes ${maxBytes}): raise the limit, or keep sessions on disk with sqliteStore from staykept/sqlite`,
    { executed: 'full' },
  )
}

function checked(options: MemoryStoreOptions): MemoryStoreOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('memoryStore takes an object: memoryStore({ maxEntries: 10_000 })')
  }
  for (const [name, value] of Object.entries(options)) {
    const least = LEAST[name]
    if (least === undefined) {
      throw new TypeError(`memoryStore has no option "${name}": it takes maxEntries and maxBytes`)
    }
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw new TypeError(
        `memoryStore: ${name} must be a whole number of at least ${least}, not ${String(value)}`,
      )
    }
  }
  return options
}

const LEAST: Readonly<Record<string, number>> = { maxEntries: 1, maxBytes: 1024 }
