import { DecodedData } from './decoded-data.js'
import { weighPayload } from './entry-weight.js'
import { readRecord, type StoredSession } from './record.js'
import type { SessionRecord, StoreKey } from './store.js'

/**
 * Records that this process has read or written, kept as long as the store's feed proves that nobody changed them. It
 * may say yes and never no: what it does not find, or not as the cookie wants it, is asked of the store.
 *
 * Two clocks bound what it serves. The feed has proven itself within `maxStaleness`, so a change that was acknowledged
 * earlier has arrived, whatever the network does now. And an entry is `maxEntryAge` old at most, for a feed that proves
 * itself and yet lost an event.
 */
export interface NearCache {
  /** The session as it was read, while that may be served. */
  find(key: StoreKey, now: number): StoredSession | undefined
  /** A load is about to be sent. */
  reading(key: StoreKey): Ticket
  /** A write is about to be sent, with the version that it writes. */
  writing(key: StoreKey, version?: string): Ticket
  /**
   * What was sent has been answered, and this is the record that stands there now, where that is known. It is kept unless
   * something else happened to the key meanwhile. Called before anybody else hears of the answer.
   */
  answered(ticket: Ticket, record?: SessionRecord): void
  /** The record was touched: the one with this version lives on. */
  moved(key: StoreKey, version: string, times: Times): void
  /** Something happened to the key. With a version, what carries it is up to date. */
  drop(key: StoreKey, version?: string): void
  /** Anything may have happened. */
  clear(): void
  /** The feed has told all that was acknowledged before this instant. */
  proven(at: Instant): void
  readonly size: number
}

export interface Times {
  readonly lastSeenAt: number
  readonly expiresAt: number
}

/** One moment on two clocks: one that nobody sets, and one that goes on while a machine sleeps. */
export interface Instant {
  readonly steady: number
  readonly wall: number
}

export interface NearCacheOptions {
  /**
   * How old, in milliseconds, what the cache serves may be when the feed falls silent. The feed is asked four times in
   * this span whether it is alive, and once a second at least. Default 2000.
   */
  readonly maxStaleness?: number
  /** How long an entry is served before it is read again, in milliseconds. Default 30,000. */
  readonly maxEntryAge?: number
  /** The most sessions that are kept. Default 10,000. */
  readonly maxEntries?: number
  /** The most memory that they take, in bytes: estimated, by the length and the shape of the data. Default 33,554,432 (32 MiB). */
  readonly maxBytes?: number
}

/** A call that is under way. */
export interface Ticket {
  readonly key: StoreKey
  readonly isWrite: boolean
  readonly version: string | undefined
  readonly sentAt: number
  isGood: boolean
}

interface Entry {
  record: SessionRecord
  /** Read when it is first asked for. */
  stored: StoredSession | undefined
  readonly readAt: number
  readonly weight: number
  /** Since it was last passed over. */
  isUsed: boolean
}

/** What a client never answers must not pile up here. */
const MOST_UNDER_WAY = 10_000
const MOST_OF_A_KEY = 100

export function createNearCache(options: Required<NearCacheOptions>): NearCache {
  const { maxStaleness, maxEntryAge, maxEntries, maxBytes } = options
  const entries = new Map<StoreKey, Entry>()
  const tickets = new Map<StoreKey, Ticket[]>()
  let bytes = 0
  let provenAt: Instant = NEVER

  function isProven(steady: number): boolean {
    return steady - provenAt.steady <= maxStaleness && Date.now() - provenAt.wall <= maxStaleness
  }

  function remove(key: StoreKey, entry: Entry): void {
    entries.delete(key)
    bytes -= entry.weight
  }

  /** The oldest goes, but for one that was used meanwhile: that gets another round. */
  function makeRoom(): void {
    for (const [key, entry] of entries) {
      if (entries.size <= maxEntries && bytes <= maxBytes) return
      entries.delete(key)
      if (entry.isUsed) {
        entry.isUsed = false
        entries.set(key, entry)
      } else {
        bytes -= entry.weight
      }
    }
  }

  function issue(key: StoreKey, isWrite: boolean, version: string | undefined): Ticket {
    const ticket = { key, isWrite, version, sentAt: performance.now(), isGood: true }
    // Some may never be answered.
    if (tickets.size >= MOST_UNDER_WAY) spoilAll()
    if ((tickets.get(key)?.length ?? 0) >= MOST_OF_A_KEY) spoil(key)
    const all = tickets.get(key)
    if (all === undefined) tickets.set(key, [ticket])
    else all.push(ticket)
    return ticket
  }

  function collect(ticket: Ticket): void {
    const all = tickets.get(ticket.key)
    const place = all?.indexOf(ticket) ?? -1
    if (all === undefined || place < 0) return
    if (all.length === 1) tickets.delete(ticket.key)
    else all.splice(place, 1)
  }

  /** What is under way for the key is not kept, but for a write of `version`. */
  function spoil(key: StoreKey, version?: string): void {
    const all = tickets.get(key)
    if (all === undefined) return
    const good: Ticket[] = []
    for (const ticket of all) {
      if (version !== undefined && ticket.version === version) good.push(ticket)
      else ticket.isGood = false
    }
    if (good.length === 0) tickets.delete(key)
    else tickets.set(key, good)
  }

  function spoilAll(): void {
    for (const key of tickets.keys()) spoil(key)
  }

  function drop(key: StoreKey, version?: string): void {
    spoil(key, version)
    const entry = entries.get(key)
    if (entry === undefined || (version !== undefined && entry.record.version === version)) return
    remove(key, entry)
  }

  function keep({ key, sentAt }: Ticket, record: SessionRecord): void {
    if (!isProven(performance.now())) return
    const old = entries.get(key)
    if (old !== undefined) remove(key, old)
    if (typeof record.payload !== 'string') return
    const weight = weighPayload(record.payload)
    // It would push out all others, and then itself.
    if (weight > maxBytes) return
    entries.set(key, { record, stored: undefined, readAt: sentAt, weight, isUsed: false })
    bytes += weight
    makeRoom()
  }

  return {
    find(key, now) {
      const entry = entries.get(key)
      if (entry === undefined || entry.record.expiresAt <= now) return undefined
      const steady = performance.now()
      if (!isProven(steady)) return undefined
      if (steady - entry.readAt > maxEntryAge) {
        remove(key, entry)
        return undefined
      }
      entry.isUsed = true
      entry.stored ??= readForGood(key, entry.record)
      if (entry.stored === undefined) remove(key, entry)
      return entry.stored
    },

    reading: (key) => issue(key, false, undefined),

    writing(key, version) {
      drop(key)
      return issue(key, true, version)
    },

    answered(ticket, record) {
      collect(ticket)
      const entry = entries.get(ticket.key)
      if (ticket.isWrite) drop(ticket.key)
      // Which of the two is newer nobody knows, and somebody has read this one.
      else if (entry && record && entry.record.version !== record.version) remove(ticket.key, entry)
      if (record !== undefined && ticket.isGood) keep(ticket, record)
    },

    moved(key, version, { lastSeenAt, expiresAt }) {
      const entry = entries.get(key)
      if (entry === undefined || entry.record.version !== version) return
      if (entry.record.lastSeenAt >= lastSeenAt) return
      entry.record = { ...entry.record, lastSeenAt, expiresAt }
      if (entry.stored !== undefined) entry.stored = { ...entry.stored, lastSeenAt, expiresAt }
    },

    drop,

    clear() {
      provenAt = NEVER
      entries.clear()
      bytes = 0
      spoilAll()
    },

    proven(at) {
      provenAt = at
    },

    get size() {
      return entries.size
    },
  }
}

const NEVER: Instant = {
  steady: Number.NEGATIVE_INFINITY,
  wall: Number.NEGATIVE_INFINITY,
}

/** With room for its decoded data. What cannot be read is the store's to answer. */
function readForGood(key: StoreKey, record: SessionRecord): StoredSession | undefined {
  const stored = readRecord(key, record)
  return typeof stored === 'string'
    ? undefined
    : { ...stored, decoded: new DecodedData(stored.text) }
}
