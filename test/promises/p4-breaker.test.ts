import { connect as connectTo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionStore, StoreKey } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { type FaultyStore, faultyStore } from 'staykept/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { count, inParallel } from '../worlds.js'
import { type Browser, openSite, type Site, storesUnderTest } from './harness.js'

const BUDGET = 200
/** Twice what is promised while the breaker is open, in milliseconds; half of the answers have to keep it on a busy machine. */
const AT_ONCE = 2 * 20
/** Twice what is promised for coming back. */
const BACK_WITHIN = 2 * 2000

interface Scene extends Site {
  readonly faulty: FaultyStore
  readonly user: Browser
  /** Others, so that many loads can be under way at once: those of one session wait for each other. */
  readonly others: readonly Browser[]
  readonly states: string[]
  /** Waits until the breaker says so. */
  until(state: string): Promise<void>
}

async function sceneOn(store: SessionStore, options = {}): Promise<Scene> {
  const faulty = faultyStore(store)
  const site = await openSite(faulty.store, { storeBudget: BUDGET, ...options })
  onTestFinished(() => site.sessions.close())
  const states: string[] = []
  site.sessions.on('breaker', ({ state }) => states.push(state))
  const [user, ...others] = Array.from({ length: 21 }, () => site.browser()) as [Browser]
  for (const one of [user, ...others]) {
    const { status } = await one.do((session) => session.signIn('ada', { data: { n: 1 } }))
    expect(status).toBe(200)
  }
  async function until(state: string): Promise<void> {
    for (let turn = 0; turn < 300 && states.at(-1) !== state; turn += 1) await sleep(10)
    expect(states.at(-1)).toBe(state)
  }
  return { ...site, faulty, user, others, states, until }
}

/** Each reads once, all at once. */
function everybody(others: readonly Browser[]): Promise<readonly { readonly status: number }[]> {
  return Promise.all(others.map((one) => one.do(read)))
}

const read = (session: Any): unknown => session.n

/** The faults lie in front of the store: one that answers at once, one that does so later, and one that has a disk. */
const nearStores = storesUnderTest.filter(({ name }) => /^(memory|sqlite)/.test(name))

describe.each(nearStores)('P4, the breaker, $name', ({ open }) => {
  async function scene(options = {}): Promise<Scene> {
    return sceneOn((await open())(), options)
  }

  test('a store that hangs is not waited for any more: 503 at once, nothing sent, and the cookie stays', async () => {
    const { faulty, user, browser, until, others } = await scene()
    const cookie = user.jar.header()
    faulty.hang()
    await everybody(others)
    await until('open')
    const loads = faulty.calls.load
    const times: number[] = []
    for (let turn = 0; turn < 20; turn += 1) {
      const started = performance.now()
      const { status, headers, cookies } = await user.do(read)
      times.push(performance.now() - started)
      expect([status, headers['retry-after'], cookies]).toEqual([503, '1', []])
    }
    expect(times.sort((one, other) => one - other)[10]).toBeLessThan(AT_ONCE)
    expect(faulty.calls.load).toBe(loads)
    expect((await browser().do((session) => Object.keys(session).length)).status).toBe(200)
    expect((await user.get('/public')).status).toBe(200)
    expect(user.jar.header()).toBe(cookie)
    await faulty.heal('never')
  })

  test('it goes on by itself when the store is back, within two seconds', async () => {
    const { faulty, user, states, until, others } = await scene()
    faulty.hang()
    await everybody(others)
    await until('open')
    await sleep(500)
    await faulty.heal('never')
    const started = performance.now()
    let answer = await user.do(read)
    while (answer.status === 503 && performance.now() - started < BACK_WITHIN) {
      await sleep(20)
      answer = await user.do(read)
    }
    expect([answer.status, answer.body]).toEqual([200, 1])
    expect(performance.now() - started).toBeLessThan(BACK_WITHIN)
    await everybody(others)
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })

  test('a store that refuses every connection is left alone after half a second', async () => {
    const { faulty, user, states, until } = await scene()
    faulty.fail(new Error('connect ECONNREFUSED'))
    const started = performance.now()
    while (states.length === 0 && performance.now() - started < 5000) {
      expect((await user.do(read)).status).toBe(503)
    }
    expect(performance.now() - started).toBeGreaterThan(450)
    const loads = faulty.calls.load
    expect((await user.do(read)).status).toBe(503)
    expect(faulty.calls.load).toBe(loads)
    await faulty.heal()
    await until('half-open')
    expect((await user.do(read)).status).toBe(200)
  })

  test('a change that meets an open breaker was surely not made, and says so', async () => {
    const { faulty, browser, until, others } = await scene()
    faulty.hang()
    await everybody(others)
    await until('open')
    const creates = faulty.calls.create
    const signIn = await browser().do((session) => session.signIn('eve'))
    expect([signIn.status, (signIn.body as Any).code, signIn.cookies]).toEqual([
      503,
      'ERR_SESSION_STORE',
      [],
    ])
    expect(faulty.calls.create).toBe(creates)
    await faulty.heal('never')
  })

  test('a store that takes no changes and answers reads keeps its readers', async () => {
    const { faulty, user, states } = await scene()
    const changes = ['create', 'update', 'touch', 'delete'] as const
    for (const fault of ['full', 'no'] as const) {
      faulty.refuse(fault, { methods: changes })
      const started = performance.now()
      while (performance.now() - started < 700) {
        const { status } = await user.do((session) => void Object.assign(session, { n: 2 }))
        expect(status).toBe(503)
      }
      expect((await user.do(read)).body).toBe(1)
      await faulty.heal()
    }
    expect(states).toEqual([])
  })

  test('changes that hang while reads are answered take nobody’s reads away', async () => {
    const { faulty, states, browser } = await scene()
    const users = Array.from({ length: 12 }, () => browser())
    for (const one of users) await one.do((session) => void Object.assign(session, { n: 1 }))
    faulty.hang({ methods: ['update'] })
    const reads = (async () => {
      const statuses: number[] = []
      const started = performance.now()
      while (performance.now() - started < 4 * BUDGET) {
        statuses.push((await (users[0] as (typeof users)[0]).do(read)).status)
      }
      return statuses
    })()
    const writes = await Promise.all(
      users.map((one) => one.do((session) => void Object.assign(session, { n: 2 }))),
    )
    expect(writes.map(({ status }) => status)).toEqual(Array(12).fill(503))
    expect(new Set(await reads)).toEqual(new Set([200]))
    expect(states).toEqual([])
    await faulty.heal('never')
  })

  test('check asks the store itself, and closes what it finds open', async () => {
    const { sessions, faulty, user, states, until, others } = await scene()
    faulty.hang()
    await everybody(others)
    await until('open')
    expect(await sessions.check()).toMatchObject({ ok: false })
    await faulty.heal('never')
    expect(await sessions.check()).toMatchObject({ ok: true })
    expect(states.at(-1)).toBe('half-open')
    expect((await user.do(read)).status).toBe(200)
  })

  test("with onStoreError: 'anonymous' an open breaker is an anonymous page at once", async () => {
    const { faulty, user, until, others } = await scene({ onStoreError: 'anonymous' })
    faulty.hang()
    await everybody(others)
    await until('open')
    const loads = faulty.calls.load
    const { status, body, cookies } = await user.do((session) => session.info.userId ?? null)
    expect(faulty.calls.load).toBe(loads)
    expect([status, body, cookies]).toEqual([200, null, []])
    await faulty.heal('never')
  })

  test('a store that answers pings and nothing else costs a few requests their budget, not all', async () => {
    const { faulty, until, others, states } = await scene()
    faulty.hang({ methods: ['load'] })
    await everybody(others)
    await until('half-open')
    const loads = faulty.calls.load
    const answers = await inParallel(200, 200, (index) => (others[index % 20] as Browser).do(read))
    expect(count(answers, ({ status }) => status === 503)).toBe(200)
    const trials = 16 * count(states, (state) => state === 'half-open')
    expect(faulty.calls.load - loads).toBeLessThanOrEqual(trials)
    await faulty.heal('never')
  })
})

describe('P4, a read that was refused', () => {
  test('is sent once more, and its request hears nothing of it', async () => {
    const { faulty, user, sessions } = await sceneOn(memoryStore())
    const errors: string[] = []
    sessions.on('storeError', ({ operation }) => errors.push(operation))
    faulty.reset()
    faulty.fail(new Error('Connection reset by peer'), { methods: ['load'], times: 1 })
    expect(await user.do(read)).toMatchObject({ status: 200, body: 1 })
    expect([faulty.calls.load, errors]).toEqual([2, ['load']])
  })

  test('is not sent a third time', async () => {
    const { faulty, user } = await sceneOn(memoryStore())
    faulty.reset()
    faulty.fail(new Error('Connection reset by peer'), { methods: ['load'] })
    expect((await user.do(read)).status).toBe(503)
    expect(faulty.calls.load).toBe(2)
  })

  test('is answered within the budget of its request though the second try hangs', async () => {
    const { faulty, user } = await sceneOn(memoryStore())
    faulty.reset()
    faulty.fail(new Error('Connection reset by peer'), { methods: ['load'], times: 1 })
    const answer = user.do(read)
    await sleep(10)
    faulty.hang({ methods: ['load'] })
    const started = performance.now()
    expect((await answer).status).toBe(503)
    expect(performance.now() - started).toBeLessThan(2 * BUDGET + 100)
    expect(faulty.calls.load).toBe(2)
    await faulty.heal('never')
  })

  test.each([
    ['update', (session: Any): unknown => void Object.assign(session, { n: 2 })],
    ['delete', (session: Any): unknown => session.signOut()],
  ] as const)('is told from a change: an %s is sent once', async (method, act) => {
    const { faulty, user, sessions } = await sceneOn(memoryStore())
    faulty.reset()
    faulty.fail(new Error('Connection reset by peer'), { methods: [method] })
    expect((await user.do(act)).status).toBe(503)
    await sessions.close()
    expect(faulty.calls[method]).toBe(1)
  })

  test('connections reset every 200 ms: at least 99.5 % of the reads are answered (F5)', async () => {
    let isCut = false
    const inner = memoryStore()
    const later = async <T>(answer: () => T): Promise<T> => {
      await sleep(1)
      if (isCut) throw new Error('Connection reset by peer')
      return answer()
    }
    const store: SessionStore = {
      ...inner,
      load: (key, now) => later(() => inner.load(key, now)),
    } as SessionStore
    const { user, states } = await sceneOn(store, { storeBudget: 1000 })
    // The client needs some milliseconds for a new connection each time.
    const resets = setInterval(() => {
      isCut = true
      setTimeout(() => {
        isCut = false
      }, 10)
    }, 200)
    onTestFinished(() => clearInterval(resets))
    const statuses: number[] = []
    const started = performance.now()
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        while (performance.now() - started < 3000) statuses.push((await user.do(read)).status)
      }),
    )
    expect(statuses.length).toBeGreaterThan(500)
    expect(count(statuses, (status) => status === 200) / statuses.length).toBeGreaterThan(0.995)
    expect(states).toEqual([])
  })
})

describe('P4, a store that comes up after the application', () => {
  test('is not ready until then, told of once, and found within two seconds (F3)', async () => {
    const faulty = faultyStore(memoryStore())
    faulty.fail(new Error('connect ECONNREFUSED 127.0.0.1:6379'))
    const { sessions, browser } = await openSite(faulty.store, { storeBudget: BUDGET })
    onTestFinished(() => sessions.close())
    const warnings: string[] = []
    sessions.on('warning', ({ code }) => warnings.push(code))
    expect((await browser().get('/public')).status).toBe(200)
    expect((await browser().do((session) => Object.keys(session).length)).status).toBe(200)
    expect(await sessions.check()).toMatchObject({
      ok: false,
      error: { code: 'ERR_SESSION_STORE' },
    })
    const signIn = (session: Any): unknown => session.signIn('ada')
    for (let turn = 0; turn < 8; turn += 1) {
      expect((await browser().do(signIn)).status).toBe(503)
      await sleep(250)
    }
    expect(warnings).toEqual(['WARN_SESSION_STORE'])
    await faulty.heal()
    const started = performance.now()
    let { status } = await browser().do(signIn)
    while (status !== 200 && performance.now() - started < BACK_WITHIN) {
      await sleep(20)
      status = (await browser().do(signIn)).status
    }
    expect(performance.now() - started).toBeLessThan(BACK_WITHIN)
    expect(await sessions.check()).toMatchObject({ ok: true })
  })

  test('with a word of its set-up, before anybody has come', async () => {
    const ping = () => ({
      concerns: [{ code: 'WARN_SESSION_EVICTION' as const, message: 'allkeys-lru' }],
    })
    const { sessions } = await openSite({ ...memoryStore(), ping })
    onTestFinished(() => sessions.close())
    const warnings: string[] = []
    sessions.on('warning', ({ code }) => warnings.push(code))
    for (let turn = 0; turn < 100 && warnings.length === 0; turn += 1) await sleep(20)
    expect(warnings).toEqual(['WARN_SESSION_EVICTION'])
  })
})

describe('P4, a sign-out that nobody confirms', () => {
  test('is asked for again as soon as the store is back, and ends it for every process', async () => {
    const store = memoryStore()
    const { faulty, user, others, until } = await sceneOn(store)
    const old = user.jar.clone()
    faulty.hang()
    await everybody(others)
    await until('open')
    const answer = await user.do((session) => session.signOut())
    // Its session could not be loaded, so nobody could say that it was to be ended.
    expect([answer.status, answer.cookies]).toEqual([503, []])
    await faulty.heal('never')
    await until('half-open')
    faulty.hang({ methods: ['delete'] })
    const signOut = await user.do((session) => session.signOut())
    expect([signOut.status, signOut.cookies]).toEqual([
      503,
      ['sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'],
    ])
    await faulty.heal('never')
    const elsewhere = await openSite(store)
    onTestFinished(() => elsewhere.sessions.close())
    const whoIs = async (): Promise<unknown> =>
      (await elsewhere.browser(old.clone()).do((session) => session.info.userId ?? null)).body
    for (let turn = 0; turn < 100 && (await whoIs()) !== null; turn += 1) await sleep(50)
    expect(await whoIs()).toBe(null)
  })
})

describe('P4, a process that was busy', () => {
  test('finds the answers that came meanwhile, and takes no healthy store for a dead one', async () => {
    const far = createServer((socket) => socket.pipe(socket)).listen(0)
    onTestFinished(() => void far.close())
    const { port } = far.address() as { port: number }
    const socket: Socket = connectTo(port)
    onTestFinished(() => void socket.destroy())
    const waiting: (() => void)[] = []
    socket.on('data', (data) => {
      for (const _byte of data) waiting.shift()?.()
    })
    const trip = (): Promise<void> =>
      new Promise((resolve) => {
        waiting.push(resolve)
        socket.write('.')
      })
    const inner = memoryStore()
    const store = {
      ...inner,
      load: (key: StoreKey, now: number): Promise<unknown> =>
        trip().then(() => inner.load(key, now)),
    }
    const { others, states } = await sceneOn(store as SessionStore)
    let isBusy = false
    const answers = everybody(others.slice(0, 8))
    // As soon as the calls are out.
    const watcher = setInterval(() => {
      if (isBusy || waiting.length === 0) return
      isBusy = true
      const until = performance.now() + 3 * BUDGET
      while (performance.now() < until) {
        // The process does something else.
      }
    })
    onTestFinished(() => clearInterval(watcher))
    expect((await answers).map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect(states).toEqual([])
  })
})

// biome-ignore lint/suspicious/noExplicitAny: session data of all kinds
type Any = any
