import type { SessionRecord, StoreEvent, StoreKey } from '../../src/core/store.js'
import type { BrokenStore } from './broken-store.js'
import { leave, live, remove } from './engine.js'
import type { Mutation } from './reference.js'

/** Stores that are wrong about what lies between them and their engine. */
export const wrongConnections: Record<string, BrokenStore> = {
  'sends an update again when its reply is lost': {
    mutation: ({ correct }) => ({
      async update(key, record, expected, now) {
        try {
          return await correct.update(key, record, expected, now)
        } catch {
          return correct.update(key, record, expected, now)
        }
      },
    }),
    caughtBy: 'lost replies: an update whose reply is lost rejects, was sent once, and stands',
  },

  'creates again, later, when the reply to a create is lost': {
    mutation: ({ correct }) => ({
      async create(key, record, now) {
        try {
          return await correct.create(key, record, now)
        } catch (error) {
          setTimeout(() => correct.create(key, record, now), 20)
          throw error
        }
      },
    }),
    caughtBy: 'lost replies: a create whose reply is lost rejects, was sent once, and stands',
  },

  'says of a delete whose reply is lost that it was not executed': {
    mutation: ({ correct }) => ({
      async delete(key, now) {
        try {
          return await correct.delete(key, now)
        } catch (cause) {
          throw Object.assign(new Error('down', { cause }), { code: 'ERR_SESSION_STORE' })
        }
      },
    }),
    caughtBy: 'lost replies: a delete whose reply is lost rejects, was sent once, and stands',
  },

  'never answers again once it was told to reconnect': {
    mutation({ correct }) {
      let isGone = false
      return {
        load: async (key, now) => {
          if (isGone) throw new Error('The client is closed')
          return correct.load(key, now)
        },
        reconnect() {
          isGone = true
        },
      }
    },
    caughtBy: 'hygiene: a store goes on with a new connection as with the old one',
  },

  'says what is wrong with its engine in a word of its own': {
    mutation: ({ correct }) => ({
      async ping() {
        const concern = { code: 'EVICTION', message: 'allkeys-lru' }
        return { ...(await correct.ping()), concerns: [concern as never] }
      },
    }),
    caughtBy: 'hygiene: what ping has to say of the set-up is a list of codes with words',
  },

  'loads from what this process has read before': {
    mutation({ engine, correct }) {
      const cache = new Map<StoreKey, SessionRecord>()
      return {
        async load(key, now) {
          const kept = cache.get(key)
          if (kept && kept.expiresAt > now && live(engine, key, now)) return kept
          const record = await correct.load(key, now)
          if (record) cache.set(key, record)
          return record
        },
        update(key, record, expected, now) {
          cache.delete(key)
          return correct.update(key, record, expected, now)
        },
        touch(key, expected, lastSeenAt, expiresAt, now) {
          cache.delete(key)
          return correct.touch(key, expected, lastSeenAt, expiresAt, now)
        },
      }
    },
    caughtBy: 'two processes: what one has written the other reads at once',
  },

  'loads from a replica that is behind': {
    mutation({ engine, wire, correct }) {
      const replica = new Map<StoreKey, SessionRecord | undefined>()
      return {
        load: (key, now) =>
          wire.send(() => {
            const behind = replica.has(key) ? replica.get(key) : engine.records.get(key)
            return behind && behind.expiresAt > now ? behind : undefined
          }),
        async update(key, record, expected, now) {
          replica.set(key, engine.records.get(key))
          setTimeout(() => replica.delete(key), 5)
          return correct.update(key, record, expected, now)
        },
      }
    },
    caughtBy: 'records: update swaps the whole record',
  },

  'deletes in two commands that can be parted': {
    mutation: ({ engine, wire }) => ({
      async delete(key, now) {
        const stored = await wire.send(() => live(engine, key, now))
        await wire.send(() => remove(engine, key, now))
        const userId = stored?.userId
        if (userId !== undefined) await wire.send(() => leave(engine, userId, key))
        return stored !== undefined
      },
    }),
    caughtBy: 'races: of 20 deletes of one key exactly one answers true',
  },

  'says nothing of deletions in its feed': {
    mutation: feedOf((event, tell) => {
      if (event.type !== 'ended') tell(event)
    }),
    caughtBy: 'watch: every change of a record is told, with its key',
  },

  'tells an end as a change like any other': {
    mutation: feedOf((event, tell) => {
      tell(event.type === 'ended' ? { type: 'changed', key: event.key } : event)
    }),
    caughtBy: 'watch: an end is told as such',
  },

  'tells every end as a sign-out': {
    mutation: feedOf((event, tell) => {
      tell(event.type === 'ended' ? { ...event, reason: 'signOut' } : event)
    }),
    caughtBy: 'watch: an end is told with what it was called, or without a word',
  },

  'tells an end that was refused': {
    mutation: ({ engine, correct }) => ({
      async update(key, record, expected, now, ends) {
        const answer = await correct.update(key, record, expected, now, ends)
        if (ends === undefined || answer.outcome === 'updated') return answer
        for (const listener of engine.listeners) listener({ type: 'ended', key, reason: ends })
        return answer
      },
    }),
    caughtBy: 'watch: what did not happen is not told as an end',
  },

  'tells the version from before': {
    mutation: feedOf((event, tell, last) => {
      if (event.type === 'changed') tell({ ...event, version: last.get(event.key) })
      else tell(event)
      if (event.type === 'changed') last.set(event.key, event.version)
    }),
    caughtBy: 'watch: a version that is told is that of the record which stands there',
  },

  'proves a feed that is behind': {
    mutation: feedOf((event, tell) => setTimeout(tell, 20, event)),
    caughtBy: 'watch: once a check has answered, everything acknowledged before it was told',
  },

  'keeps quiet about a feed that was cut': {
    mutation: feedOf((event, tell) => {
      if (event.type !== 'reset') tell(event)
    }),
    caughtBy: 'feed cuts: a feed that was cut tells a reset, and goes on',
  },

  'leaves its timer running when it is closed': {
    mutation() {
      setTimeout(() => undefined, 20_000)
      return {}
    },
    caughtBy: 'hygiene: a closed store leaves no timer, file or connection open',
  },

  'tells the time in seconds': {
    mutation: () => ({ ping: () => ({ now: Date.now() / 1_000 }) }),
    caughtBy: 'hygiene: ping answers, and a clock it shows counts milliseconds since 1970',
  },
}

/** A feed whose events go through `change`, which is also given the last version that was told of each key. */
function feedOf(
  change: (
    event: StoreEvent,
    tell: (event: StoreEvent) => void,
    last: Map<StoreKey, string | undefined>,
  ) => void,
): Mutation {
  return ({ correct }) => ({
    watch(listener) {
      const last = new Map<StoreKey, string | undefined>()
      return correct.watch((event) => change(event, listener, last))
    },
  })
}
