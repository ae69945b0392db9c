import { strict as assert } from 'node:assert'
import { PRUNE_SLACK, type SessionRecord, type StoreKey } from '../core/store.js'
import {
  type AskedStore,
  assertSameRecord,
  type Bench,
  type Group,
  IDLE,
  successor,
} from './bench.js'
import { eachStep, holdAt } from './stepping.js'

export const prune: Group = {
  name: 'prune',
  needs: ['deleteExpired'],
  cases: {
    'an empty store has nothing to prune': async (bench) => {
      assert.equal(await bench.store.deleteExpired(10, bench.now), 0)
    },

    'records go when they are past their deadline by more than the slack, not before': async (
      bench,
    ) => {
      const key = bench.key()
      const record = bench.record({ userId: 'ada' })
      await bench.store.create(key, record, bench.now)
      const slackEnds = record.expiresAt + PRUNE_SLACK
      for (const at of [bench.now, record.expiresAt - 1, record.expiresAt, slackEnds]) {
        assert.equal(await bench.store.deleteExpired(10, at), 0)
        // A process whose clock is behind still finds it.
        assertSameRecord(await bench.store.load(key, record.expiresAt - 1), record)
      }
      assert.equal(await bench.store.deleteExpired(10, slackEnds + 1), 1)
      assert.equal(await bench.store.load(key, record.expiresAt - 1), undefined)
      assert.equal(await bench.store.deleteExpired(10, slackEnds + 1), 0)
    },

    'at most the limit goes at once, and calling on removes all': async (bench) => {
      const { at } = await deadOnes(bench, 7)
      const counts: number[] = []
      for (let call = 0; call < 20 && counts.at(-1) !== 0; call += 1) {
        counts.push(await bench.store.deleteExpired(3, at))
      }
      assert.ok(counts.every((count) => count <= 3))
      assert.equal(counts.at(-1), 0)
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        7,
      )
    },

    'live records stay, among many dead ones': async (bench) => {
      const { at } = await deadOnes(bench, 20)
      const live = Array.from({ length: 5 }, () => ({
        key: bench.key(),
        record: bench.record({ lastSeenAt: at, expiresAt: at + 1 }),
      }))
      for (const { key, record } of live) await bench.store.create(key, record, at)
      assert.equal(await bench.store.deleteExpired(100, at), 20)
      for (const { key, record } of live) assertSameRecord(await bench.store.load(key, at), record)
    },

    'a record that was touched or stored again counts by its new deadline': async (bench) => {
      const [touched, stored] = [bench.key(), bench.key()]
      const record = bench.record()
      await bench.store.create(touched, record, bench.now)
      await bench.store.create(stored, record, bench.now)
      const late = record.expiresAt - 1
      const far = late + IDLE + PRUNE_SLACK
      await bench.store.touch(touched, record.version, late, far, late)
      const next = successor(bench, record, { lastSeenAt: late, expiresAt: far })
      await bench.store.update(stored, next, record.version, late)
      assert.equal(await bench.store.deleteExpired(10, record.expiresAt + PRUNE_SLACK + 1), 0)
      assert.ok(await bench.store.load(touched, far - 1))
      assert.ok(await bench.store.load(stored, far - 1))
      assert.equal(await bench.store.deleteExpired(10, far + PRUNE_SLACK + 1), 2)
    },

    'two that prune at once count each record once': async (bench) => {
      const { at } = await deadOnes(bench, 30)
      const other = await bench.other()
      const counts = await Promise.all(
        [bench.store, other, bench.store, other].map((store) => store.deleteExpired(30, at)),
      )
      const rest = await bench.store.deleteExpired(30, at)
      assert.equal(
        counts.reduce((sum, count) => sum + count, rest),
        30,
      )
    },

    'a session that is stored or touched while pruning runs is never lost': async (bench) => {
      for (let round = 0; round < 20; round += 1) {
        const { at, dead } = await deadOnes(bench, 3)
        const saves = dead.map(({ key, record }, index) => {
          const save = SAVES[(round + index) % SAVES.length] as Save
          return save(bench.store, bench, key, record)
        })
        await Promise.all([...saves, bench.store.deleteExpired(3, at)])
        for (const [index, { key }] of dead.entries()) await assertKept(bench, key, saves[index])
      }
    },
  },
}

/** The deadline is judged again in the removing step. */
export const pruneSteps: Group = {
  name: 'prune steps',
  needs: ['deleteExpired', 'intercept'],
  cases: {
    'a session stored or touched between two commands of a prune is never lost': (bench) =>
      savedMeanwhile(bench, (key, saved) => assertKept(bench, key, saved)),

    'a session stored or touched between two commands of a prune stays listed': async (bench) => {
      if (bench.raw.listByUser) await savedMeanwhile(bench, (key) => assertListed(bench, key))
    },
  },
}

type Save = (
  store: AskedStore,
  bench: Bench,
  key: StoreKey,
  record: SessionRecord,
) => Promise<boolean>

/** Ways for a record to be alive again: by a process whose clock is behind, and by a new one under the same key. */
const SAVES: readonly Save[] = [
  async (store, bench, key, record) => {
    const next = successor(bench, record, { expiresAt: bench.now + FAR })
    const answer = await store.update(key, next, record.version, record.expiresAt - 1)
    return answer.outcome === 'updated'
  },
  async (store, bench, key, record) => {
    const late = record.expiresAt - 1
    return (
      (await store.touch(key, record.version, late, bench.now + FAR, late)).outcome === 'updated'
    )
  },
  (store, bench, key, record) =>
    store.create(key, bench.record({ expiresAt: bench.now + FAR }), record.expiresAt),
]

async function assertKept(
  bench: Bench,
  key: StoreKey,
  saved: Promise<boolean> | undefined,
): Promise<void> {
  if (await saved) {
    assert.ok(await bench.store.load(key, bench.now + FAR - 1), 'A stored session was pruned')
  }
}

/** Prunes a dead record, while it comes to life again between two commands. */
async function savedMeanwhile(
  bench: Bench,
  check: (key: StoreKey, saved: Promise<boolean> | undefined) => Promise<void>,
): Promise<void> {
  for (const save of SAVES) {
    await eachStep(async (index) => {
      const { at, dead } = await deadOnes(bench, 1)
      const [one] = dead
      assert.ok(one)
      let saved: Promise<boolean> | undefined
      const held = await holdAt(
        bench,
        index,
        () => bench.store.deleteExpired(1, at),
        (other) => {
          saved = save(other, bench, one.key, one.record)
          return saved
        },
      )
      if (held) await check(one.key, saved)
      return held
    })
  }
}

/** A session that lives on as its user's is in the list. One that was made anew under its key has no user. */
async function assertListed(bench: Bench, key: StoreKey): Promise<void> {
  const kept = await bench.store.load(key, bench.now + FAR - 1)
  if (kept?.userId === undefined) return
  const listed = await bench.store.listByUser(kept.userId, bench.now + FAR - 1)
  assert.ok(
    listed.some((session) => session.key === key),
    'A session that was not pruned is not listed any more',
  )
}

/** `count` records, and the first millisecond at which all of them may be pruned. */
async function deadOnes(bench: Bench, count: number) {
  const dead = Array.from({ length: count }, () => ({
    key: bench.key(),
    record: bench.record({ userId: 'ada' }),
  }))
  for (const { key, record } of dead) await bench.store.create(key, record, bench.now)
  return { dead, at: bench.now + IDLE + PRUNE_SLACK + 1 }
}

const FAR = 10 * IDLE
