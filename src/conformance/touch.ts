import { strict as assert } from 'node:assert'
import {
  assertConflict,
  assertOutcome,
  assertSameRecord,
  type Group,
  IDLE,
  successor,
} from './bench.js'

export const touch: Group = {
  name: 'touch',
  needs: [],
  cases: {
    'touch moves last-seen and the deadline, and neither version nor payload': async (bench) => {
      const { store, now } = bench
      const key = bench.key()
      const record = bench.record({ userId: 'ada', payload: '{"cart":["é","😀"]}' })
      await store.create(key, record, now)
      const answer = await store.touch(key, record.version, now + 5, now + 5 + IDLE, now + 5)
      assertOutcome(answer, 'updated')
      const moved = { ...record, lastSeenAt: now + 5, expiresAt: now + 5 + IDLE }
      assertSameRecord(await store.load(key, now + 5), moved)
    },

    'a touched record lives past its old deadline, to its new one': async (bench) => {
      const { store, now } = bench
      const key = bench.key()
      const record = bench.record()
      await store.create(key, record, now)
      const later = record.expiresAt - 1
      await store.touch(key, record.version, later, later + IDLE, later)
      assert.equal((await store.load(key, later + IDLE - 1))?.version, record.version)
      assert.equal(await store.load(key, later + IDLE), undefined)
    },

    'a touch that is not later changes nothing and answers updated': async (bench) => {
      const { store, now } = bench
      const key = bench.key()
      const record = bench.record({ lastSeenAt: now, expiresAt: now + IDLE })
      await store.create(key, record, now)
      for (const lastSeenAt of [now - 1, now - 60_000, now]) {
        const expiresAt = now + IDLE + (lastSeenAt === now ? 7 : -7)
        const answer = await store.touch(key, record.version, lastSeenAt, expiresAt, now)
        assertOutcome(answer, 'updated')
        assertSameRecord(await store.load(key, now), record)
      }
    },

    'an equal touch answers updated however often it is repeated': async (bench) => {
      const { store, now } = bench
      const key = bench.key()
      const record = bench.record()
      await store.create(key, record, now)
      for (let again = 0; again < 3; again += 1) {
        const answer = await store.touch(key, record.version, now + 5, now + 5 + IDLE, now + 5)
        assertOutcome(answer, 'updated')
      }
      const first = await store.touch(key, record.version, now + 5, now + 5 + IDLE, now + 9)
      assertOutcome(first, 'updated')
    },

    'two touches in the wrong order leave the later': async (bench) => {
      const { store, now } = bench
      const key = bench.key()
      const record = bench.record()
      await store.create(key, record, now)
      await store.touch(key, record.version, now + 20, now + 20 + IDLE, now + 20)
      const late = await store.touch(key, record.version, now + 10, now + 10 + IDLE, now + 20)
      assertOutcome(late, 'updated')
      const expected = { ...record, lastSeenAt: now + 20, expiresAt: now + 20 + IDLE }
      assertSameRecord(await store.load(key, now + 20), expected)
    },

    'touch of another version is a conflict with the current record, and moves nothing': async (
      bench,
    ) => {
      const { store, now } = bench
      const key = bench.key()
      const poll = bench.record()
      await store.create(key, poll, now)
      // Remember-me: a deadline far out, which a late touch must not bring near.
      const month = successor(bench, poll, {
        expiresAt: now + 30 * 86_400_000,
        absoluteExpiresAt: now + 60 * 86_400_000,
      })
      await store.update(key, month, poll.version, now)
      const late = await store.touch(key, poll.version, now + 5, now + 5 + IDLE, now + 5)
      assertConflict(late, month)
      assertSameRecord(await store.load(key, now + 5), month)
    },

    'touch of an unknown or deleted key is missing, and creates nothing': async (bench) => {
      const { store, now } = bench
      const key = bench.key()
      const record = bench.record({ userId: 'ada' })
      assertOutcome(await store.touch(key, record.version, now + 1, now + IDLE, now), 'missing')
      assert.equal(await store.load(key, now), undefined)
      assert.equal(await store.create(key, record, now), true)
      await store.delete(key, now)
      assertOutcome(await store.touch(key, record.version, now + 1, now + IDLE, now), 'missing')
      assert.equal(await store.load(key, now), undefined)
    },

    'touch leaves other records alone': async (bench) => {
      const { store, now } = bench
      const version = bench.mark()
      const [mine, theirs] = [bench.key(), bench.key()]
      const record = bench.record({ version })
      await store.create(mine, record, now)
      await store.create(theirs, record, now)
      await store.touch(mine, version, now + 5, now + 5 + IDLE, now)
      assertSameRecord(await store.load(theirs, now), record)
    },
  },
}
