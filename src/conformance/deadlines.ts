import { strict as assert } from 'node:assert'
import {
  assertConflict,
  assertOutcome,
  assertSameRecord,
  type Bench,
  type Group,
  IDLE,
  labelled,
  successor,
} from './bench.js'

export const deadlines: Group = {
  name: 'deadlines',
  needs: [],
  cases: {
    'load answers until the millisecond before the deadline': atTheDeadline(
      async ({ bench, key, record, at, alive }) => {
        assertSameRecord(await bench.store.load(key, at), alive ? record : undefined)
      },
    ),

    'create replaces a record from its deadline on, and not before': atTheDeadline(
      async ({ bench, key, record, at, alive }) => {
        const next = bench.record({ userId: 'grace', expiresAt: at + IDLE })
        assert.equal(await bench.store.create(key, next, at), !alive)
        assertSameRecord(await bench.store.load(key, at), alive ? record : next)
      },
    ),

    'update works until the deadline, and revives nothing after it': atTheDeadline(
      async ({ bench, key, record, at, alive }) => {
        const next = successor(bench, record, { expiresAt: at + IDLE })
        const answer = await bench.store.update(key, next, record.version, at)
        assertOutcome(answer, alive ? 'updated' : 'missing')
        assertSameRecord(await bench.store.load(key, at), alive ? next : undefined)
      },
    ),

    'update with another version is a conflict before the deadline and missing after':
      atTheDeadline(async ({ bench, key, record, at, alive }) => {
        const next = successor(bench, record, { expiresAt: at + IDLE })
        const answer = await bench.store.update(key, next, bench.mark(), at)
        if (alive) assertConflict(answer, record)
        else assertOutcome(answer, 'missing')
        assertSameRecord(await bench.store.load(key, at), alive ? record : undefined)
      }),

    'touch works until the deadline, and revives nothing after it': atTheDeadline(
      async ({ bench, key, record, at, alive }) => {
        const answer = await bench.store.touch(key, record.version, at, at + IDLE, at)
        assertOutcome(answer, alive ? 'updated' : 'missing')
        const moved = { ...record, lastSeenAt: at, expiresAt: at + IDLE }
        assertSameRecord(await bench.store.load(key, at), alive ? moved : undefined)
      },
    ),

    'touch with another version is a conflict before the deadline and missing after': atTheDeadline(
      async ({ bench, key, record, at, alive }) => {
        const answer = await bench.store.touch(key, bench.mark(), at, at + IDLE, at)
        if (alive) assertConflict(answer, record)
        else assertOutcome(answer, 'missing')
      },
    ),

    'delete answers true until the deadline, false after it, and removes both': atTheDeadline(
      async ({ bench, key, record, at, alive }) => {
        assert.equal(await bench.store.delete(key, at), alive)
        assert.equal(await bench.store.load(key, record.expiresAt - 1), undefined)
      },
    ),

    'a record whose deadline is past when it is created is never seen': async (bench) => {
      for (const ahead of [-1, 0]) {
        const key = bench.key()
        const dead = bench.record({ lastSeenAt: bench.now - 9, expiresAt: bench.now + ahead })
        assert.equal(await bench.store.create(key, dead, bench.now), true)
        assert.equal(await bench.store.load(key, bench.now), undefined)
        assert.equal(await bench.store.create(key, bench.record(), bench.now), true)
      }
    },

    'a deadline can move nearer as well as farther': async (bench) => {
      const key = bench.key()
      const first = bench.record()
      await bench.store.create(key, first, bench.now)
      const nearer = successor(bench, first, { expiresAt: bench.now + 10 })
      await bench.store.update(key, nearer, first.version, bench.now)
      assertSameRecord(await bench.store.load(key, bench.now + 9), nearer)
      assert.equal(await bench.store.load(key, bench.now + 10), undefined)
    },

    'the clock is the one handed in, in 2001 as in 2286': async (near) => {
      for (const now of [1_000_000_000_000, 9_999_999_000_000]) {
        const bench = near.at(now)
        const key = bench.key()
        const first = bench.record({ userId: 'ada' })
        await labelled(new Date(now).toISOString(), async () => {
          assert.equal(await bench.store.create(key, first, now), true)
          assertSameRecord(await bench.store.load(key, now), first)
          const second = successor(bench, first)
          assertOutcome(await bench.store.update(key, second, first.version, now), 'updated')
          const touch = await bench.store.touch(key, second.version, now + 1, now + 2, now)
          assertOutcome(touch, 'updated')
          assert.equal(await bench.store.load(key, now + 2), undefined)
        })
      }
    },
  },
}

interface Edge {
  readonly bench: Bench
  readonly key: ReturnType<Bench['key']>
  readonly record: ReturnType<Bench['record']>
  readonly at: number
  readonly alive: boolean
}

/** Runs `check` 1 ms before, at and 1 ms after the deadline of a record that was stored half an hour earlier. */
function atTheDeadline(check: (edge: Edge) => Promise<void>): (bench: Bench) => Promise<void> {
  return async function checkEdges(bench) {
    for (const offset of [-1, 0, 1]) {
      const key = bench.key()
      const record = bench.record({ userId: 'ada' })
      await bench.store.create(key, record, bench.now)
      const edge = { bench, key, record, at: record.expiresAt + offset, alive: offset < 0 }
      await labelled(`${offset} ms from the deadline`, () => check(edge))
    }
  }
}
