import { strict as assert } from 'node:assert'
import type { SessionRecord, StoreKey } from '../core/store.js'
import { type AskedStore, assertSameRecord, type Bench, type Group, successor } from './bench.js'
import { explain, isLinearizable } from './linearizable.js'
import { playRegister } from './register.js'

export const races: Group = {
  name: 'races',
  needs: [],
  cases: {
    'of 50 updates that name one version exactly one wins, and 49 are shown it': async (bench) => {
      await oneWins(bench, Array(50).fill(bench.store))
    },

    '25 clients that try again on conflict count to 25': (bench) =>
      counts(bench, Array(25).fill(bench.store)),

    'of 20 creates of one key exactly one answers true': async (bench) => {
      const key = bench.key()
      const all = Array.from({ length: 20 }, () => bench.record())
      const answers = await Promise.all(
        all.map((record) => bench.store.create(key, record, bench.now)),
      )
      const won = all.filter((_, index) => answers[index])
      assert.equal(won.length, 1)
      assertSameRecord(await bench.store.load(key, bench.now), won[0])
    },

    'of 20 deletes of one key exactly one answers true': async (bench) => {
      const key = bench.key()
      await bench.store.create(key, bench.record({ userId: 'ada' }), bench.now)
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => bench.store.delete(key, bench.now)),
      )
      assert.equal(answers.filter(Boolean).length, 1)
      assert.equal(await bench.store.load(key, bench.now), undefined)
    },

    'a record deleted while 20 updates and touches run stays deleted': async (bench) => {
      const key = bench.key()
      const first = bench.record({ userId: 'ada' })
      await bench.store.create(key, first, bench.now)
      const late = (offset: number) =>
        offset % 2 === 0
          ? bench.store.update(key, successor(bench, first), first.version, bench.now)
          : bench.store.touch(key, first.version, bench.now + offset, first.expiresAt, bench.now)
      const before = Array.from({ length: 10 }, (_, index) => late(index))
      const deleted = bench.store.delete(key, bench.now)
      const after = Array.from({ length: 10 }, (_, index) => late(index + 10))
      await Promise.all([...before, deleted, ...after])
      assert.equal(await bench.store.load(key, bench.now), undefined)
    },

    'of 20 touches in any order the latest stays': async (bench) => {
      const key = bench.key()
      const record = bench.record()
      await bench.store.create(key, record, bench.now)
      const times = Array.from({ length: 20 }, (_, index) => bench.now + 1 + index * 7)
      times.sort(() => bench.random.next() - 0.5)
      const answers = await Promise.all(
        times.map((at) => bench.store.touch(key, record.version, at, at + 60_000, bench.now)),
      )
      assert.ok(answers.every((answer) => answer.outcome === 'updated'))
      const latest = Math.max(...times)
      const expected = { ...record, lastSeenAt: latest, expiresAt: latest + 60_000 }
      assertSameRecord(await bench.store.load(key, bench.now), expected)
    },

    'random interleavings of all five calls look like one after the other': (bench) =>
      interleavings(bench, [bench.store]),
  },
}

/** What must hold for two processes as for one. */
export const processes: Group = {
  name: 'two processes',
  needs: ['reopen'],
  cases: {
    'what one has written the other reads at once': async (bench) => {
      const other = await bench.other()
      const key = bench.key()
      let current = bench.record()
      await bench.store.create(key, current, bench.now)
      for (let round = 0; round < 20; round += 1) {
        const [writer, reader] = round % 2 === 0 ? [bench.store, other] : [other, bench.store]
        assertSameRecord(await reader.load(key, bench.now), current)
        assertSameRecord(await writer.load(key, bench.now), current)
        const next = successor(bench, current)
        await writer.update(key, next, current.version, bench.now)
        current = next
      }
      await other.delete(key, bench.now)
      assert.equal(await bench.store.load(key, bench.now), undefined)
    },

    'of 50 updates that name one version exactly one wins, and 49 are shown it': async (bench) => {
      const other = await bench.other()
      await oneWins(
        bench,
        Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? bench.store : other)),
      )
    },

    '20 clients that try again on conflict count to 20': async (bench) => {
      const other = await bench.other()
      await counts(
        bench,
        Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? bench.store : other)),
      )
    },

    'random interleavings of all five calls look like one after the other': async (bench) =>
      interleavings(bench, [bench.store, await bench.other()]),
  },
}

async function oneWins(bench: Bench, clients: readonly AskedStore[]): Promise<void> {
  const key = bench.key()
  const first = bench.record()
  await bench.store.create(key, first, bench.now)
  const all = clients.map(() => successor(bench, first))
  const answers = await Promise.all(
    clients.map((store, index) =>
      store.update(key, all[index] as SessionRecord, first.version, bench.now),
    ),
  )
  const won = all.filter((_, index) => answers[index]?.outcome === 'updated')
  assert.equal(won.length, 1, `${won.length} updates won`)
  for (const answer of answers) {
    if (answer.outcome === 'updated') continue
    assert.equal(answer.outcome, 'conflict')
    if (answer.outcome === 'conflict') assertSameRecord(answer.record, won[0])
  }
  assertSameRecord(await bench.store.load(key, bench.now), won[0])
}

async function counts(bench: Bench, clients: readonly AskedStore[]): Promise<void> {
  const key = bench.key()
  await bench.store.create(key, bench.record({ payload: '0' }), bench.now)

  async function increment(store: AskedStore): Promise<void> {
    let seen = await store.load(key, bench.now)
    for (let attempt = 0; attempt < 1_000 && seen !== undefined; attempt += 1) {
      const next = successor(bench, seen, { payload: String(Number(seen.payload) + 1) })
      const answer = await store.update(key, next, seen.version, bench.now)
      if (answer.outcome === 'updated') return
      seen = answer.outcome === 'conflict' ? answer.record : undefined
    }
    assert.fail(seen ? 'A thousand attempts were conflicts' : 'The record is gone')
  }

  await Promise.all(clients.map(increment))
  assert.equal((await bench.store.load(key, bench.now))?.payload, String(clients.length))
}

async function interleavings(bench: Bench, stores: readonly AskedStore[]): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const key: StoreKey = bench.key()
    const history = await playRegister(bench, key, stores)
    assert.ok(
      isLinearizable(history),
      `No order of these calls gives these answers (round ${round}):\n${explain(history, bench.now)}`,
    )
  }
}

const ROUNDS = 40
