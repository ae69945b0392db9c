import { strict as assert } from 'node:assert'
import { PRUNE_SLACK, type SessionStore, type StoreEvent, type StoreKey } from '../core/store.js'
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
      await heard.after(key, () => other.create(key, record, bench.now))
      if (bench.raw.deleteByUser) {
        await heard.after(key, () => endAll(other, 'ada', bench.now))
        await other.create(key, record, bench.now)
      }
      const far = record.expiresAt + PRUNE_SLACK + 1
      if (bench.raw.deleteExpired) await heard.after(key, () => other.deleteExpired(10, far))
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
      heard.stop()
    },
  },
}

interface Heard {
  readonly events: readonly StoreEvent[]
  /** Makes a change and waits until it is told: by its key, or by a reset. */
  after(key: StoreKey, change: () => Promise<unknown>): Promise<void>
  stop(): void
}

async function listen(bench: Bench, hear: () => void = () => {}): Promise<Heard> {
  const events: StoreEvent[] = []
  const watching = bench.raw.watch as NonNullable<SessionStore['watch']>
  const stop = watching.call(bench.raw, (event) => {
    events.push(event)
    hear()
  })

  async function after(key: StoreKey, change: () => Promise<unknown>): Promise<void> {
    const before = events.length
    await change()
    await until(() =>
      events.slice(before).some((event) => event.type === 'reset' || event.key === key),
    )
  }

  return { events, after, stop }
}

/** A feed has a way to go: up to five seconds. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'No event told of a change within five seconds')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
