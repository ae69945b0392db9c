import { strict as assert } from 'node:assert'
import { assertConflict, assertOutcome, assertSameRecord, type Group, successor } from './bench.js'

export const records: Group = {
  name: 'records',
  needs: [],
  cases: {
    'a created record is loaded as it was given': async (bench) => {
      const key = bench.key()
      const record = bench.record({ userId: 'ada' })
      assert.equal(await bench.store.create(key, record, bench.now), true)
      assertSameRecord(await bench.store.load(key, bench.now), record)
    },

    'a record without a user is loaded without one': async (bench) => {
      const key = bench.key()
      const record = bench.record()
      await bench.store.create(key, record, bench.now)
      assertSameRecord(await bench.store.load(key, bench.now), record)
    },

    'an unknown key is undefined, and asking creates nothing': async (bench) => {
      const key = bench.key()
      assert.equal(await bench.store.load(key, bench.now), undefined)
      assert.equal(await bench.store.load(key, bench.now), undefined)
      assert.equal(await bench.store.create(key, bench.record(), bench.now), true)
    },

    'create never overwrites a live record': async (bench) => {
      const key = bench.key()
      const first = bench.record({ userId: 'ada' })
      await bench.store.create(key, first, bench.now)
      assert.equal(await bench.store.create(key, bench.record(), bench.now), false)
      assert.equal(await bench.store.create(key, first, bench.now), false)
      assertSameRecord(await bench.store.load(key, bench.now), first)
    },

    'create works again under a key that was deleted': async (bench) => {
      const key = bench.key()
      await bench.store.create(key, bench.record({ userId: 'ada' }), bench.now)
      await bench.store.delete(key, bench.now)
      const next = bench.record()
      assert.equal(await bench.store.create(key, next, bench.now), true)
      assertSameRecord(await bench.store.load(key, bench.now), next)
    },

    'update swaps the whole record': async (bench) => {
      const key = bench.key()
      const first = bench.record()
      await bench.store.create(key, first, bench.now)
      const second = bench.record({
        userId: 'ada',
        lastSeenAt: bench.now + 1,
        expiresAt: bench.now + 2_000,
        absoluteExpiresAt: bench.now + 3_000,
      })
      const answer = await bench.store.update(key, second, first.version, bench.now + 1)
      assertOutcome(answer, 'updated')
      assertSameRecord(await bench.store.load(key, bench.now + 1), second)
    },

    'update brings a user, and takes one away': async (bench) => {
      const key = bench.key()
      const anonymous = bench.record()
      await bench.store.create(key, anonymous, bench.now)
      const signedIn = successor(bench, anonymous, { userId: 'ada' })
      await bench.store.update(key, signedIn, anonymous.version, bench.now)
      assertSameRecord(await bench.store.load(key, bench.now), signedIn)
      const nobody = bench.record()
      await bench.store.update(key, nobody, signedIn.version, bench.now)
      assertSameRecord(await bench.store.load(key, bench.now), nobody)
    },

    'update of an unknown key is missing, and creates nothing': async (bench) => {
      const key = bench.key()
      const record = bench.record({ userId: 'ada' })
      assertOutcome(await bench.store.update(key, record, bench.mark(), bench.now), 'missing')
      assertOutcome(await bench.store.update(key, record, record.version, bench.now), 'missing')
      assert.equal(await bench.store.load(key, bench.now), undefined)
      assert.equal(await bench.store.create(key, bench.record(), bench.now), true)
    },

    'update after delete is missing, and brings nothing back': async (bench) => {
      const key = bench.key()
      const first = bench.record()
      await bench.store.create(key, first, bench.now)
      await bench.store.delete(key, bench.now)
      const late = successor(bench, first)
      assertOutcome(await bench.store.update(key, late, first.version, bench.now), 'missing')
      assert.equal(await bench.store.load(key, bench.now), undefined)
    },

    'delete says whether a live record stood there, and can be repeated': async (bench) => {
      const key = bench.key()
      assert.equal(await bench.store.delete(key, bench.now), false)
      await bench.store.create(key, bench.record({ userId: 'ada' }), bench.now)
      assert.equal(await bench.store.delete(key, bench.now), true)
      assert.equal(await bench.store.load(key, bench.now), undefined)
      assert.equal(await bench.store.delete(key, bench.now), false)
      assert.equal(await bench.store.delete(key, bench.now), false)
    },

    'delete takes a record of any version': async (bench) => {
      const key = bench.key()
      const first = bench.record()
      await bench.store.create(key, first, bench.now)
      await bench.store.update(key, successor(bench, first), first.version, bench.now)
      assert.equal(await bench.store.delete(key, bench.now), true)
      assert.equal(await bench.store.load(key, bench.now), undefined)
    },

    'keys do not touch each other, not even keys that differ in case alone': async (bench) => {
      const key = bench.key()
      const lower = key.toLowerCase() as typeof key
      const upper = key.toUpperCase() as typeof key
      const mine = bench.record()
      const theirs = bench.record()
      await bench.store.create(lower, mine, bench.now)
      assert.equal(await bench.store.load(upper, bench.now), undefined)
      assert.equal(await bench.store.create(upper, theirs, bench.now), true)
      assertSameRecord(await bench.store.load(lower, bench.now), mine)
      assert.equal(await bench.store.delete(lower, bench.now), true)
      assertSameRecord(await bench.store.load(upper, bench.now), theirs)
    },

    'a record once handed out stays as it was, whatever is written later': async (bench) => {
      const key = bench.key()
      const first = bench.record()
      await bench.store.create(key, first, bench.now)
      const seen = await bench.store.load(key, bench.now)
      await bench.store.touch(key, first.version, bench.now + 5, bench.now + 5_000, bench.now)
      assertSameRecord(seen, first)
      const current = await bench.store.load(key, bench.now)
      assert.ok(current)
      const conflict = await bench.store.update(key, bench.record(), bench.mark(), bench.now)
      await bench.store.update(key, successor(bench, current), current.version, bench.now)
      await bench.store.delete(key, bench.now)
      assertConflict(conflict, {
        ...first,
        lastSeenAt: bench.now + 5,
        expiresAt: bench.now + 5_000,
      })
    },
  },
}
