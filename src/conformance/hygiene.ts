import { strict as assert } from 'node:assert'
import type { SessionRecord, SessionStore } from '../core/store.js'
import { assertSameRecord, type Group } from './bench.js'

export const hygiene: Group = {
  name: 'hygiene',
  needs: [],
  cases: {
    'the store has a name and the five methods': async ({ raw }) => {
      assert.equal(typeof raw.name, 'string')
      assert.notEqual(raw.name, '')
      for (const method of ['load', 'create', 'update', 'touch', 'delete'] as const) {
        assert.equal(typeof raw[method], 'function', method)
      }
    },

    'a capability is there whole or not at all': async ({ raw }) => {
      for (const method of CAPABILITIES) {
        assert.ok(raw[method] === undefined || typeof raw[method] === 'function', method)
      }
      assert.equal(raw.listByUser === undefined, raw.deleteByUser === undefined)
      if (raw.revocationMark) assert.ok(raw.deleteByUser, 'Only deleteByUser can set the mark')
    },

    'a limit is a number of bytes': async ({ raw }) => {
      const limit = raw.limits?.maxPayloadBytes
      if (limit !== undefined) assert.ok(Number.isSafeInteger(limit) && limit > 0, String(limit))
    },

    'ping answers, and a clock it shows counts milliseconds since 1970': async ({ raw, store }) => {
      if (raw.ping === undefined) return
      const { now } = await store.ping()
      if (now === undefined) return
      assert.ok(Number.isFinite(now))
      assert.ok(
        Math.abs(now - Date.now()) < DAY,
        `The engine says ${now}, here it is ${Date.now()}`,
      )
    },

    'what ping has to say of the set-up is a list of codes with words': async ({ raw, store }) => {
      if (raw.ping === undefined) return
      const { concerns = [] } = await store.ping()
      assert.ok(Array.isArray(concerns))
      for (const { code, message } of concerns) {
        assert.match(code, /^WARN_SESSION_[A-Z_]+$/)
        assert.ok(message.length > 0, `${code} has no message`)
      }
    },

    'a store goes on with a new connection as with the old one': async ({ raw, ...bench }) => {
      if (raw.reconnect === undefined) return
      const key = bench.key()
      const record = bench.record()
      await bench.store.create(key, record, bench.now)
      await bench.store.reconnect()
      const deadline = Date.now() + RECONNECTED_WITHIN
      const load = (): Promise<SessionRecord | undefined> => bench.store.load(key, bench.now)
      let loaded = await load().catch((error: unknown) => error)
      while (loaded instanceof Error && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        loaded = await load().catch((error: unknown) => error)
      }
      if (loaded instanceof Error) throw loaded
      assertSameRecord(loaded as SessionRecord | undefined, record)
      assert.equal(await bench.store.delete(key, bench.now), true)
    },

    'two stores that were opened share nothing': async (bench) => {
      const key = bench.key()
      await bench.store.create(key, bench.record({ userId: 'ada' }), bench.now)
      await bench.withAnother(async (another) => {
        assert.equal(await another.load(key, bench.now), undefined)
        assert.equal(await another.create(key, bench.record(), bench.now), true)
        if (bench.raw.listByUser) {
          assert.deepEqual(await another.listByUser('ada', bench.now), [])
        }
      })
      assert.equal((await bench.store.load(key, bench.now))?.userId, 'ada')
    },

    'a closed store leaves no timer, file or connection open': async (bench) => {
      const useOne = () =>
        bench.withAnother(async (another) => {
          const key = bench.key()
          await another.create(key, bench.record(), bench.now)
          await another.load(key, bench.now)
        })
      // Once before counting: what a test shares among its stores may be opened with the first.
      await useOne()
      const before = openResources()
      for (let time = 0; time < MANY; time += 1) await useOne()
      const deadline = Date.now() + 3_000
      while (leaked(before).length > 0 && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      const left = leaked(before)
      assert.deepEqual(left, [], `Left open when ${MANY} stores were closed: ${left}`)
    },

    'the records handed in are left as they are': async (bench) => {
      const key = bench.key()
      const first = { ...bench.record({ userId: 'ada' }) }
      const copy = { ...first }
      await bench.store.create(key, first, bench.now)
      await bench.store.touch(key, first.version, bench.now + 5, bench.now + 500, bench.now)
      const second = { ...bench.record() }
      const secondCopy = { ...second }
      await bench.store.update(key, second, first.version, bench.now)
      assert.deepEqual(first, copy)
      assert.deepEqual(second, secondCopy)
    },
  },
}

const CAPABILITIES = [
  'listByUser',
  'deleteByUser',
  'revocationMark',
  'deleteExpired',
  'watch',
  'ping',
  'reconnect',
  'close',
] as const satisfies readonly (keyof SessionStore)[]

const DAY = 86_400_000

const MANY = 8

const RECONNECTED_WITHIN = 2_000

/** How many resources of each kind keep the process alive. */
function openResources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}

/** Kinds of which there are many more: a few more or less may belong to the test runner. */
function leaked(before: ReadonlyMap<string, number>): string[] {
  const now = openResources()
  return [...now.keys()].filter((kind) => (now.get(kind) ?? 0) - (before.get(kind) ?? 0) > MANY / 2)
}
