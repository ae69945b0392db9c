import type { Around, ChangingMethod } from '../../src/conformance.js'
import {
  type DeleteByUserOptions,
  type EndReason,
  PRUNE_SLACK,
  type SessionRecord,
  type StoreEvent,
  type StoreKey,
  type WriteResult,
} from '../../src/core/store.js'

/**
 * A small database such as a store could stand on: tables, a handful of atomic commands, and everything that the kit's
 * hooks ask of an engine. Stores send their commands through a `Wire`.
 */
export interface Engine {
  readonly records: Map<StoreKey, SessionRecord>
  /** For each user the keys of the sessions, each with its absolute deadline. */
  readonly index: Map<string, Map<StoreKey, number>>
  readonly marks: Map<string, DeleteByUserOptions['mark']>
  readonly listeners: Set<(event: StoreEvent) => void>
  readonly executed: Record<ChangingMethod, number>
  /** The change whose reply is lost next. */
  cut: ChangingMethod | undefined
}

/** Of two marks the one that is kept longer stays, so that an older one that comes late hides nothing. */
export function setMark(
  { marks }: Engine,
  userId: string,
  mark: DeleteByUserOptions['mark'],
): void {
  const known = marks.get(userId)
  if (known === undefined || known.expiresAt <= mark.expiresAt) marks.set(userId, mark)
}

export function newEngine(): Engine {
  return {
    records: new Map(),
    index: new Map(),
    marks: new Map(),
    listeners: new Set(),
    executed: { create: 0, update: 0, touch: 0, delete: 0 },
    cut: undefined,
  }
}

/** How a store reaches its engine: one command at a time, each of them atomic, each with a way to go. */
export interface Wire {
  send<T>(command: () => T, changes?: ChangingMethod): Promise<T>
  intercept(around: Around): () => void
}

export function newWire(engine: Engine): Wire {
  const arounds = new Set<Around>()

  async function execute<T>(command: () => T, changes: ChangingMethod | undefined): Promise<T> {
    const reply = command()
    if (changes !== undefined) engine.executed[changes] += 1
    if (changes !== undefined && engine.cut === changes) {
      engine.cut = undefined
      throw new Error('The connection was closed')
    }
    await undefined
    return reply
  }

  return {
    send<T>(command: () => T, changes?: ChangingMethod): Promise<T> {
      const direct = () => execute(command, changes)
      const wrapped = [...arounds].reduce<() => Promise<T>>(
        (send, around) => () => around(send),
        direct,
      )
      return wrapped()
    },
    intercept(around) {
      arounds.add(around)
      return () => arounds.delete(around)
    },
  }
}

/** The atomic commands. */
export function live(engine: Engine, key: StoreKey, now: number): SessionRecord | undefined {
  const record = engine.records.get(key)
  return record !== undefined && record.expiresAt > now ? record : undefined
}

export function put(engine: Engine, key: StoreKey, record: SessionRecord, ends?: EndReason): void {
  engine.records.set(key, { ...record })
  tell(
    engine,
    ends === undefined
      ? { type: 'changed', key, version: record.version }
      : { type: 'ended', key, reason: ends },
  )
}

export function putIfAbsent(
  engine: Engine,
  key: StoreKey,
  record: SessionRecord,
  now: number,
): boolean {
  if (live(engine, key, now)) return false
  put(engine, key, record)
  return true
}

export function swap(
  engine: Engine,
  key: StoreKey,
  record: SessionRecord,
  expected: string,
  now: number,
  ends?: EndReason,
): WriteResult {
  const stored = live(engine, key, now)
  if (!stored) return { outcome: 'missing' }
  if (stored.version !== expected) return { outcome: 'conflict', record: stored }
  put(engine, key, withLastSeen(record, stored, now), ends)
  return { outcome: 'updated' }
}

/** `record`, to replace `stored`, whose last-seen may be later. */
export function withLastSeen(
  record: SessionRecord,
  stored: SessionRecord,
  now: number,
): SessionRecord {
  const ahead = stored.lastSeenAt - record.lastSeenAt
  if (ahead <= 0 || record.expiresAt <= now) return record
  const expiresAt = Math.min(record.expiresAt + ahead, record.absoluteExpiresAt)
  return { ...record, lastSeenAt: stored.lastSeenAt, expiresAt }
}

export function move(
  engine: Engine,
  key: StoreKey,
  expected: string,
  times: { lastSeenAt: number; expiresAt: number },
  now: number,
): WriteResult {
  const stored = live(engine, key, now)
  if (!stored) return { outcome: 'missing' }
  if (stored.version !== expected) return { outcome: 'conflict', record: stored }
  if (times.lastSeenAt > stored.lastSeenAt) engine.records.set(key, { ...stored, ...times })
  return { outcome: 'updated' }
}

export function remove(engine: Engine, key: StoreKey, now: number, reason?: EndReason): boolean {
  const alive = live(engine, key, now) !== undefined
  if (engine.records.delete(key)) tell(engine, { type: 'ended', key, reason })
  return alive
}

/** Removes the live record of this user; whose it is and the removal are one step. */
export function removeOf(engine: Engine, key: StoreKey, userId: string, now: number): boolean {
  return live(engine, key, now)?.userId === userId && remove(engine, key, now, 'revokeByUser')
}

export function prunable(engine: Engine, key: StoreKey, now: number): boolean {
  const record = engine.records.get(key)
  return record !== undefined && now - record.expiresAt > PRUNE_SLACK
}

export function prunableKeys(engine: Engine, limit: number, now: number): StoreKey[] {
  return [...engine.records.keys()].filter((key) => prunable(engine, key, now)).slice(0, limit)
}

export function enter(engine: Engine, userId: string, key: StoreKey, until: number): void {
  const entries = engine.index.get(userId) ?? new Map<StoreKey, number>()
  entries.set(key, Math.max(until, entries.get(key) ?? 0))
  engine.index.set(userId, entries)
}

export function leave(engine: Engine, userId: string, key: StoreKey): void {
  engine.index.get(userId)?.delete(key)
}

export function entriesOf(engine: Engine, userId: string): StoreKey[] {
  return [...(engine.index.get(userId)?.keys() ?? [])]
}

function tell(engine: Engine, event: StoreEvent): void {
  for (const listener of engine.listeners) listener(event)
}
