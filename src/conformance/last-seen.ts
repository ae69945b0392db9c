import { strict as assert } from 'node:assert'
import type { SessionRecord, StoreKey } from '../core/store.js'
import {
  assertOutcome,
  assertSameRecord,
  type Bench,
  type Group,
  IDLE,
  labelled,
  successor,
} from './bench.js'

/** What `update` does where a touch came between the caller's read and its write. */
export const lastSeen: Group = {
  name: 'last-seen',
  needs: [],
  cases: {
    'update keeps a later last-seen, and the deadline moves along with it': async (bench) => {
      const touched = await touchedRecord(bench)
      const next = successor(bench, touched.record)
      await stores(touched, next, {
        ...next,
        lastSeenAt: touched.seen,
        expiresAt: next.expiresAt + 60_000,
      })
    },

    'update with the same or a later last-seen is stored as given': async (bench) => {
      for (const ahead of [0, 1, 5_000]) {
        const touched = await touchedRecord(bench)
        const lastSeenAt = touched.seen + ahead
        const expiresAt = lastSeenAt + 60_000
        const next = successor(bench, touched.record, { lastSeenAt, expiresAt })
        await labelled(`${ahead} ms later`, () => stores(touched, next, next))
      }
    },

    'a changed idle time counts from the later last-seen': async (bench) => {
      for (const idle of [10 * 60_000, 4 * 3_600_000]) {
        const touched = await touchedRecord(bench)
        const next = successor(bench, touched.record, { expiresAt: bench.now + idle })
        await labelled(`${idle} ms idle`, () =>
          stores(touched, next, {
            ...next,
            lastSeenAt: bench.now + 60_000,
            expiresAt: bench.now + 60_000 + idle,
          }),
        )
      }
    },

    'the deadline never moves past the absolute one': async (bench) => {
      const touched = await touchedRecord(bench)
      const next = successor(bench, touched.record, {
        absoluteExpiresAt: bench.now + IDLE + 10_000,
      })
      await stores(touched, next, {
        ...next,
        lastSeenAt: bench.now + 60_000,
        expiresAt: bench.now + IDLE + 10_000,
      })
    },

    'a record whose own deadline is past ends the session, touched or not': async (bench) => {
      for (const ahead of [-60_000, -1, 0]) {
        const { key, record } = await touchedRecord(bench)
        const end = successor(bench, record, { expiresAt: bench.now + ahead })
        await labelled(`deadline ${ahead} ms from now`, async () => {
          const answer = await bench.store.update(key, end, record.version, bench.now)
          assertOutcome(answer, 'updated')
          assert.equal(await bench.store.load(key, bench.now), undefined)
          const later = bench.now + 90_000
          const touch = bench.store.touch(key, end.version, later, later + IDLE, bench.now)
          assertOutcome(await touch, 'missing')
          const update = bench.store.update(key, bench.record(), end.version, bench.now)
          assertOutcome(await update, 'missing')
        })
      }
    },

    'a record that is alive for one more millisecond is kept alive by its last-seen': async (
      bench,
    ) => {
      const touched = await touchedRecord(bench)
      const next = successor(bench, touched.record, { expiresAt: bench.now + 1 })
      await stores(touched, next, {
        ...next,
        lastSeenAt: bench.now + 60_000,
        expiresAt: bench.now + 60_001,
      })
    },
  },
}

interface Touched {
  readonly bench: Bench
  readonly key: StoreKey
  /** As its writer-to-be read it at `bench.now`. */
  readonly record: SessionRecord
  /** To when someone else has moved its last-seen since. */
  readonly seen: number
}

async function touchedRecord(bench: Bench): Promise<Touched> {
  const key = bench.key()
  const record = bench.record()
  const seen = bench.now + 60_000
  await bench.store.create(key, record, bench.now)
  const touch = bench.store.touch(key, record.version, seen, seen + IDLE, bench.now)
  assertOutcome(await touch, 'updated')
  return { bench, key, record, seen }
}

async function stores(touched: Touched, next: SessionRecord, expected: SessionRecord) {
  const { bench, key, record } = touched
  assertOutcome(await bench.store.update(key, next, record.version, bench.now), 'updated')
  assertSameRecord(await bench.store.load(key, bench.now), expected)
}
