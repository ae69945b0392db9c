import { strict as assert } from 'node:assert'
import type { EndReason, SessionStore, StoreEvent, StoreFeed, StoreKey } from '../core/store.js'
import { type Bench, type Group, successor } from './bench.js'
import { endAll } from './by-user.js'

export const watch: Group = {
  name: 'watch',
  needs: ['watch'],
  cases: {
    'every change of a record is told, with its key': async (bench) => {
      const other = await bench.other()
      const heard = await listen(bench)
      const key = bench.key()
      const record = bench.record({ userId: 'ada' })
      await heard.after(key, () => other.create(key, record, bench.now))
      const next = successor(bench, record)
      await heard.after(key, () => other.update(key, next, record.version, bench.now))
      await heard.after(key, () => other.delete(key, bench.now))
      heard.stop()
    },

    'an end is told as such': async (bench) => {
      for (const { told } of await tellEnds(bench)) assert.ok(told.length > 0)
    },

    'an end is told with what it was called, or without a word': async (bench) => {
      for (const { told, reason } of await tellEnds(bench)) {
        for (const one of told) if (one !== undefined) assert.equal(one, reason)
      }
    },

    'what did not happen is not told as an end': async (bench) => {
      const other = await bench.other()
      const heard = await listen(bench)
      const key = bench.key()
      const record = bench.record({ userId: 'ada' })
      const stub = successor(bench, record)
      await other.create(key, record, bench.now)
      await other.update(key, stub, bench.mark(), bench.now, 'regenerate')
      await other.update(bench.key(), stub, record.version, bench.now, 'regenerate')
      await other.delete(bench.key(), bench.now, 'signOut')
      await heard.check()
      assert.deepEqual(heard.reasons(key), [])
      heard.stop()
    },

    'a version that is told is that of the record which stands there': async (bench) => {
      const other = await bench.other()
      const heard = await listen(bench)
      const key = bench.key()
      let record = bench.record()
      await other.create(key, record, bench.now)
      for (let round = 0; round < 5; round += 1) {
        const next = successor(bench, record)
        await heard.after(key, () => other.update(key, next, record.version, bench.now))
        await heard.check()
        const event = heard.events.findLast((one) => one.type !== 'reset' && one.key === key)
        if (event?.type === 'changed' && event.version !== undefined) {
          assert.equal(event.version, next.version)
        }
        record = next
      }
      heard.stop()
    },

    'a watcher hears its own changes too': async (bench) => {
      const heard = await listen(bench)
      const key = bench.key()
      await heard.after(key, () => bench.store.create(key, bench.record(), bench.now))
      await heard.after(key, () => bench.store.delete(key, bench.now))
      heard.stop()
    },

    'when an event is told, the store already answers with what it tells of': async (bench) => {
      const key = bench.key()
      const record = bench.record()
      const loads: Promise<unknown>[] = []
      const heard = await listen(bench, () => loads.push(bench.store.load(key, bench.now)))
      await heard.after(key, () => bench.store.create(key, record, bench.now))
      assert.ok(await loads.at(-1))
      heard.stop()
    },

    'once a check has answered, everything acknowledged before it was told': async (bench) => {
      const other = await bench.other()
      const heard = await listen(bench)
      const key = bench.key()
      let record = bench.record()
      await other.create(key, record, bench.now)
      for (let round = 0; round < ROUNDS; round += 1) {
        const before = heard.events.length
        const next = successor(bench, record)
        await other.update(key, next, record.version, bench.now)
        await heard.check()
        assert.ok(heard.tellsOf(key, before), `The check of round ${round} was ahead of its event`)
        record = next
      }
      heard.stop()
    },

    'who has stopped hears nothing more, and the others go on': async (bench) => {
      const gone = await listen(bench)
      const heard = await listen(bench)
      gone.stop()
      gone.stop()
      const told = gone.events.length
      const key = bench.key()
      await heard.after(key, () => bench.store.create(key, bench.record(), bench.now))
      assert.equal(gone.events.length, told)
      heard.stop()
    },
  },
}

/** A feed that may have missed something says so. */
export const feedCuts: Group = {
  name: 'feed cuts',
  needs: ['watch', 'cutFeed'],
  cases: {
    'a feed that was cut tells a reset, and goes on': async (bench) => {
      const heard = await listen(bench)
      const key = bench.key()
      const record = bench.record()
      await heard.after(key, () => bench.store.create(key, record, bench.now))
      const before = heard.events.length
      await bench.engine.cutFeed?.()
      const other = await bench.other()
      await other.update(key, successor(bench, record), record.version, bench.now)
      await until(() => heard.events.slice(before).some(({ type }) => type === 'reset'))
      await heard.after(key, () => other.delete(key, bench.now))
      await heard.check()
      heard.stop()
    },

    'what a feed that was cut may have missed lies before its last reset': async (bench) => {
      const other = await bench.other()
      const heard = await listen(bench)
      for (let round = 0; round < 3; round += 1) {
        const key = bench.key()
        const record = bench.record()
        await other.create(key, record, bench.now)
        await heard.check()
        const before = heard.events.length
        const cut = bench.engine.cutFeed?.()
        await other.delete(key, bench.now)
        await cut
        await until(() => heard.tellsOf(key, before))
        await heard.check()
        const last = heard.events.slice(before).findLastIndex(({ type }) => type === 'reset')
        assert.ok(last >= 0, 'A cut feed tells a reset')
      }
      heard.stop()
    },
  },
}

const ROUNDS = 50

interface ToldEnd {
  readonly reason: EndReason
  readonly told: readonly (string | undefined)[]
}

/** Ends sessions in every way there is. */
async function tellEnds(bench: Bench): Promise<ToldEnd[]> {
  const other = await bench.other()
  const heard = await listen(bench)
  const record = bench.record({ userId: 'ada' })
  const stub = successor(bench, record, { userId: undefined })
  const ways: [EndReason, (key: StoreKey) => Promise<unknown>][] = [
    ['signOut', (key) => other.delete(key, bench.now, 'signOut')],
    ['regenerate', (key) => other.update(key, stub, record.version, bench.now, 'regenerate')],
  ]
  if (bench.raw.deleteByUser) ways.push(['revokeByUser', () => endAll(other, 'ada', bench.now)])
  const ends: ToldEnd[] = []
  for (const [reason, end] of ways) {
    const key = bench.key()
    await other.create(key, record, bench.now)
    await heard.check()
    await end(key)
    await heard.check()
    await until(() => heard.reasons(key).length > 0)
    ends.push({ reason, told: heard.reasons(key) })
  }
  heard.stop()
  return ends
}

interface Heard {
  readonly events: readonly StoreEvent[]
  /** Makes a change and waits until it is told: by its key, or by a reset. */
  after(key: StoreKey, change: () => Promise<unknown>): Promise<void>
  /** What the ends of this session were called. */
  reasons(key: StoreKey): (string | undefined)[]
  tellsOf(key: StoreKey, from: number): boolean
  check(): Promise<void>
  stop(): void
}

async function listen(bench: Bench, hear: () => void = () => {}): Promise<Heard> {
  const events: StoreEvent[] = []
  const watching = bench.raw.watch as NonNullable<SessionStore['watch']>
  const feed: StoreFeed = watching.call(bench.raw, (event) => {
    events.push(event)
    hear()
  })
  const check = async (): Promise<void> => feed.check()
  await check()

  async function after(key: StoreKey, change: () => Promise<unknown>): Promise<void> {
    const before = events.length
    await change()
    await until(() => tellsOf(key, before))
  }

  function tellsOf(key: StoreKey, from: number): boolean {
    return events.slice(from).some((event) => event.type === 'reset' || event.key === key)
  }

  return {
    events,
    after,
    reasons: (key) =>
      events.flatMap((event) =>
        event.type === 'ended' && event.key === key ? [event.reason] : [],
      ),
    tellsOf,
    check,
    stop: () => feed.stop(),
  }
}

/** A feed has a way to go: up to five seconds. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'No event told of a change within five seconds')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
