import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { freshen } from '../../src/core/open-visit.js'
import { VisitSnapshot } from '../../src/core/session-snapshot.js'
import type { SessionStore, StoreKey } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { type FaultyStore, faultyStore, gatedStore } from '../../src/testing.js'
import { type FeedDouble, feedDouble } from './feed-double.js'
import { codeOf, createJar, createProcess, type Data, dataOf, type Process } from './process.js'
import { idOf, newSession, read } from './scene.js'

const NEAR = { maxStaleness: 2000, maxEntryAge: 30_000, maxEntries: 1000, maxBytes: 1_000_000 }
const MINUTE = 60_000

/** `near` reads by its near cache, over a feed that can be held up; `far` is another process. */
interface World {
  readonly faulty: FaultyStore
  readonly feed: FeedDouble
  readonly near: Process
  readonly far: Process
}

function createWorld(options: Partial<typeof NEAR> = {}): World {
  const memory = memoryStore()
  const faulty = faultyStore(memory)
  const feed = feedDouble(faulty.store)
  const common = { clock: Date }
  return {
    faulty,
    feed,
    near: createProcess(feed.store, { ...common, nearCache: { ...NEAR, ...options } }),
    far: createProcess(memory, common),
  }
}

/** A session that `near` has in its cache. */
async function cachedSession({ near, far }: World, data: Data, user?: string): Promise<string> {
  // Whatever opens the feed; it proves itself at once.
  const first = await newSession(far, { first: true })
  await read(near, first)
  await vi.advanceTimersByTimeAsync(1)
  const cookie = await newSession(far, data, user)
  expect(await read(near, cookie)).toEqual(data)
  return cookie
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  vi.spyOn(process, 'emitWarning').mockReturnValue()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('a read that the near cache answers', () => {
  test('calls no store and parses nothing', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1, at: new Date(5), list: [{ a: 1 }] })
    expect(await read(world.near, cookie)).toEqual({ n: 1, at: new Date(5), list: [{ a: 1 }] })
    const before = world.faulty.total
    const parse = vi.spyOn(JSON, 'parse')
    const stringify = vi.spyOn(JSON, 'stringify')
    const visitor = await world.near.request(createJar(cookie))
    expect(visitor.session.n).toBe(1)
    expect(parse).not.toHaveBeenCalled()
    expect(stringify).not.toHaveBeenCalled()
    expect(world.faulty.total).toBe(before)
  })

  test('has data of its own, to change as it likes', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { list: [{ a: 1 }], map: new Map([['k', { b: 1 }]]) })
    const one = await world.near.request(createJar(cookie))
    const list = one.session.list as { a: number }[]
    ;(list[0] as { a: number }).a = 2
    ;(one.session.map as Map<string, unknown>).clear()
    expect(await read(world.near, cookie)).toEqual({
      list: [{ a: 1 }],
      map: new Map([['k', { b: 1 }]]),
    })
  })

  test('stores what it changes', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    await world.near.handle(createJar(cookie), (session) => {
      session.n = 2
    })
    expect(await read(world.far, cookie)).toEqual({ n: 2 })
  })

  test('sends a touch as seldom as any other', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    for (let second = 0; second < 400; second += 1) {
      await vi.advanceTimersByTimeAsync(1000)
      await read(world.near, cookie)
    }
    expect(world.faulty.calls.touch).toBe(2)
  })
})

describe('a change in another process', () => {
  test('is seen as soon as the feed tells of it', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    for (let n = 2; n < 20; n += 1) {
      await world.far.handle(createJar(cookie), (session) => {
        session.n = n
      })
      expect(await read(world.near, cookie)).toEqual({ n })
    }
  })

  test('is seen within maxStaleness, though the feed has fallen silent', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    world.feed.pause()
    await world.far.handle(createJar(cookie), (session) => {
      session.n = 2
    })
    const changedAt = performance.now()
    while ((await read(world.near, cookie)).n === 1) await vi.advanceTimersByTimeAsync(10)
    expect(performance.now() - changedAt).toBeLessThanOrEqual(2000)
    expect(performance.now() - changedAt).toBeGreaterThan(1000)
  })

  test('is seen after the machine slept, though nothing else moved on', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    world.feed.pause()
    await world.far.handle(createJar(cookie), (session) => {
      session.n = 2
    })
    expect(await read(world.near, cookie)).toEqual({ n: 1 })
    vi.setSystemTime(Date.now() + 3000)
    expect(await read(world.near, cookie)).toEqual({ n: 2 })
  })

  test('N1: of a sign-in is never met by a no of the cache', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { cart: 1 })
    world.feed.pause()
    const jar = createJar(cookie)
    await world.far.handle(jar, (session) => session.signIn('ada', { keep: ['cart'] }))
    expect(await read(world.near, cookie)).toEqual({ cart: 1 })
    const { session } = await world.near.request(jar)
    expect(session.info.userId).toBe('ada')
  })

  test('N2: is not hidden by an own write whose reply comes later than the news of it', async () => {
    const memory = memoryStore()
    const gate = gatedStore(memory)
    const far = createProcess(memory)
    const near = createProcess(gate.store, { nearCache: NEAR })
    const cookie = await newSession(far, { n: 1 })
    const first = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    const { session, respond } = await first
    session.mine = 1
    const responded = respond()
    const update = await gate.next('update')
    await update.go()
    await far.handle(createJar(cookie), (other) => {
      other.theirs = 1
    })
    await (await gate.next('update', 'reply')).go()
    await responded
    const second = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    expect(dataOf((await second).session)).toEqual({ n: 1, mine: 1, theirs: 1 })
  })

  test('is not hidden by a load whose reply comes later than the news of it', async () => {
    const memory = memoryStore()
    const gate = gatedStore(memory)
    const far = createProcess(memory)
    const near = createProcess(gate.store, { nearCache: NEAR })
    const cookie = await newSession(far, { n: 1 })
    const late = near.request(createJar(cookie))
    const load = await gate.next('load')
    await load.go()
    await far.handle(createJar(cookie), (session) => {
      session.n = 2
    })
    await (await gate.next('load', 'reply')).go()
    expect(dataOf((await late).session)).toEqual({ n: 1 })
    const next = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    expect(dataOf((await next).session)).toEqual({ n: 2 })
  })

  test('N3: that a cut feed missed is not hidden by anything from before the cut', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    world.feed.cut()
    await world.far.handle(createJar(cookie), (session) => {
      session.n = 2
    })
    expect(await read(world.near, cookie)).toEqual({ n: 2 })
    await world.far.handle(createJar(cookie), (session) => {
      session.n = 3
    })
    expect(await read(world.near, cookie)).toEqual({ n: 3 })
    world.feed.mend()
    await vi.advanceTimersByTimeAsync(1)
    expect(await read(world.near, cookie)).toEqual({ n: 3 })
    const before = world.faulty.total
    expect(await read(world.near, cookie)).toEqual({ n: 3 })
    expect(world.faulty.total).toBe(before)
  })

  test('is never overwritten: update and take are exact, though the feed is silent', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 0, token: 't' })
    world.feed.pause()
    let taken = 0
    for (let round = 0; round < 50; round += 1) {
      for (const process of [world.near, world.far]) {
        await process.handle(createJar(cookie), async (session) => {
          await session.update((data) => {
            data.n = (data.n as number) + 1
          })
          if ((await session.take('token')) !== undefined) taken += 1
        })
      }
    }
    expect(taken).toBe(1)
    expect(await read(world.far, cookie)).toEqual({ n: 100 })
  })
})

describe('N4: a session that was revoked elsewhere while the feed is silent', () => {
  async function revoked(): Promise<World & { cookie: string; revokedAt: number }> {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 }, 'ada')
    world.feed.pause()
    expect(await world.far.manager.revoke(idOf(cookie))).toBe(true)
    return { ...world, cookie, revokedAt: performance.now() }
  }

  test('can be read for maxStaleness at the most', async () => {
    const { near, cookie, revokedAt } = await revoked()
    expect(await read(near, cookie)).toEqual({ n: 1 })
    while ('n' in (await read(near, cookie))) await vi.advanceTimersByTimeAsync(10)
    expect(performance.now() - revokedAt).toBeLessThanOrEqual(2000)
  })

  test.each<[string, (world: { near: Process; cookie: string }) => Promise<unknown>, string]>([
    [
      'an assignment',
      ({ near, cookie }) =>
        near.handle(createJar(cookie), (session) => {
          session.n = 2
        }),
      'ERR_SESSION_ENDED',
    ],
    [
      'update',
      ({ near, cookie }) =>
        near.handle(createJar(cookie), (session) =>
          session.update((data) => {
            data.n = 2
          }),
        ),
      'ERR_SESSION_ENDED',
    ],
    [
      'an update that changes nothing',
      ({ near, cookie }) => near.handle(createJar(cookie), (session) => session.update(() => {})),
      'ERR_SESSION_ENDED',
    ],
    [
      'take',
      ({ near, cookie }) => near.handle(createJar(cookie), (session) => session.take('n')),
      'ERR_SESSION_ENDED',
    ],
    [
      'reload',
      ({ near, cookie }) => near.handle(createJar(cookie), (session) => session.reload()),
      'ERR_SESSION_ENDED',
    ],
  ])('is refused at once to %s', async (_, work, code) => {
    expect(await codeOf(work(await revoked()))).toBe(code)
  })

  test('is refused at once where the request asks for it fresh', async () => {
    const { near, cookie } = await revoked()
    const { visit, session } = await near.request(createJar(cookie))
    expect(dataOf(session)).toEqual({ n: 1 })
    await freshen(visit)
    expect(dataOf(session)).toEqual({})
    expect(session.info.isNew).toBe(true)
  })

  test('comes back by no touch', async () => {
    const { near, cookie, feed } = await revoked()
    await read(near, cookie)
    feed.resume()
    await vi.advanceTimersByTimeAsync(5 * MINUTE)
    expect(await read(near, cookie)).toEqual({})
  })
})

describe('the process that ends a session refuses it at once, though the feed is silent', () => {
  const ways: [string, (process: Process, cookie: string) => Promise<unknown>][] = [
    ['revoke', ({ manager }, cookie) => manager.revoke(idOf(cookie))],
    ['revokeByUser', ({ manager }) => manager.revokeByUser('ada')],
    ['signOut', (process, cookie) => process.handle(createJar(cookie), (s) => s.signOut())],
    ['regenerate', (process, cookie) => process.handle(createJar(cookie), (s) => s.regenerate())],
  ]
  test.each(ways)('%s', async (_, end) => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 }, 'ada')
    world.feed.pause()
    await end(world.near, cookie)
    expect(await read(world.near, cookie)).toEqual({})
  })

  test('also when a load of it was under way', async () => {
    const memory = memoryStore()
    const gate = gatedStore(memory)
    const near = createProcess(gate.store, { nearCache: NEAR })
    const cookie = await newSession(createProcess(memory), { n: 1 })
    const late = near.request(createJar(cookie))
    const load = await gate.next('load')
    await load.go()
    const revoking = near.manager.revoke(idOf(cookie))
    await (await gate.next('delete')).finish()
    expect(await revoking).toBe(true)
    await (await gate.next('load', 'reply')).go()
    await late
    const next = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    expect(dataOf((await next).session)).toEqual({})
  })
})

describe('what the near cache keeps', () => {
  test('ends with its own deadline', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    for (let minute = 0; minute < 31; minute += 1) await vi.advanceTimersByTimeAsync(MINUTE)
    expect(await read(world.near, cookie)).toEqual({})
  })

  test('is no no either where its deadline was moved elsewhere', async () => {
    const world = createWorld({ maxEntryAge: 100 * MINUTE })
    const cookie = await cachedSession(world, { n: 1 })
    for (let minute = 0; minute < 29; minute += 1) {
      await vi.advanceTimersByTimeAsync(MINUTE)
      await read(world.far, cookie)
    }
    await vi.advanceTimersByTimeAsync(2 * MINUTE)
    expect(await read(world.near, cookie)).toEqual({ n: 1 })
  })

  test('is read again after maxEntryAge, whatever the feed says', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    const loads = world.faulty.calls.load
    for (let second = 0; second < 95; second += 1) {
      await vi.advanceTimersByTimeAsync(1000)
      await read(world.near, cookie)
    }
    expect(world.faulty.calls.load - loads).toBe(3)
  })

  test('is bounded by entries; what is used stays', async () => {
    const world = createWorld({ maxEntries: 10 })
    const used = await cachedSession(world, { used: true })
    for (let other = 0; other < 50; other += 1) {
      await read(world.near, await newSession(world.far, { other }))
      expect(await read(world.near, used)).toEqual({ used: true })
    }
    expect(world.near.engine.nearCache?.size).toBe(10)
    // The first stranger, the session itself and the fifty.
    expect(world.faulty.calls.load).toBe(52)
  })

  test('is bounded by bytes', async () => {
    const world = createWorld({ maxBytes: 50_000 })
    await cachedSession(world, { n: 1 })
    for (let other = 0; other < 20; other += 1) {
      await read(world.near, await newSession(world.far, { text: 'x'.repeat(1000) }))
    }
    expect(world.near.engine.nearCache?.size).toBeGreaterThan(5)
    expect(world.near.engine.nearCache?.size).toBeLessThan(10)
  })

  test('is nothing that cannot be read', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    const record = await world.far.engine.store.load(idOf(cookie), Date.now())
    const broken = { ...record, version: 'x', payload: '1["' } as never
    await world.far.engine.store.update(idOf(cookie), broken, record?.version ?? '', Date.now())
    const heard: unknown[] = []
    world.near.manager.on('corrupt', (event) => heard.push(event))
    expect(await read(world.near, cookie)).toEqual({})
    expect(await read(world.near, cookie)).toEqual({})
    expect(heard).toHaveLength(2)
  })

  test('is let go when the sessions are closed', async () => {
    const world = createWorld()
    await cachedSession(world, { n: 1 })
    expect(world.feed.open).toBe(1)
    await world.near.manager.close()
    expect(world.feed.open).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a snapshot', () => {
  test('is one object for all requests, and nobody can change it', async () => {
    const world = createWorld()
    const data = {
      user: { name: 'Ada' },
      at: new Date(5),
      set: new Set([1]),
      map: new Map([[1, []]]),
    }
    const cookie = await cachedSession(world, data)
    const take = async (): Promise<typeof data> => {
      const { visit } = await world.near.request(createJar(cookie))
      return new VisitSnapshot(visit).data as unknown as typeof data
    }
    const one = await take()
    expect(one).toBe(await take())
    const attempts: (() => unknown)[] = [
      () => Object.assign(one, { more: 1 }),
      () => Object.assign(one.user, { name: 'Bob' }),
      () => one.at.setTime(6),
      () => one.set.add(2),
      () => one.map.clear(),
      () => (one.map.get(1) as unknown[]).push(1),
    ]
    for (const attempt of attempts) expect(attempt).toThrow(TypeError)
    expect(await read(world.near, cookie)).toEqual(data)
  })

  test('is that of what is stored, and stays as it was taken', async () => {
    const process = createProcess(memoryStore())
    const cookie = await newSession(process, { n: 1 }, 'ada')
    const { visit, session } = await process.request(createJar(cookie))
    session.n = 2
    const snapshot = new VisitSnapshot(visit)
    expect(snapshot.data).toEqual({ n: 1 })
    expect([snapshot.id, snapshot.info.userId]).toEqual([session.id, 'ada'])
    await session.save()
    expect(snapshot.data).toEqual({ n: 1 })
    expect(new VisitSnapshot(visit).data).toEqual({ n: 2 })
  })

  test('of a visitor without a session is empty, and of one whose data are corrupt too', async () => {
    const process = createProcess(memoryStore())
    const { visit } = await process.request()
    expect(new VisitSnapshot(visit).data).toEqual({})
    const cookie = await newSession(process, { n: 1 })
    const record = await process.engine.store.load(idOf(cookie), Date.now())
    const payload = record?.payload.replace('{"n":1}', '{"n":') as string
    const broken = { ...record, version: 'x', payload } as never
    await process.engine.store.update(idOf(cookie), broken, record?.version ?? '', Date.now())
    const corrupt = await process.request(createJar(cookie))
    expect(new VisitSnapshot(corrupt.visit).data).toEqual({})
    expect(corrupt.session.info.isNew).toBe(true)
  })
})

test('what a request changed stays when it asks for the session fresh', async () => {
  const world = createWorld()
  const cookie = await cachedSession(world, { mine: 1, theirs: 1 })
  world.feed.pause()
  await world.far.handle(createJar(cookie), (session) => {
    session.theirs = 2
  })
  const { visit, session, respond } = await world.near.request(createJar(cookie))
  session.mine = 2
  await freshen(visit)
  expect(dataOf(session)).toEqual({ mine: 2, theirs: 2 })
  await respond()
  expect(await read(world.far, cookie)).toEqual({ mine: 2, theirs: 2 })
})

test('a session that nobody can ask for fresh fails the request, or is anonymous', async () => {
  for (const onStoreError of ['fail', 'anonymous'] as const) {
    const faulty = faultyStore(memoryStore())
    const near = createProcess(faulty.store, { nearCache: NEAR, onStoreError })
    const cookie = await newSession(near, { n: 1 })
    const { visit, session } = await near.request(createJar(cookie))
    faulty.fail()
    const code = codeOf((async () => freshen(visit))())
    // A read that failed is repeated once.
    await vi.advanceTimersByTimeAsync(200)
    expect(await code).toBe(onStoreError === 'fail' ? 'ERR_SESSION_STORE' : 'ok')
    if (onStoreError === 'anonymous') expect(dataOf(session)).toEqual({})
    if (onStoreError === 'anonymous') expect(visit.kind).toBe('degraded')
    await near.manager.close()
  }
})

describe('a feed', () => {
  test('that says, asked before a read, that it missed something has proven nothing', async () => {
    const faulty = faultyStore(memoryStore())
    let hasMissed = false
    const store: SessionStore = {
      ...faulty.store,
      watch: (listener) => ({
        check() {
          if (hasMissed) listener({ type: 'reset' })
          hasMissed = false
        },
        stop() {},
      }),
    }
    const near = createProcess(store, { nearCache: NEAR })
    const cookie = await newSession(near, { n: 1 })
    await read(near, cookie)
    hasMissed = true
    const loads = faulty.calls.load
    // Nothing vouches for the first load: it is not kept. For the second the next check does.
    for (let turn = 0; turn < 4; turn += 1) expect(await read(near, cookie)).toEqual({ n: 1 })
    expect(faulty.calls.load - loads).toBe(2)
    await near.manager.close()
  })

  test('that is cut for a moment says so, without a warning', async () => {
    const world = createWorld()
    const turns: unknown[] = []
    const warnings: unknown[] = []
    world.near.manager.on('feed', (turn) => turns.push(turn))
    world.near.manager.on('warning', ({ code }) => warnings.push(code))
    await cachedSession(world, { n: 1 })
    world.feed.cut()
    world.feed.mend()
    await vi.advanceTimersByTimeAsync(1)
    expect(turns).toEqual([{ isAlive: true }, { isAlive: false }, { isAlive: true }])
    expect(warnings).toEqual([])
  })

  test('that answers at once is asked before each read, so that none is behind', async () => {
    const memory = memoryStore()
    let late: (() => void)[] = []
    const store: SessionStore = {
      ...memory,
      watch(listener) {
        const feed = memory.watch?.((event) => late.push(() => listener(event)))
        return {
          check() {
            const told = late
            late = []
            for (const tell of told) tell()
          },
          stop: () => feed?.stop(),
        }
      },
    }
    const near = createProcess(store, { nearCache: NEAR })
    const far = createProcess(memory)
    const cookie = await newSession(far, { n: 0 })
    for (let n = 1; n < 20; n += 1) {
      await far.handle(createJar(cookie), (session) => {
        session.n = n
      })
      expect(await read(near, cookie)).toEqual({ n })
      expect(await read(near, cookie)).toEqual({ n })
    }
    await near.manager.close()
  })

  test('that cannot work says why, once, and leaves the near cache off', async () => {
    const world = createWorld()
    world.feed.refusal = new Error('permission denied for NOTIFY')
    const turns: unknown[] = []
    const warnings: string[] = []
    world.near.manager.on('feed', ({ isAlive }) => turns.push(isAlive))
    world.near.manager.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`))
    const cookie = await newSession(world.far, { n: 1 })
    for (let second = 0; second < 120; second += 1) {
      await vi.advanceTimersByTimeAsync(1000)
      expect(await read(world.near, cookie)).toEqual({ n: 1 })
    }
    expect(world.faulty.calls.load).toBe(120)
    expect(turns).toEqual([false])
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(
      /^WARN_SESSION_FEED .*permission denied for NOTIFY.*read from the store/,
    )
    expect(world.feed.opened).toBeLessThan(15)
    world.feed.refusal = undefined
    await vi.advanceTimersByTimeAsync(40_000)
    expect(turns).toEqual([false, true])
    await read(world.near, cookie)
    const before = world.faulty.total
    await read(world.near, cookie)
    expect(world.faulty.total).toBe(before)
  })

  test('that falls silent is opened anew', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    expect(world.feed.opened).toBe(1)
    world.feed.pause()
    await vi.advanceTimersByTimeAsync(4000)
    expect(world.feed.opened).toBeGreaterThan(1)
    expect(world.feed.open).toBeLessThanOrEqual(1)
    world.feed.resume()
    await vi.advanceTimersByTimeAsync(5000)
    await read(world.near, cookie)
    const before = world.faulty.total
    await read(world.near, cookie)
    expect(world.faulty.total).toBe(before)
  })

  test('is opened anew as soon as the store is back, however long it was away', async () => {
    const world = createWorld()
    const cookie = await cachedSession(world, { n: 1 })
    world.feed.refusal = new Error('away')
    world.faulty.fail(new Error('away'))
    const visit = async (): Promise<void> => {
      const answer = Promise.allSettled([read(world.near, cookie)])
      await vi.advanceTimersByTimeAsync(1000)
      await answer
    }
    for (let second = 0; second < 300; second += 1) await visit()
    world.feed.refusal = undefined
    await world.faulty.heal()
    const opened = world.feed.opened
    for (let second = 0; second < 5 && world.feed.opened === opened; second += 1) await visit()
    await vi.advanceTimersByTimeAsync(500)
    await read(world.near, cookie)
    const before = world.faulty.total
    await read(world.near, cookie)
    expect(world.faulty.total).toBe(before)
  })

  test('that throws when it is opened is no accident', async () => {
    const memory = memoryStore()
    const store = {
      ...memory,
      watch() {
        throw new Error('no feed today')
      },
    }
    const near = createProcess(store, { nearCache: NEAR })
    const cookie = await newSession(near, { n: 1 })
    expect(await read(near, cookie)).toEqual({ n: 1 })
    await near.manager.close()
  })
})

describe('the end of a session', () => {
  const ways: [string, string, (process: Process, cookie: string) => Promise<unknown>][] = [
    [
      'signOut',
      'signOut',
      (process, cookie) => process.handle(createJar(cookie), (s) => s.signOut()),
    ],
    [
      'destroy',
      'destroy',
      (process, cookie) => process.handle(createJar(cookie), (s) => s.destroy()),
    ],
    [
      'regenerate',
      'regenerate',
      (process, cookie) => process.handle(createJar(cookie), (s) => s.regenerate()),
    ],
    [
      'a sign-in as somebody else',
      'signIn',
      (process, cookie) => process.handle(createJar(cookie), (s) => s.signIn('bob')),
    ],
    ['revoke', 'revoke', ({ manager }, cookie) => manager.revoke(idOf(cookie))],
    ['revokeByUser', 'revokeByUser', ({ manager }) => manager.revokeByUser('ada')],
  ]
  test.each(ways)('by %s is told once in every process', async (_, reason, end) => {
    const store = memoryStore()
    const processes = [1, 2, 3].map(() => createProcess(store))
    const heard = processes.map((process) => {
      const events: unknown[] = []
      process.manager.on('ended', (event) => events.push(event))
      return events
    })
    const cookie = await newSession(processes[0] as Process, { n: 1 }, 'ada')
    await end(processes[0] as Process, cookie)
    await vi.advanceTimersByTimeAsync(10)
    expect(heard).toEqual([1, 2, 3].map(() => [{ id: idOf(cookie), reason }]))
    for (const { manager } of processes) await manager.close()
  })

  test('that the store confirms late is told then', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const heard: unknown[] = []
    process.manager.on('ended', ({ reason }) => heard.push(reason))
    const cookie = await newSession(process, { n: 1 })
    faulty.fail()
    await codeOf(process.manager.revoke(idOf(cookie)))
    expect(heard).toEqual([])
    await faulty.heal()
    await vi.advanceTimersByTimeAsync(5000)
    expect(heard).toEqual(['revoke'])
    await process.manager.close()
  })

  test('is told where the store has no feed, by the process that ended it', async () => {
    const { watch: _, ...store } = memoryStore()
    const process = createProcess(store)
    const heard: unknown[] = []
    process.manager.on('ended', ({ reason }) => heard.push(reason))
    const cookie = await newSession(process, { n: 1 })
    await process.manager.revoke(idOf(cookie))
    expect(heard).toEqual(['revoke'])
    expect(await process.manager.revoke('nothing' as StoreKey)).toBe(false)
  })
})
