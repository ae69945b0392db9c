import type { KeyedRecord } from '../../src/core/store.js'
import type { BrokenStore } from './broken-store.js'
import {
  enter,
  entriesOf,
  leave,
  live,
  prunableKeys,
  putIfAbsent,
  remove,
  removeOf,
  swap,
} from './engine.js'
import type { Parts } from './reference.js'

/** Stores that are wrong about whose sessions there are. */
export const wrongUsers: Record<string, BrokenStore> = {
  'writes the record before its index entry': {
    mutation: ({ engine, wire }) => ({
      async create(key, record, now) {
        const created = await wire.send(() => putIfAbsent(engine, key, record, now))
        const { userId } = record
        if (created && userId !== undefined) {
          await wire.send(() => enter(engine, userId, key, record.absoluteExpiresAt))
        }
        return created
      },
    }),
    caughtBy: 'by-user steps: a create that is killed leaves no live session out of the list',
  },

  'writes the record of a sign-in before its index entry': {
    mutation: ({ engine, wire }) => ({
      async update(key, record, expected, now) {
        const answer = await wire.send(() => swap(engine, key, record, expected, now), 'update')
        const { userId } = record
        if (answer.outcome === 'updated' && userId !== undefined) {
          await wire.send(() => enter(engine, userId, key, record.absoluteExpiresAt))
        }
        return answer
      },
    }),
    caughtBy: 'by-user steps: a sign-in that is killed leaves no live session out of the list',
  },

  'removes an index entry before its record': {
    mutation: ({ engine, wire }) => ({
      async delete(key, now) {
        const userId = await wire.send(() => engine.records.get(key)?.userId)
        if (userId !== undefined) await wire.send(() => leave(engine, userId, key))
        return wire.send(() => remove(engine, key, now), 'delete')
      },
    }),
    caughtBy:
      'by-user steps: a delete or an end that is killed leaves no live session out of the list',
  },

  'tidies away an index entry whose record is not there': {
    mutation: (parts) => ({
      async listByUser(userId, now) {
        const found = await readAll(parts, userId, now)
        for (const { key, record } of found) {
          if (!record) await parts.wire.send(() => leave(parts.engine, userId, key))
        }
        return found.filter((entry): entry is KeyedRecord => entry.record?.userId === userId)
      },
    }),
    caughtBy:
      'by-user steps: listing and ending in the middle of a create hide nothing from the next',
  },

  'ends only the versions that it has seen': {
    mutation: ({ engine, wire, correct }) => ({
      async deleteByUser(userId, { except, now }) {
        const seen = (await correct.listByUser(userId, now)) as KeyedRecord[]
        const gone = seen.filter(({ key }) => !except.includes(key))
        const answers = await Promise.all(
          gone.map(({ key, record }) =>
            wire.send(() => {
              const same = live(engine, key, now)?.version === record.version
              return same && remove(engine, key, now)
            }),
          ),
        )
        return gone.filter((_, index) => answers[index]).map(({ key }) => key)
      },
    }),
    caughtBy:
      'by-user steps: a session that is written to while all are ended is ended all the same',
  },

  'lists what its index says, whoever has it now': {
    mutation: (parts) => ({
      async listByUser(userId, now) {
        const found = await readAll(parts, userId, now)
        return found.filter((entry): entry is KeyedRecord => entry.record !== undefined)
      },
    }),
    caughtBy: 'by-user: a key that another user has now is not the first one’s any more',
  },

  'forgets an index entry at the first absolute deadline': {
    mutation: (parts) => ({
      async update(key, record, expected, now) {
        const entries = parts.engine.index.get(record.userId ?? '')
        const until = entries?.get(key)
        const answer = await parts.correct.update(key, record, expected, now)
        if (until !== undefined) entries?.set(key, until)
        return answer
      },
      async listByUser(userId, now) {
        const entries = parts.engine.index.get(userId) ?? new Map()
        for (const [key, until] of entries) if (until <= now) entries.delete(key)
        return parts.correct.listByUser(userId, now)
      },
    }),
    caughtBy: 'by-user: a session whose absolute deadline is put off stays listed past the old one',
  },

  'prunes the index before the records': {
    mutation: ({ engine, wire, correct }) => ({
      async deleteExpired(limit, now) {
        const keys = await wire.send(() => prunableKeys(engine, limit, now))
        for (const key of keys) {
          const userId = engine.records.get(key)?.userId
          if (userId !== undefined) await wire.send(() => leave(engine, userId, key))
        }
        return correct.deleteExpired(limit, now)
      },
    }),
    caughtBy:
      'prune steps: a session stored or touched between two commands of a prune stays listed',
  },

  'does not index a user who comes with an update': {
    mutation: ({ engine, wire }) => ({
      update: (key, record, expected, now) =>
        wire.send(() => swap(engine, key, record, expected, now), 'update'),
    }),
    caughtBy: 'by-user: a session shows up when its user signs in, and goes when it is deleted',
  },

  'ends the excepted sessions too': {
    mutation: ({ correct }) => ({
      deleteByUser: (userId, options) => correct.deleteByUser(userId, { ...options, except: [] }),
    }),
    caughtBy: 'by-user: except keeps the keys it names, and only those',
  },

  'answers the keys of dead sessions as ended': {
    mutation: (parts) => ({
      async deleteByUser(userId, options) {
        const keys = entriesOf(parts.engine, userId)
        await parts.correct.deleteByUser(userId, options)
        return keys.filter((key) => !options.except.includes(key))
      },
    }),
    caughtBy: 'by-user: sessions are listed and ended until the millisecond before their deadline',
  },

  'lists one page': {
    mutation: ({ correct }) => ({
      listByUser: async (userId, now) => (await correct.listByUser(userId, now)).slice(0, 50),
    }),
    caughtBy: 'by-user: a hundred sessions of one user are all listed and all ended',
  },

  'keeps its index under folded user ids': {
    mutation: ({ engine, correct }) => ({
      async listByUser(userId, now) {
        const fold = (id: string | undefined) => id?.normalize('NFKC').trim().toLowerCase()
        const all = [...engine.index.keys()].filter((id) => fold(id) === fold(userId))
        return (await Promise.all(all.map((id) => correct.listByUser(id, now)))).flat()
      },
    }),
    caughtBy: 'user ids: no two user ids are taken for one another',
  },

  'marks a revocation after it has looked': {
    mutation: ({ engine, wire }) => ({
      async deleteByUser(userId, { except, mark, now }) {
        const keys = await wire.send(() => entriesOf(engine, userId))
        const removed = []
        for (const key of keys.filter((one) => !except.includes(one))) {
          if (await wire.send(() => removeOf(engine, key, userId, now))) removed.push(key)
        }
        await wire.send(() => engine.marks.set(userId, mark))
        return removed
      },
    }),
    caughtBy: 'revocation steps: a sign-in between any two commands is ended or sees the mark',
  },

  'tells a mark that it read before it wrote': {
    mutation: ({ correct }) => ({
      async create(key, record, now, tellMark) {
        if (record.userId !== undefined)
          tellMark?.(await correct.revocationMark(record.userId, now))
        return correct.create(key, record, now)
      },
    }),
    caughtBy:
      'revocation steps: a revocation between any two commands of a sign-in ends it or is seen by it',
  },

  'tells a mark that is none': {
    mutation: ({ correct }) => ({
      async create(key, record, now, tellMark) {
        const isCreated = await correct.create(key, record, now)
        tellMark?.(undefined)
        return isCreated
      },
    }),
    caughtBy:
      'revocation: a create that tells the mark tells what is there, once, before it answers',
  },

  'lets an older mark hide a newer one': {
    mutation: ({ engine, correct }) => ({
      async deleteByUser(userId, options) {
        engine.marks.delete(userId)
        return correct.deleteByUser(userId, options)
      },
    }),
    caughtBy: 'revocation: an older one that comes late does not take the place of a newer one',
  },

  'marks a revocation only where it ended something': {
    mutation: ({ engine, correct }) => ({
      async deleteByUser(userId, options) {
        const before = engine.marks.get(userId)
        const removed = await correct.deleteByUser(userId, options)
        if (removed.length === 0 && before !== undefined) engine.marks.set(userId, before)
        return removed
      },
    }),
    caughtBy:
      'revocation: ending all of a user leaves the mark, with sessions or without, and the last one counts',
  },
}

/** What the index points to, there or not. */
async function readAll({ engine, wire, correct }: Parts, userId: string, now: number) {
  const keys = await wire.send(() => entriesOf(engine, userId))
  return Promise.all(keys.map(async (key) => ({ key, record: await correct.load(key, now) })))
}
