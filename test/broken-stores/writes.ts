import type { SessionRecord, StoreKey } from '../../src/core/store.js'
import type { BrokenStore } from './broken-store.js'
import { live, put, putIfAbsent, swap, withLastSeen } from './engine.js'

/** Stores that are wrong in how they read, swap and move a record. */
export const wrongWrites: Record<string, BrokenStore> = {
  'takes versions for counters, and lets a greater one pass': {
    mutation: ({ engine, wire }) => ({
      update: (key, record, expected, now) =>
        wire.send(() => {
          const stored = live(engine, key, now)
          if (!stored) return { outcome: 'missing' }
          if (expected < stored.version) return { outcome: 'conflict', record: stored }
          put(engine, key, withLastSeen(record, stored, now))
          return { outcome: 'updated' }
        }),
    }),
    caughtBy: 'versions: an old mark never fits again',
  },

  'compares versions as a case-insensitive collation does': {
    mutation: ({ engine, correct }) => ({
      update(key, record, expected, now) {
        const stored = live(engine, key, now)?.version
        const same = stored?.toLowerCase() === expected.trimEnd().toLowerCase()
        return correct.update(key, record, same ? (stored ?? expected) : expected, now)
      },
    }),
    caughtBy: 'versions: a mark that is greater, less or only like the stored one is a conflict',
  },

  'swaps in two steps, reading first': {
    mutation: ({ engine, wire }) => ({
      async update(key, record, expected, now) {
        const stored = await wire.send(() => live(engine, key, now))
        if (!stored) return { outcome: 'missing' }
        if (stored.version !== expected) return { outcome: 'conflict', record: stored }
        await wire.send(() => put(engine, key, withLastSeen(record, stored, now)))
        return { outcome: 'updated' }
      },
    }),
    caughtBy: 'races: of 50 updates that name one version exactly one wins, and 49 are shown it',
  },

  'creates in two steps, looking first': {
    mutation: ({ engine, wire }) => ({
      async create(key, record, now) {
        if (await wire.send(() => live(engine, key, now))) return false
        await wire.send(() => put(engine, key, record))
        return true
      },
    }),
    caughtBy: 'races: of 20 creates of one key exactly one answers true',
  },

  'shows with a conflict the record it had read before': {
    mutation: ({ engine, wire }) => ({
      async update(key, record, expected, now) {
        const before = await wire.send(() => live(engine, key, now))
        const answer = await wire.send(() => swap(engine, key, record, expected, now))
        return answer.outcome === 'conflict' ? { ...answer, record: before ?? record } : answer
      },
    }),
    caughtBy: 'steps: while an update is held, any other call may go through',
  },

  'shows with a conflict the record that was refused': {
    mutation: ({ correct }) => ({
      async update(key, record, expected, now) {
        const answer = await correct.update(key, record, expected, now)
        return answer.outcome === 'conflict' ? { ...answer, record } : answer
      },
    }),
    caughtBy: 'versions: a conflict shows the record that stands there, payload and times intact',
  },

  'creates on update where nothing is': {
    mutation: ({ engine, wire, correct }) => ({
      async update(key, record, expected, now) {
        const answer = await correct.update(key, record, expected, now)
        if (answer.outcome !== 'missing') return answer
        await wire.send(() => putIfAbsent(engine, key, record, now))
        return { outcome: 'updated' }
      },
    }),
    caughtBy: 'records: update after delete is missing, and brings nothing back',
  },

  'keeps the user that an update takes away': {
    mutation: update((record, stored, now) => {
      const next = withLastSeen(record, stored, now)
      return { ...next, userId: next.userId ?? stored.userId }
    }),
    caughtBy: 'records: update brings a user, and takes one away',
  },

  'overwrites on create': {
    mutation: ({ engine, wire }) => ({
      create: (key, record) =>
        wire.send(() => {
          put(engine, key, record)
          return true
        }),
    }),
    caughtBy: 'records: create never overwrites a live record',
  },

  'throws when there is nothing to delete': {
    mutation: ({ engine, correct }) => ({
      delete(key, now) {
        if (!engine.records.has(key)) throw new Error('Not found')
        return correct.delete(key, now)
      },
    }),
    caughtBy: 'records: delete says whether a live record stood there, and can be repeated',
  },

  'folds keys to one case': {
    mutation: ({ correct }) => ({
      load: (key, now) => correct.load(key.toLowerCase() as StoreKey, now),
      create: (key, record, now) => correct.create(key.toLowerCase() as StoreKey, record, now),
      delete: (key, now) => correct.delete(key.toLowerCase() as StoreKey, now),
    }),
    caughtBy: 'records: keys do not touch each other, not even keys that differ in case alone',
  },

  'touches the record that it has already handed out': {
    mutation: ({ engine, correct }) => ({
      async touch(key, expected, lastSeenAt, expiresAt, now) {
        const stored = live(engine, key, now)
        if (stored?.version === expected && lastSeenAt > stored.lastSeenAt) {
          Object.assign(stored, { lastSeenAt, expiresAt })
        }
        return correct.touch(key, expected, lastSeenAt, expiresAt, now)
      },
    }),
    caughtBy: 'records: a record once handed out stays as it was, whatever is written later',
  },

  'touches whatever version stands there': {
    mutation: ({ engine, correct }) => ({
      touch: (key, _expected, lastSeenAt, expiresAt, now) => {
        const version = live(engine, key, now)?.version ?? ''
        return correct.touch(key, version, lastSeenAt, expiresAt, now)
      },
    }),
    caughtBy:
      'touch: touch of another version is a conflict with the current record, and moves nothing',
  },

  'lets the last touch win, even an earlier one': {
    mutation: ({ engine, correct, wire }) => ({
      touch: (key, expected, lastSeenAt, expiresAt, now) => {
        const stored = live(engine, key, now)
        if (stored?.version !== expected) {
          return correct.touch(key, expected, lastSeenAt, expiresAt, now)
        }
        return wire.send(() => {
          engine.records.set(key, { ...stored, lastSeenAt, expiresAt })
          return { outcome: 'updated' }
        })
      },
    }),
    caughtBy: 'touch: two touches in the wrong order leave the later',
  },

  'counts changed rows, so that an equal touch finds nothing': {
    mutation: ({ engine, correct }) => ({
      touch(key, expected, lastSeenAt, expiresAt, now) {
        const stored = engine.records.get(key)
        if (stored?.lastSeenAt === lastSeenAt && stored.expiresAt === expiresAt) {
          return { outcome: 'missing' }
        }
        return correct.touch(key, expected, lastSeenAt, expiresAt, now)
      },
    }),
    caughtBy: 'touch: an equal touch answers updated however often it is repeated',
  },

  'gives a touched record a new version': {
    mutation: ({ engine, correct }) => ({
      async touch(key, expected, lastSeenAt, expiresAt, now) {
        const answer = await correct.touch(key, expected, lastSeenAt, expiresAt, now)
        const stored = engine.records.get(key)
        if (answer.outcome === 'updated' && stored) {
          engine.records.set(key, { ...stored, version: `${stored.version}+` })
        }
        return answer
      },
    }),
    caughtBy: 'touch: touch moves last-seen and the deadline, and neither version nor payload',
  },

  'moves last-seen back with an update': {
    mutation: update((record) => record),
    caughtBy: 'last-seen: update keeps a later last-seen, and the deadline moves along with it',
  },

  'keeps a later last-seen but not its deadline past a changed idle time': {
    mutation: update((record, stored, now) => {
      const kept = withLastSeen(record, stored, now)
      return kept === record ? record : { ...kept, expiresAt: stored.expiresAt }
    }),
    caughtBy: 'last-seen: a changed idle time counts from the later last-seen',
  },

  'moves a deadline past the absolute one': {
    mutation: update((record, stored, now) => {
      const ahead = stored.lastSeenAt - record.lastSeenAt
      const kept = withLastSeen(record, stored, now)
      return kept === record ? record : { ...kept, expiresAt: record.expiresAt + ahead }
    }),
    caughtBy: 'last-seen: the deadline never moves past the absolute one',
  },

  'keeps alive what was written to end': {
    mutation: update((record, stored) => withLastSeen(record, stored, 0)),
    caughtBy: 'last-seen: a record whose own deadline is past ends the session, touched or not',
  },

  'brings text into Unicode normal form': {
    mutation: payload((text) => text.normalize('NFC')),
    caughtBy: 'payloads: a payload comes back to the letter, created, updated and in a conflict',
  },

  'cuts a payload at 65,535 bytes': {
    mutation: payload((text) => text.slice(0, 65_535)),
    caughtBy: 'payloads: a payload of one byte and of every length around a power of two is kept',
  },

  'declares a limit that it does not reach': {
    mutation: payload((text) => (Buffer.byteLength(text) < 300_000 ? text : '')),
    caughtBy: 'payloads: a payload as long as the limit is kept',
  },
}

function update(
  change: (record: SessionRecord, stored: SessionRecord, now: number) => SessionRecord,
): BrokenStore['mutation'] {
  return ({ engine, wire }) => ({
    update: (key, record, expected, now) =>
      wire.send(() => {
        const stored = live(engine, key, now)
        if (!stored) return { outcome: 'missing' }
        if (stored.version !== expected) return { outcome: 'conflict', record: stored }
        put(engine, key, change(record, stored, now))
        return { outcome: 'updated' }
      }, 'update'),
  })
}

function payload(change: (text: string) => string): BrokenStore['mutation'] {
  return ({ correct }) => ({
    create: (key, record, now) =>
      correct.create(key, { ...record, payload: change(record.payload) }, now),
  })
}
