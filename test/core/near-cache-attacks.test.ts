import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createChangeFeed } from '../../src/core/change-feed.js'
import { encodeData } from '../../src/core/codec.js'
import { coherentStore } from '../../src/core/coherent-store.js'
import { DecodedData } from '../../src/core/decoded-data.js'
import { weighPayload } from '../../src/core/entry-weight.js'
import { createNearCache } from '../../src/core/near-cache.js'
import { freshen } from '../../src/core/open-visit.js'
import { encodePayload } from '../../src/core/record.js'
import { VisitSnapshot } from '../../src/core/session-snapshot.js'
import type {
  SessionRecord,
  SessionStore,
  StoreEvent,
  StoreFeed,
  StoreKey,
} from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore, gatedStore } from '../../src/testing.js'
import { heapInUse } from '../heap.js'
import { feedDouble } from './feed-double.js'
import { codeOf, createJar, createProcess, type Data, dataOf, type Process } from './process.js'
import { idOf, newSession, read, stored } from './scene.js'

const NEAR = { maxStaleness: 2000, maxEntryAge: 30_000, maxEntries: 1000, maxBytes: 1_000_000 }

function set(process: Process, cookie: string, data: Data): Promise<unknown> {
  return process.handle(createJar(cookie), (session) => Object.assign(session, data))
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  vi.spyOn(process, 'emitWarning').mockReturnValue()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('what was sent while no feed stood', () => {
  test('is not kept when it is answered after one has proven itself', async () => {
    const memory = memoryStore()
    const gate = gatedStore(memory)
    const far = createProcess(memory)
    const near = createProcess(gate.store, { nearCache: NEAR })
    const cookie = await newSession(far, { n: 1 }, 'ada')
    // The manager reads a record, and has no need of a feed.
    const revoking = near.manager.revoke(idOf(cookie), { userId: 'bob' })
    const early = await gate.next('load')
    await early.go()
    await set(far, cookie, { n: 2 })
    // Any other visitor has the feed opened.
    const other = near.request(createJar(await newSession(far, { other: true })))
    await (await gate.next('load')).finish()
    await other
    await (await gate.next('load', 'reply')).go()
    expect(await revoking).toBe(false)
    const reading = near.request(createJar(cookie))
    const load = await Promise.race([gate.next('load'), reading.then(() => undefined)])
    await load?.finish()
    expect(dataOf((await reading).session)).toEqual({ n: 2 })
  })

  test('is not kept where the feed was given up and opened anew meanwhile', async () => {
    const memory = memoryStore()
    const gate = gatedStore(memory)
    const feed = feedDouble(gate.store)
    const far = createProcess(memory)
    const near = createProcess(feed.store, { nearCache: NEAR, storeBudget: 60_000 })
    const cookie = await newSession(far, { n: 1 })
    const first = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    await first
    feed.refusal = new Error('not now')
    await vi.advanceTimersByTimeAsync(600)
    const late = near.request(createJar(cookie))
    await (await gate.next('load')).go()
    await set(far, cookie, { n: 2 })
    feed.refusal = undefined
    await vi.advanceTimersByTimeAsync(2000)
    await (await gate.next('load', 'reply')).go()
    await late
    const reading = near.request(createJar(cookie))
    const load = await Promise.race([gate.next('load'), reading.then(() => undefined)])
    await load?.finish()
    expect(dataOf((await reading).session)).toEqual({ n: 2 })
  })
})

describe('reads of one process never go back', () => {
  test('after a read past a cache that was not proven, and is again by an older question', async () => {
    const memory = memoryStore()
    const feed = feedDouble(memory)
    const far = createProcess(memory)
    const near = createProcess(feed.store, { nearCache: NEAR })
    const cookie = await newSession(far, { n: 1 })
    await read(near, cookie)
    await vi.advanceTimersByTimeAsync(1)
    await read(near, cookie)
    const { engine } = near
    const at = { steady: performance.now(), wall: Date.now() }
    feed.pause()
    await vi.advanceTimersByTimeAsync(1)
    await set(far, cookie, { n: 2 })
    engine.nearCache?.proven({ steady: -1e9, wall: -1e9 })
    expect(await read(near, cookie)).toEqual({ n: 2 })
    // The answer to a question from before the change.
    engine.nearCache?.proven(at)
    expect(await read(near, cookie)).toEqual({ n: 2 })
  })

  test('after a fresh one that the late news of an own write spoilt', async () => {
    const memory = memoryStore()
    const gate = gatedStore(memory)
    const feed = feedDouble(gate.store)
    const far = createProcess(memory)
    const near = createProcess(feed.store, { nearCache: NEAR })
    const cookie = await newSession(far, { n: 1 })
    const first = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    const { session, respond } = await first
    await vi.advanceTimersByTimeAsync(1)
    feed.pause()
    session.n = 2
    const responding = respond()
    await (await gate.next('update')).finish()
    await responding
    const again = await near.request(createJar(cookie))
    expect(again.session.n).toBe(2)
    const fresh = freshen(again.visit)
    const load = await gate.next('load')
    feed.resume()
    feed.pause()
    await set(far, cookie, { n: 3 })
    await load.finish()
    await fresh
    expect(again.session.n).toBe(3)
    const reading = near.request(createJar(cookie))
    const next = await Promise.race([gate.next('load'), reading.then(() => undefined)])
    await next?.finish()
    expect(dataOf((await reading).session)).toEqual({ n: 3 })
  })
})

describe('the near cache itself', () => {
  const record: SessionRecord = {
    version: 'v',
    payload: '1[]\n{}',
    userId: undefined,
    lastSeenAt: 0,
    expiresAt: 9e15,
    absoluteExpiresAt: 9e15,
  }

  function proven(options: Partial<typeof NEAR> = {}) {
    const cache = createNearCache({ ...NEAR, ...options })
    cache.proven({ steady: performance.now(), wall: Date.now() })
    return cache
  }

  test('forgets calls that never answer, at the latest when there are too many', () => {
    const cache = proven()
    const before = heapInUse()
    const lost = cache.reading('lost' as StoreKey)
    for (let index = 0; index < 50_000; index += 1) cache.reading(`lost-${index}` as StoreKey)
    expect(heapInUse() - before).toBeLessThan(4_000_000)
    // What is forgotten is not kept, should it be answered after all.
    cache.answered(lost, record)
    expect(cache.size).toBe(0)
    cache.answered(cache.reading('kept' as StoreKey), record)
    expect(cache.size).toBe(1)
  })

  test('forgets calls on one key that never answer, too', () => {
    const cache = proven()
    const before = heapInUse()
    for (let index = 0; index < 25_000; index += 1) {
      cache.reading('hot' as StoreKey)
      cache.reading('hot' as StoreKey)
      cache.writing('warm' as StoreKey, `v${index}`)
    }
    expect(heapInUse() - before).toBeLessThan(4_000_000)
  })

  test('is not emptied by one session that it has no room for', () => {
    const cache = proven({ maxBytes: 100_000 })
    for (let index = 0; index < 20; index += 1)
      cache.answered(cache.reading(`small-${index}` as StoreKey), record)
    const big = { ...record, payload: `1[]\n{"text":"${'x'.repeat(200_000)}"}` }
    cache.answered(cache.reading('big' as StoreKey), big)
    expect(cache.size).toBe(20)
  })

  test('leaves what is no record to those who say that it is corrupt', async () => {
    const memory = memoryStore()
    const odd = { ...record, payload: undefined } as never
    const store: SessionStore = { ...memory, load: () => odd }
    const near = createProcess(store, { nearCache: NEAR })
    const heard: unknown[] = []
    near.manager.on('corrupt', (event) => heard.push(event))
    expect(await read(near, await newSession(near, { n: 1 }))).toEqual({ n: 1 })
    near.engine.nearCache?.clear()
    expect(heard).toEqual([])
    const cookie = await newSession(createProcess(memory), { n: 1 })
    expect(await read(near, cookie)).toEqual({})
    expect(heard).toHaveLength(1)
  })

  test('lets go of everything when the sessions are closed', async () => {
    const near = createProcess(memoryStore(), { nearCache: NEAR })
    await read(near, await newSession(near, { n: 1 }))
    expect(near.engine.nearCache?.size).toBe(1)
    await near.manager.close()
    expect(near.engine.nearCache?.size).toBe(0)
  })
})

describe('by its rules, one by one, the near cache', () => {
  const key = 'k'.repeat(22) as StoreKey
  const payload = encodePayload({ secretHash: 's', privilege: 'p', createdAt: 0 }, '{"n":1}')
  const HOUR = 3_600_000

  function setUp() {
    const cache = createNearCache({ ...NEAR, maxEntryAge: 2 * HOUR })
    const prove = (): void => cache.proven({ steady: performance.now(), wall: Date.now() })
    const record = (version = 'v1'): SessionRecord => ({
      ...{ version, payload, userId: undefined, lastSeenAt: Date.now() },
      ...{ expiresAt: Date.now() + HOUR, absoluteExpiresAt: Date.now() + 2 * HOUR },
    })
    const keep = (version?: string): void => cache.answered(cache.reading(key), record(version))
    const find = (): string | undefined => cache.find(key, Date.now())?.version
    return { cache, prove, record, keep, find }
  }

  test('keeps nothing while no feed has proven itself', () => {
    const { cache, prove, keep, find } = setUp()
    keep()
    expect(cache.size).toBe(0)
    prove()
    keep()
    expect(find()).toBe('v1')
  })

  test('goes by both clocks: one may stand still, the other may be set back', () => {
    const { prove, keep, find } = setUp()
    prove()
    keep()
    const wall = Date.now()
    vi.advanceTimersByTime(2000)
    vi.setSystemTime(wall)
    expect(find()).toBe('v1')
    vi.advanceTimersByTime(1)
    vi.setSystemTime(wall)
    expect(find()).toBe(undefined)
  })

  test('serves nothing past its own deadline, nor what is older than maxEntryAge since it was asked for', () => {
    const { cache, prove, record, keep, find } = setUp()
    prove()
    keep()
    vi.advanceTimersByTime(HOUR - 1)
    prove()
    expect(find()).toBe('v1')
    vi.advanceTimersByTime(1)
    prove()
    expect(find()).toBe(undefined)
    const ticket = cache.reading(key)
    vi.advanceTimersByTime(1.5 * HOUR)
    prove()
    cache.answered(ticket, record('v2'))
    vi.advanceTimersByTime(0.6 * HOUR)
    prove()
    expect(find()).toBe(undefined)
  })

  test('forgets what it had with a write, when that is sent and when it is answered', () => {
    const { cache, prove, record, keep, find } = setUp()
    prove()
    keep()
    const writing = cache.writing(key, 'v2')
    expect(find()).toBe(undefined)
    // A load between the two, answered before the write and after it.
    keep()
    const late = cache.reading(key)
    cache.answered(writing, undefined)
    expect(find()).toBe(undefined)
    cache.answered(late, record())
    expect(find()).toBe(undefined)
  })

  test('is not told of its own write as if it were another’s', () => {
    const { cache, prove, record, find } = setUp()
    prove()
    const writing = cache.writing(key, 'v2')
    cache.drop(key, 'v2')
    cache.answered(writing, record('v2'))
    cache.drop(key, 'v2')
    expect(find()).toBe('v2')
    cache.drop(key, 'v3')
    expect(find()).toBe(undefined)
  })

  test('moves the record that was touched, no other, and never back', () => {
    const { cache, prove, record, keep, find } = setUp()
    prove()
    keep()
    const { expiresAt, lastSeenAt } = record()
    cache.moved(key, 'v2', { lastSeenAt: lastSeenAt + 1, expiresAt: 0 })
    cache.moved(key, 'v1', { lastSeenAt, expiresAt: 0 })
    expect(find()).toBe('v1')
    cache.moved(key, 'v1', { lastSeenAt: lastSeenAt + 1, expiresAt: expiresAt + 1 })
    expect(cache.find(key, Date.now())).toMatchObject({ lastSeenAt: lastSeenAt + 1 })
    vi.advanceTimersByTime(HOUR)
    prove()
    expect(find()).toBe('v1')
    vi.advanceTimersByTime(1)
    prove()
    expect(find()).toBe(undefined)
  })

  test('has the room again of what it let go, however that went', () => {
    const { record } = setUp()
    const keys = Array.from({ length: 11 }, (_, n) => `${n}`.padStart(22, 'k') as StoreKey)
    const cache = createNearCache({ ...NEAR, maxBytes: 10 * weighPayload(payload) })
    const keep = (one: StoreKey, version = 'v1', expiresAt = Date.now() + HOUR): void =>
      cache.answered(cache.reading(one), { ...record(version), expiresAt })
    const [first, second] = keys as [StoreKey, StoreKey]
    const ways = {
      'for a newer one': () => keep(first),
      'by an event': () => cache.drop(first),
      'with a write': () => cache.answered(cache.writing(first, 'v2'), record('v2')),
      'for another version': () => cache.answered(cache.reading(first), record('v3')),
      'with all others': () => cache.clear(),
      'of old age': () => {
        vi.advanceTimersByTime(NEAR.maxEntryAge + 1)
        cache.proven({ steady: performance.now(), wall: Date.now() })
        cache.find(first, Date.now())
      },
      'past the bound': () => {
        for (const one of keys) keep(one)
      },
    }
    for (const [way, letGo] of Object.entries(ways)) {
      for (let round = 0; round < 30; round += 1) {
        cache.proven({ steady: performance.now(), wall: Date.now() })
        keep(first)
        letGo()
      }
      cache.clear()
      cache.proven({ steady: performance.now(), wall: Date.now() })
      for (const one of keys.slice(0, 10)) keep(one)
      expect(cache.size, way).toBe(10)
      expect(cache.find(second, Date.now()), way).toBeDefined()
      keep(keys[10] as StoreKey)
      expect(cache.size, way).toBe(10)
    }
  })

  test('has no room taken up by what cannot be read', () => {
    const { cache, prove, record, find } = setUp()
    prove()
    cache.answered(cache.reading(key), { ...record(), payload: '1[' })
    expect(find()).toBe(undefined)
    expect(cache.size).toBe(0)
  })
})

describe('a store behind the near cache', () => {
  const key = 'k'.repeat(22) as StoreKey
  const record = (version: string): SessionRecord => ({
    ...{ version, payload: encodePayload({ secretHash: 's', privilege: 'p', createdAt: 0 }, '{}') },
    ...{ userId: undefined, lastSeenAt: 0, expiresAt: 9e15, absoluteExpiresAt: 9e15 },
  })
  const mark = { value: 'm', expiresAt: 9e15 }
  const failure = new Error('the outcome is unknown')
  type Call = (store: SessionStore) => unknown
  const update: Call = (store) => store.update(key, record('v2'), 'v1', 0)
  const end: Call = (store) => store.update(key, record('v2'), 'v1', 0, 'signIn')
  const create: Call = (store) => store.create(key, record('v2'), 0)
  const remove: Call = (store) => store.delete(key, 0)
  const touch: Call = (store) => store.touch(key, 'v1', 1, 9e15, 0)
  const endUser: Call = (store) => store.deleteByUser?.('ada', { except: [], mark, now: 0 })

  /** What the cache serves after `call` was answered so, and then after a load that was under way all the while. */
  async function servedAfter(call: Call, answer: unknown, isLate: boolean) {
    const cache = createNearCache(NEAR)
    cache.proven({ steady: performance.now(), wall: Date.now() })
    let settle = (): void => {}
    const respond = (): never => {
      const give = (): unknown => {
        if (answer === failure) throw failure
        return answer
      }
      if (!isLate) return give() as never
      return new Promise<void>((resolve) => {
        settle = resolve
      }).then(give) as never
    }
    let answerLoad = (_: SessionRecord): void => {}
    const load = () =>
      new Promise<SessionRecord>((resolve) => {
        answerLoad = resolve
      })
    const ends = { update: respond, create: respond, delete: respond, deleteByUser: respond }
    const store = coherentStore({ ...memoryStore(), ...ends, touch: respond, load }, cache)

    async function loaded(): Promise<void> {
      const loading = store.load(key, 0)
      answerLoad(record('v1'))
      await loading
    }

    await loaded()
    expect(cache.find(key, 0)?.version).toBe('v1')
    let late = isLate ? undefined : store.load(key, 0)
    const called = (async () => call(store))().catch((error) => expect(error).toBe(failure))
    if (isLate) {
      await loaded()
      late = store.load(key, 0)
    }
    settle()
    await called
    const served = cache.find(key, 0)?.version
    answerLoad(record('v1'))
    await late
    return [served, cache.find(key, 0)?.version]
  }

  const NOTHING = [undefined, undefined]
  test.each<[string, Call, unknown, unknown[]]>([
    ['an update', update, { outcome: 'updated' }, ['v2', undefined]],
    ['a conflict', update, { outcome: 'conflict', record: record('v3') }, NOTHING],
    ['an update of nothing', update, { outcome: 'missing' }, NOTHING],
    ['an update that may have been made', update, failure, NOTHING],
    ['an end by a swap', end, { outcome: 'updated' }, NOTHING],
    ['a first record', create, true, ['v2', undefined]],
    ['a first record that was none', create, false, NOTHING],
    ['a first record that may have been made', create, failure, NOTHING],
    ['a delete', remove, true, NOTHING],
    ['a delete that may have been made', remove, failure, NOTHING],
    ['a touch', touch, { outcome: 'updated' }, ['v1', 'v1']],
    ['a touch of another version', touch, { outcome: 'conflict', record: record('v3') }, NOTHING],
    ['a touch of nothing', touch, { outcome: 'missing' }, NOTHING],
    ['a touch that may have been made', touch, failure, ['v1', 'v1']],
    ['an end of all sessions of a user', endUser, [key], NOTHING],
    ['an end of none of them', endUser, [], ['v1', 'v1']],
  ])('is served as it stands after %s', async (_, call, answer, served) => {
    for (const isLate of [false, true]) {
      expect(await servedAfter(call, answer, isLate)).toEqual(served)
    }
  })
})

describe('the estimate of what an entry takes', () => {
  const many = <T>(count: number, make: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => make(index))

  test.each<[string, () => Data]>([
    ['rows', () => ({ rows: many(60, (id) => ({ id, name: `name ${id}`, tags: ['a', 'b'] })) })],
    ['empty objects', () => ({ list: many(1000, () => ({})) })],
    ['Dates', () => ({ list: many(300, (at) => new Date(at)) })],
    ['Maps', () => ({ list: many(300, () => new Map()) })],
  ])('is not far off for %s', (_, make) => {
    // The Date of the fake ones is another.
    vi.useRealTimers()
    const text = `1[]\n${encodeData(make())}`
    // So much that what the test runner does meanwhile is little beside it.
    const count = Math.ceil(8_000_000 / weighPayload(text))
    const payloads = many(count, () => Buffer.from(text).toString())
    const before = heapInUse()
    const kept = payloads.map((payload) => {
      const decoded = new DecodedData(payload.slice(4))
      return [decoded, decoded.copy, decoded.frozen]
    })
    const real = (heapInUse() - before) / kept.length
    expect(real).toBeLessThan(1.8 * weighPayload(text))
    expect(real).toBeGreaterThan(0.4 * weighPayload(text))
  })

  test('takes no brackets in texts for objects', () => {
    const plain = `1[]\n${encodeData({ text: 'x'.repeat(2000) })}`
    const odd = `1[]\n${encodeData({ text: '"{'.repeat(500).padEnd(1500, '[') })}`
    expect(odd.length).toBe(plain.length)
    expect(weighPayload(odd)).toBe(weighPayload(plain))
  })
})

describe('a snapshot', () => {
  test('cannot be changed by what a later release of JavaScript brings either', async () => {
    Object.defineProperty(Map.prototype, 'getOrInsert', {
      configurable: true,
      value(this: Map<unknown, unknown>, key: unknown, value: unknown) {
        this.set(key, value)
      },
    })
    try {
      vi.resetModules()
      const { freezeData } = await import('../../src/core/frozen-data.js')
      const map = new Map([[1, new Map()]]) as Map<unknown, unknown> & { getOrInsert(): void }
      freezeData(map)
      expect(() => map.getOrInsert()).toThrow(/a snapshot of a session cannot be changed/)
      expect([map.size, map.get(2), [...map.keys()]]).toEqual([1, undefined, [1]])
    } finally {
      Reflect.deleteProperty(Map.prototype, 'getOrInsert')
    }
  })

  test('is of one moment, also where the session is another by the time that it is read', async () => {
    const near = createProcess(memoryStore(), { nearCache: NEAR })
    const cookie = await newSession(near, { n: 1 }, 'ada')
    const { visit, session } = await near.request(createJar(cookie))
    const snapshot = new VisitSnapshot(visit)
    await session.signOut()
    expect(snapshot.data).toEqual({ n: 1 })
    expect(snapshot.info).toMatchObject({ userId: 'ada', isNew: false })
    const visitor = await near.request()
    const before = new VisitSnapshot(visitor.visit)
    await visitor.session.signIn('bob', { data: { n: 2 } })
    expect(before.data).toEqual({})
    expect(before.info).toMatchObject({ userId: undefined, isNew: true })
  })
})

test('a user whose sessions were ended is refused from the near cache too, though the store did not confirm', async () => {
  const memory = memoryStore()
  const faulty = faultyStore(memory)
  const near = createProcess(feedDouble(faulty.store).store, { nearCache: NEAR })
  const cookie = await newSession(createProcess(memory), { n: 1 }, 'ada')
  await read(near, cookie)
  await vi.advanceTimersByTimeAsync(1)
  await read(near, cookie)
  expect(near.engine.nearCache?.size).toBe(1)
  faulty.fail()
  expect(await codeOf(near.manager.revokeByUser('ada'))).not.toBe('ok')
  expect(near.engine.nearCache?.size).toBe(1)
  expect(await read(near, cookie)).toEqual({})
  await codeOf(near.manager.close())
})

describe('asking for a session fresh', () => {
  async function setUp(options = {}) {
    const memory = memoryStore()
    const faulty = faultyStore(memory)
    const gate = gatedStore(faulty.store)
    const feed = feedDouble(gate.store)
    const far = createProcess(memory)
    const near = createProcess(feed.store, { nearCache: NEAR, ...options })
    const cookie = await newSession(far, { n: 1 }, 'ada')
    const warm = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    await warm
    feed.pause()
    const jar = createJar(cookie)
    const { visit, session, respond } = await near.request(jar)
    expect(session.n).toBe(1)
    return { memory, faulty, gate, far, near, cookie, jar, visit, session, respond }
  }

  test('brings nothing back that the same request has signed out meanwhile', async () => {
    const { memory, gate, cookie, jar, visit, session, respond } = await setUp()
    const asking = freshen(visit)
    await (await gate.next('load')).go()
    const leaving = session.signOut()
    await (await gate.next('delete')).finish()
    await leaving
    await (await gate.next('load', 'reply')).go()
    await asking
    expect(visit.stored).toBe(undefined)
    expect(dataOf(visit.open())).toEqual({})
    await respond()
    expect(jar.cookie).toBe(undefined)
    expect(await stored(memory, cookie)).toBe(undefined)
  })

  test('does not take back the cookie of a sign-out when the store fails', async () => {
    const { faulty, gate, jar, visit, session, respond } = await setUp({
      onStoreError: 'anonymous',
    })
    const asking = codeOf(Promise.resolve(freshen(visit)))
    const load = await gate.next('load')
    const leaving = session.signOut()
    await (await gate.next('delete')).finish()
    await leaving
    faulty.fail()
    await load.finish()
    await vi.advanceTimersByTimeAsync(200)
    await (await gate.next('load')).finish()
    expect(await asking).toBe('ok')
    await respond()
    expect(jar.cookie).toBe(undefined)
  })

  test('drops no change in silence where the session has ended', async () => {
    const { gate, far, cookie, visit, session, respond } = await setUp()
    session.n = 2
    await far.manager.revoke(idOf(cookie))
    const asking = codeOf(Promise.resolve(freshen(visit)))
    await (await gate.next('load')).finish()
    expect(await asking).toBe('ERR_SESSION_ENDED')
    expect(await codeOf(respond())).toBe('ERR_SESSION_ENDED')
  })

  test('drops no change in silence where the store fails', async () => {
    const { faulty, gate, visit, session, respond } = await setUp({ onStoreError: 'anonymous' })
    session.n = 2
    faulty.fail()
    const asking = codeOf(Promise.resolve(freshen(visit)))
    await (await gate.next('load')).finish()
    await vi.advanceTimersByTimeAsync(200)
    await (await gate.next('load')).finish()
    expect(await asking).toBe('ERR_SESSION_READ_ONLY')
    expect(await codeOf(respond())).toBe('ERR_SESSION_READ_ONLY')
  })
})

describe('a feed', () => {
  test('is not given up because the process was busy when the answer came', async () => {
    const feed = feedDouble(memoryStore())
    const near = createProcess(feed.store, { nearCache: NEAR })
    const turns: boolean[] = []
    near.manager.on('feed', ({ isAlive }) => turns.push(isAlive))
    await read(near, await newSession(near, { n: 1 }))
    await vi.advanceTimersByTimeAsync(1)
    feed.pause()
    await vi.advanceTimersByTimeAsync(600)
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 5000)
    // Timers come first after a pause of the whole process.
    await vi.advanceTimersByTimeAsync(500)
    feed.resume()
    await vi.advanceTimersByTimeAsync(1000)
    expect(turns).toEqual([true])
    expect(feed.opened).toBe(1)
    await near.manager.close()
  })

  test('that takes its time to say why it cannot work is heard out', async () => {
    const memory = memoryStore()
    const store: SessionStore = {
      ...memory,
      watch: () => ({
        check: () =>
          new Promise((_, reject) => setTimeout(reject, 2500, new Error('a pooler swallows it'))),
        stop() {},
      }),
    }
    const near = createProcess(store, { nearCache: NEAR })
    const warnings: string[] = []
    near.manager.on('warning', ({ message }) => warnings.push(message))
    await read(near, await newSession(near, { n: 1 }))
    await vi.advanceTimersByTimeAsync(3000)
    expect(warnings).toEqual([expect.stringContaining('a pooler swallows it')])
    await near.manager.close()
  })

  /** Its checks and events come as the test says. */
  function byHand() {
    const memory = memoryStore()
    const faulty = faultyStore(memory)
    const checks: { resolve(): void; reject(error: unknown): void }[] = []
    const tells: ((event: StoreEvent) => void)[] = []
    const store: SessionStore = {
      ...faulty.store,
      watch(listener) {
        tells.push(listener)
        return {
          check: () => new Promise<void>((resolve, reject) => checks.push({ resolve, reject })),
          stop() {},
        }
      },
    }
    const near = createProcess(store, { nearCache: NEAR })
    return { memory, faulty, checks, tells, near }
  }

  test('proves nothing by the answer to a question from before a reset', async () => {
    const { memory, faulty, checks, tells, near } = byHand()
    const cookie = await newSession(createProcess(memory), { n: 1 })
    await read(near, cookie)
    tells[0]?.({ type: 'reset' })
    checks[0]?.resolve()
    await vi.advanceTimersByTimeAsync(0)
    for (let round = 0; round < 3; round += 1) await read(near, cookie)
    expect(faulty.calls.load).toBe(4)
    await vi.advanceTimersByTimeAsync(1)
    checks[1]?.resolve()
    await vi.advanceTimersByTimeAsync(0)
    for (let round = 0; round < 3; round += 1) await read(near, cookie)
    expect(faulty.calls.load).toBe(5)
    await near.manager.close()
  })

  test('proves itself by when it was asked, however late the answer comes', async () => {
    const { memory, faulty, checks, near } = byHand()
    const cookie = await newSession(createProcess(memory), { n: 1 })
    await read(near, cookie)
    await vi.advanceTimersByTimeAsync(1500)
    checks[0]?.resolve()
    await vi.advanceTimersByTimeAsync(0)
    for (let round = 0; round < 3; round += 1) await read(near, cookie)
    expect(faulty.calls.load).toBe(2)
    await vi.advanceTimersByTimeAsync(501)
    await read(near, cookie)
    expect(faulty.calls.load).toBe(3)
    await near.manager.close()
  })

  test('that answers at once, and then fails, is believed no longer', async () => {
    const memory = memoryStore()
    const faulty = faultyStore(memory)
    let isBroken = false
    const check = (): void => {
      if (isBroken) throw new Error('the file is gone')
    }
    const store: SessionStore = { ...faulty.store, watch: () => ({ check, stop() {} }) }
    const near = createProcess(store, { nearCache: NEAR })
    const cookie = await newSession(createProcess(memory), { n: 1 })
    for (let round = 0; round < 3; round += 1) await read(near, cookie)
    expect(faulty.calls.load).toBe(1)
    isBroken = true
    await read(near, cookie)
    expect(faulty.calls.load).toBe(2)
    await near.manager.close()
  })

  test('is not given up for the refusal of a question from before a reset', async () => {
    const { memory, checks, tells, near } = byHand()
    await read(near, await newSession(createProcess(memory), { n: 1 }))
    tells[0]?.({ type: 'reset' })
    checks[0]?.reject(new Error('the connection was lost'))
    await vi.advanceTimersByTimeAsync(1500)
    expect(tells).toHaveLength(1)
    await near.manager.close()
  })

  test('is not listened to any more once it was given up', async () => {
    const { memory, checks, tells, near } = byHand()
    const heard: unknown[] = []
    near.manager.on('ended', (event) => heard.push(event))
    await read(near, await newSession(createProcess(memory), { n: 1 }))
    checks[0]?.reject(new Error('not here'))
    await vi.advanceTimersByTimeAsync(1)
    tells[0]?.({ type: 'ended', key: 'A'.repeat(22) as StoreKey })
    expect(heard).toEqual([])
    await near.manager.close()
  })

  describe('that cannot be opened', () => {
    function failing(isDown: () => boolean) {
      const opened: number[] = []
      const memory = memoryStore()
      const feed = createChangeFeed({
        store: {
          ...memory,
          watch(listener) {
            opened.push(performance.now())
            if (isDown()) throw new Error('down')
            return {
              ...(memory.watch?.(listener) as StoreFeed),
              check() {
                if (isDown()) throw new Error('down')
              },
            }
          },
        },
        interval: 500,
        onEvent: () => {},
        onProof: () => {},
        onTurn: () => {},
      })
      return { feed, pauses: () => opened.map((at, n) => at - (opened[n - 1] ?? at)).slice(1) }
    }

    test('is tried more and more seldom, and at once when the store is back', async () => {
      const { feed, pauses } = failing(() => true)
      feed.start()
      await vi.advanceTimersByTimeAsync(300_000)
      const early = pauses()
      expect(early[0]).toBeLessThan(1000)
      expect(Math.max(...early)).toBeGreaterThan(20_000)
      expect(Math.max(...early)).toBeLessThan(40_000)
      feed.hurry()
      await vi.advanceTimersByTimeAsync(1000)
      expect(pauses().length).toBe(early.length + 1)
      // What is not back is left alone again.
      feed.hurry()
      await vi.advanceTimersByTimeAsync(400)
      feed.close()
      feed.hurry()
      const all = pauses().length
      await vi.advanceTimersByTimeAsync(300_000)
      expect(pauses().length).toBe(all)
    })

    test('begins with short pauses again once it was alive', async () => {
      let isDown = true
      const { feed, pauses } = failing(() => isDown)
      feed.start()
      await vi.advanceTimersByTimeAsync(100_000)
      isDown = false
      await vi.advanceTimersByTimeAsync(60_000)
      const before = pauses().length
      isDown = true
      await vi.advanceTimersByTimeAsync(2000)
      expect(pauses().length).toBeGreaterThan(before)
      feed.close()
    })
  })

  test('is asked about once a second, however stale a read may be', async () => {
    const memory = memoryStore()
    let checks = 0
    const store: SessionStore = {
      ...memory,
      watch(listener) {
        const feed = memory.watch?.(listener)
        return {
          async check() {
            checks += 1
          },
          stop: () => feed?.stop(),
        }
      },
    }
    const near = createProcess(store, { nearCache: { ...NEAR, maxStaleness: 1e12 } })
    await read(near, await newSession(near, { n: 1 }))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(checks).toBeGreaterThan(8)
    expect(checks).toBeLessThan(13)
    await near.manager.close()
  })
})

describe('an end', () => {
  test('that is told of what is no session, or with no reason of ours, is not passed on as it came', async () => {
    const memory = memoryStore()
    let tell = (_event: unknown): void => {}
    const store: SessionStore = {
      ...memory,
      watch(listener) {
        tell = listener as typeof tell
        return { check() {}, stop() {} }
      },
    }
    const { manager } = createProcess(store)
    const heard: unknown[] = []
    manager.on('ended', (event) => heard.push(event))
    const id = 'A'.repeat(22)
    for (const key of ['', `${id}\n`, `${id}${id}`, '<img src=x>', 'x'.repeat(8000)]) {
      tell({ type: 'ended', key, reason: 'revoke' })
    }
    expect(heard).toEqual([])
    tell({ type: 'ended', key: id, reason: '<script>' })
    expect(heard).toEqual([{ id, reason: undefined }])
    await manager.close()
  })

  test('is none that a session expired, whether it is pruned or deleted then', async () => {
    const store = memoryStore()
    const process = createProcess(store)
    const heard: unknown[] = []
    process.manager.on('ended', (event) => heard.push(event))
    const cookies = [await newSession(process, { n: 1 }), await newSession(process, { n: 2 })]
    await vi.advanceTimersByTimeAsync(45 * 60_000)
    expect(store.delete(idOf(cookies[0] as string), Date.now())).toBe(false)
    expect(store.deleteExpired?.(10, Date.now())).toBe(1)
    expect(heard).toEqual([])
    await process.manager.close()
  })
})
