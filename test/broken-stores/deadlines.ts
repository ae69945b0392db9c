import { PRUNE_SLACK } from '../../src/core/store.js'
import type { BrokenStore } from './broken-store.js'
import { prunableKeys, remove } from './engine.js'

/** Stores that are wrong about time. */
export const wrongDeadlines: Record<string, BrokenStore> = {
  'loads what is past its deadline': {
    mutation: ({ engine, wire }) => ({ load: (key) => wire.send(() => engine.records.get(key)) }),
    caughtBy: 'deadlines: load answers until the millisecond before the deadline',
  },

  'lets a record live one millisecond longer': {
    mutation: ({ correct }) => ({ load: (key, now) => correct.load(key, now - 1) }),
    caughtBy: 'deadlines: a record whose deadline is past when it is created is never seen',
  },

  'revives with an update': {
    mutation: ({ correct }) => ({
      update: (key, record, expected) => correct.update(key, record, expected, 0),
    }),
    caughtBy: 'deadlines: update works until the deadline, and revives nothing after it',
  },

  'revives with a touch': {
    mutation: ({ correct }) => ({
      touch: (key, expected, seen, expires) => correct.touch(key, expected, seen, expires, 0),
    }),
    caughtBy: 'deadlines: touch works until the deadline, and revives nothing after it',
  },

  'does not create where a dead record lies': {
    mutation: ({ correct }) => ({ create: (key, record) => correct.create(key, record, 0) }),
    caughtBy: 'deadlines: create replaces a record from its deadline on, and not before',
  },

  'says that it deleted a dead record': {
    mutation: ({ correct }) => ({ delete: (key) => correct.delete(key, 0) }),
    caughtBy: 'deadlines: delete answers true until the deadline, false after it, and removes both',
  },

  'asks its own clock': {
    mutation: ({ correct }) => ({ load: (key) => correct.load(key, Date.now()) }),
    caughtBy: 'deadlines: the clock is the one handed in, in 2001 as in 2286',
  },

  'prunes at the deadline, without slack': {
    mutation: ({ correct }) => ({
      deleteExpired: (limit, now) => correct.deleteExpired(limit, now + PRUNE_SLACK),
    }),
    caughtBy:
      'prune: records go when they are past their deadline by more than the slack, not before',
  },

  'prunes without limit': {
    mutation: ({ correct }) => ({
      deleteExpired: (_limit, now) => correct.deleteExpired(1_000, now),
    }),
    caughtBy: 'prune: at most the limit goes at once, and calling on removes all',
  },

  'prunes what it found before, whatever became of it': {
    mutation: ({ engine, wire }) => ({
      async deleteExpired(limit, now) {
        const keys = await wire.send(() => prunableKeys(engine, limit, now))
        for (const key of keys) await wire.send(() => remove(engine, key, now))
        return keys.length
      },
    }),
    caughtBy:
      'prune steps: a session stored or touched between two commands of a prune is never lost',
  },
}
