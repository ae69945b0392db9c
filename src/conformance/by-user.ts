import { strict as assert } from 'node:assert'
import type { DeleteByUserOptions, KeyedRecord, SessionRecord, StoreKey } from '../core/store.js'
import {
  type AskedStore,
  assertSameRecord,
  type Bench,
  type Group,
  HOUR,
  IDLE,
  labelled,
  successor,
} from './bench.js'

export const byUser: Group = {
  name: 'by-user',
  needs: ['listByUser', 'deleteByUser'],
  cases: {
    'the list shows exactly the live sessions of the user, whole': async (bench) => {
      const mine = await sessionsOf(bench, 'ada', 3)
      await sessionsOf(bench, 'grace', 2)
      await bench.store.create(bench.key(), bench.record(), bench.now)
      await assertListed(bench, 'ada', mine)
      assert.deepEqual(await bench.store.listByUser('nobody', bench.now), [])
    },

    'a session shows up when its user signs in, and goes when it is deleted': async (bench) => {
      const key = bench.key()
      const anonymous = bench.record()
      await bench.store.create(key, anonymous, bench.now)
      await assertListed(bench, 'ada', [])
      const record = successor(bench, anonymous, { userId: 'ada' })
      await bench.store.update(key, record, anonymous.version, bench.now)
      await assertListed(bench, 'ada', [{ key, record }])
      await bench.store.delete(key, bench.now)
      await assertListed(bench, 'ada', [])
    },

    'the list shows what update and touch left': async (bench) => {
      const [session] = await sessionsOf(bench, 'ada', 1)
      assert.ok(session)
      const next = successor(bench, session.record)
      await bench.store.update(session.key, next, session.record.version, bench.now)
      await bench.store.touch(session.key, next.version, bench.now + 5, bench.now + 9, bench.now)
      const record = { ...next, lastSeenAt: bench.now + 5, expiresAt: bench.now + 9 }
      await assertListed(bench, 'ada', [{ key: session.key, record }])
    },

    'sessions are listed and ended until the millisecond before their deadline': async (bench) => {
      for (const offset of [-1, 0, 1]) {
        await labelled(`${offset} ms from the deadline`, async () => {
          const user = `ada ${offset}`
          const [session] = await sessionsOf(bench, user, 1)
          const at = bench.now + IDLE + offset
          const alive = offset < 0
          await assertListed(bench, user, alive && session ? [session] : [], at)
          const ended = await endAll(bench.store, user, at)
          assert.deepEqual(ended, alive && session ? [session.key] : [])
        })
      }
    },

    'a session that is touched stays listed past its first deadline': async (bench) => {
      const [session] = await sessionsOf(bench, 'ada', 1)
      assert.ok(session)
      const at = bench.now + IDLE - 1
      await bench.store.touch(session.key, session.record.version, at, at + IDLE, at)
      const record = { ...session.record, lastSeenAt: at, expiresAt: at + IDLE }
      await assertListed(bench, 'ada', [{ key: session.key, record }], at + IDLE - 1)
      assert.deepEqual(await endAll(bench.store, 'ada', at + IDLE - 1), [session.key])
    },

    'a session whose absolute deadline is put off stays listed past the old one': async (bench) => {
      const [session] = await sessionsOf(bench, 'ada', 1)
      assert.ok(session)
      const record = successor(bench, session.record, {
        expiresAt: bench.now + 100 * HOUR,
        absoluteExpiresAt: bench.now + 200 * HOUR,
      })
      await bench.store.update(session.key, record, session.record.version, bench.now)
      const at = session.record.absoluteExpiresAt + HOUR
      await endAll(bench.store, 'someone else', at)
      await assertListed(bench, 'ada', [{ key: session.key, record }], at)
      // Asked twice: a list that cleans up behind itself must not clean this one away.
      await assertListed(bench, 'ada', [{ key: session.key, record }], at)
      assert.deepEqual(await endAll(bench.store, 'ada', at), [session.key])
    },

    'a key that another user has now is not the first one’s any more': async (bench) => {
      const [session] = await sessionsOf(bench, 'ada', 1)
      assert.ok(session)
      const at = session.record.expiresAt
      const record = bench.record({ userId: 'grace', lastSeenAt: at, expiresAt: at + IDLE })
      assert.equal(await bench.store.create(session.key, record, at), true)
      await assertListed(bench, 'ada', [], at)
      assert.deepEqual(await endAll(bench.store, 'ada', at), [])
      await assertListed(bench, 'grace', [{ key: session.key, record }], at)
    },

    'the record decides whose session it is, there and back again': async (bench) => {
      const [session] = await sessionsOf(bench, 'ada', 1)
      assert.ok(session)
      let current = session.record
      for (const [is, was] of [
        ['grace', 'ada'],
        ['ada', 'grace'],
      ] as const) {
        const record = successor(bench, current, { userId: is })
        await bench.store.update(session.key, record, current.version, bench.now)
        await assertListed(bench, was, [])
        assert.deepEqual(await endAll(bench.store, was, bench.now), [])
        await assertListed(bench, is, [{ key: session.key, record }])
        current = record
      }
      assert.deepEqual(await endAll(bench.store, 'ada', bench.now), [session.key])
    },

    'ending all of a user answers their keys and leaves nobody else out': async (bench) => {
      const mine = await sessionsOf(bench, 'ada', 5)
      const theirs = await sessionsOf(bench, 'grace', 2)
      const anonymous = bench.key()
      await bench.store.create(anonymous, bench.record(), bench.now)
      const ended = await endAll(bench.store, 'ada', bench.now)
      assert.deepEqual([...ended].sort(), mine.map(({ key }) => key).sort())
      for (const { key } of mine) {
        assert.equal(await bench.store.load(key, bench.now), undefined)
      }
      await assertListed(bench, 'ada', [])
      await assertListed(bench, 'grace', theirs)
      assert.ok(await bench.store.load(anonymous, bench.now))
      assert.deepEqual(await endAll(bench.store, 'ada', bench.now), [])
    },

    'an ended session is not brought back by a late update or touch': async (bench) => {
      const [session] = await sessionsOf(bench, 'ada', 1)
      assert.ok(session)
      const { key, record } = session
      await endAll(bench.store, 'ada', bench.now)
      const late = successor(bench, record)
      const update = await bench.store.update(key, late, record.version, bench.now)
      assert.equal(update.outcome, 'missing')
      const touch = await bench.store.touch(key, record.version, bench.now + 1, IDLE, bench.now)
      assert.equal(touch.outcome, 'missing')
      await assertListed(bench, 'ada', [])
    },

    'except keeps the keys it names, and only those': async (bench) => {
      const mine = await sessionsOf(bench, 'ada', 4)
      const [first, second, ...rest] = mine
      assert.ok(first && second)
      const [theirs] = await sessionsOf(bench, 'grace', 1)
      assert.ok(theirs)
      const except = [first.key, bench.key(), theirs.key, second.key, first.key]
      const ended = await endAll(bench.store, 'ada', bench.now, except)
      assert.deepEqual([...ended].sort(), rest.map(({ key }) => key).sort())
      await assertListed(bench, 'ada', [first, second])
      await assertListed(bench, 'grace', [theirs])
      assert.deepEqual(await endAll(bench.store, 'ada', bench.now, [first.key]), [second.key])
      assert.deepEqual(await endAll(bench.store, 'ada', bench.now), [first.key])
    },

    'a hundred sessions of one user are all listed and all ended': async (bench) => {
      const mine = await sessionsOf(bench, 'ada', 100)
      await assertListed(bench, 'ada', mine)
      assert.equal((await endAll(bench.store, 'ada', bench.now)).length, 100)
      await assertListed(bench, 'ada', [])
    },

    'sessions that stay alive are in every list while others come and go': async (bench) => {
      const steady = await sessionsOf(bench, 'ada', 5)
      const coming = comeAndGo(bench, 'ada', 15)
      const listing = Promise.all(
        Array.from({ length: 10 }, () => bench.store.listByUser('ada', bench.now)),
      )
      const [lists] = await Promise.all([listing, coming])
      for (const list of lists) {
        const keys = list.map(({ key }) => key)
        assert.equal(new Set(keys).size, keys.length, 'A session is listed twice')
        for (const { key } of steady) assert.ok(keys.includes(key), 'A live session is not listed')
        assert.ok(list.every(({ record }) => record.userId === 'ada'))
      }
      await assertListed(bench, 'ada', steady)
    },

    'ending all ends what was there before, and whatever came meanwhile can be ended next': async (
      bench,
    ) => {
      for (let round = 0; round < 10; round += 1) {
        const user = `ada ${round}`
        const before = await sessionsOf(bench, user, 3)
        const meanwhile = sessionsOf(bench, user, 5)
        const [, , ended] = await Promise.all([
          bench.store.listByUser(user, bench.now),
          meanwhile,
          endAll(bench.store, user, bench.now),
        ])
        for (const { key } of before) {
          assert.ok(ended.includes(key), 'A session that was there before is not in the answer')
          assert.equal(await bench.store.load(key, bench.now), undefined)
        }
        const left = (await meanwhile).filter(({ key }) => !ended.includes(key))
        await assertListed(bench, user, left)
        assert.equal((await endAll(bench.store, user, bench.now)).length, left.length)
        await assertListed(bench, user, [])
      }
    },
  },
}

/** `count` sessions of a user, made at the same time. */
export function sessionsOf(bench: Bench, userId: string, count: number): Promise<KeyedRecord[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const session = { key: bench.key(), record: bench.record({ userId }) }
      assert.equal(await bench.store.create(session.key, session.record, bench.now), true)
      return session
    }),
  )
}

export function endAll(
  store: AskedStore,
  userId: string,
  now: number,
  except: readonly StoreKey[] = [],
  mark: DeleteByUserOptions['mark'] = { value: 'mark', expiresAt: now + HOUR },
): Promise<StoreKey[]> {
  return store.deleteByUser(userId, { except, mark, now })
}

/** The list has these sessions and no other, in any order. */
export async function assertListed(
  bench: Bench,
  userId: string,
  expected: readonly KeyedRecord[],
  at: number = bench.now,
): Promise<void> {
  const list = await bench.store.listByUser(userId, at)
  assert.deepEqual(list.map(({ key }) => key).sort(), expected.map(({ key }) => key).sort())
  const records = new Map<StoreKey, SessionRecord>(list.map(({ key, record }) => [key, record]))
  for (const { key, record } of expected) assertSameRecord(records.get(key), record)
}

async function comeAndGo(bench: Bench, userId: string, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const key = bench.key()
    await bench.store.create(key, bench.record({ userId }), bench.now)
    await bench.store.delete(key, bench.now)
  }
}
