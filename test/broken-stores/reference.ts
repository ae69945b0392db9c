import type { OpenedStore } from '../../src/conformance.js'
import type { KeyedRecord, SessionRecord, SessionStore, StoreKey } from '../../src/core/store.js'
import {
  type Engine,
  enter,
  entriesOf,
  leave,
  live,
  move,
  newEngine,
  newWire,
  prunable,
  prunableKeys,
  putIfAbsent,
  remove,
  removeOf,
  setMark,
  swap,
  type Wire,
} from './engine.js'

/** What a wrong store is made of: the correct one and the way to its engine. */
export interface Parts {
  readonly engine: Engine
  readonly wire: Wire
  readonly correct: Required<SessionStore>
}

/** A mutation: the methods that are wrong. */
export type Mutation = (parts: Parts) => Partial<SessionStore>

/** Opens the correct store over its engine, with `mutation` over it, and every hook there is. */
export function openReference(mutation: Mutation = () => ({})): OpenedStore {
  const engine = newEngine()
  const wire = newWire(engine)
  const build = (through: Wire): SessionStore => {
    const correct = referenceStore(engine, through)
    return { ...correct, ...mutation({ engine, wire: through, correct }) }
  }
  return {
    store: build(wire),
    reopen: () => build(newWire(engine)),
    intercept: (around) => wire.intercept(around),
    cutFeed() {
      for (const listener of engine.listeners) listener({ type: 'reset' })
    },
    cutReply(method) {
      engine.cut = method
    },
    executions: (method) => engine.executed[method],
  }
}

/** The correct store, written as one writes one for a key-value server: a user index beside the records. */
export function referenceStore(engine: Engine, wire: Wire): Required<SessionStore> {
  const load = (key: StoreKey, now: number) => wire.send(() => live(engine, key, now))

  async function indexed(key: StoreKey, record: SessionRecord): Promise<void> {
    const { userId, absoluteExpiresAt } = record
    if (userId === undefined) return
    await wire.send(() => enter(engine, userId, key, absoluteExpiresAt))
  }

  async function listByUser(userId: string, now: number): Promise<KeyedRecord[]> {
    const keys = await wire.send(() => entriesOf(engine, userId))
    const found = await Promise.all(
      keys.map(async (key) => ({ key, record: await load(key, now) })),
    )
    return found.filter((entry): entry is KeyedRecord => entry.record?.userId === userId)
  }

  return {
    name: 'reference',
    limits: { maxPayloadBytes: 300_000 },
    load,

    async create(key, record, now) {
      await indexed(key, record)
      return wire.send(() => putIfAbsent(engine, key, record, now), 'create')
    },

    async update(key, record, expectedVersion, now, ends) {
      await indexed(key, record)
      return wire.send(() => swap(engine, key, record, expectedVersion, now, ends), 'update')
    },

    touch: (key, expectedVersion, lastSeenAt, expiresAt, now) =>
      wire.send(() => move(engine, key, expectedVersion, { lastSeenAt, expiresAt }, now), 'touch'),

    async delete(key, now, reason) {
      const { alive, userId } = await wire.send(() => {
        const userId = engine.records.get(key)?.userId
        return { alive: remove(engine, key, now, reason), userId }
      }, 'delete')
      if (userId !== undefined) await wire.send(() => leave(engine, userId, key))
      return alive
    },

    listByUser,

    async deleteByUser(userId, { except, mark, now }) {
      await wire.send(() => setMark(engine, userId, mark))
      const keys = await wire.send(() => entriesOf(engine, userId))
      const removed: StoreKey[] = []
      for (const key of keys.filter((one) => !except.includes(one))) {
        if (!(await wire.send(() => removeOf(engine, key, userId, now)))) continue
        removed.push(key)
        await wire.send(() => leave(engine, userId, key))
      }
      return removed
    },

    revocationMark: (userId) => wire.send(() => engine.marks.get(userId)?.value),

    async deleteExpired(limit, now) {
      const keys = await wire.send(() => prunableKeys(engine, limit, now))
      let count = 0
      for (const key of keys) {
        const gone = await wire.send(() => prunable(engine, key, now) && !remove(engine, key, now))
        if (gone) count += 1
      }
      return count
    },

    watch(listener) {
      // A listener may be given twice, and each stops on its own.
      const own = (event: Parameters<typeof listener>[0]) => listener(event)
      engine.listeners.add(own)
      return { check: () => wire.send(() => undefined), stop: () => engine.listeners.delete(own) }
    },

    ping: () => wire.send(() => ({ now: Date.now() })),
    reconnect: () => undefined,
    close: () => undefined,
  }
}

/** The correct store with no way to go: every method answers at once, as memory and SQLite do. */
export function openSyncReference(): SessionStore {
  const engine = newEngine()
  const users = (userId: string, now: number) =>
    [...engine.records].flatMap(([key, record]) =>
      record.userId === userId && record.expiresAt > now ? [{ key, record }] : [],
    )
  return {
    name: 'sync reference',
    load: (key, now) => live(engine, key, now),
    create: (key, record, now) => putIfAbsent(engine, key, record, now),
    update: (key, record, expected, now) => swap(engine, key, record, expected, now),
    touch: (key, expected, lastSeenAt, expiresAt, now) =>
      move(engine, key, expected, { lastSeenAt, expiresAt }, now),
    delete: (key, now) => remove(engine, key, now),
    listByUser: users,
    deleteByUser: (userId, { except, now }) =>
      users(userId, now).flatMap(({ key }) =>
        !except.includes(key) && remove(engine, key, now) ? [key] : [],
      ),
    deleteExpired: (limit, now) =>
      prunableKeys(engine, limit, now).filter((key) => !remove(engine, key, now)).length,
  }
}

/** No capability but the five methods that every store has. */
export function openSmallest(): SessionStore {
  const engine = newEngine()
  const {
    name,
    load,
    create,
    update,
    touch,
    delete: remove,
  } = referenceStore(engine, newWire(engine))
  return { name, load, create, update, touch, delete: remove }
}
