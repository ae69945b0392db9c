import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreKey } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { faultyStore } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { bystander, inParallel } from '../worlds.js'
import { openSite, storesUnderTest } from './harness.js'

const BUDGET = 150
/** Room for a busy machine: twice the budget, and what a request takes anyway. */
const WITHIN = 2 * BUDGET + 100
/** How soon a store that is back is used again. */
const RECOVERY = 2000
/** What may fail on a busy machine, and has to succeed in the end. */
const PATIENT = { timeout: 10_000, interval: 50 }

async function timed<T>(job: () => Promise<T>): Promise<{ took: number; value: T }> {
  const started = performance.now()
  const value = await job()
  return { took: performance.now() - started, value }
}

describe.each(storesUnderTest)('P4, $name', ({ open }) => {
  async function site(options = {}) {
    const store = (await open())()
    // To connect for the first time takes longer than this budget, on a busy machine.
    await store.load('nobody' as StoreKey, 0)
    const faulty = faultyStore(store)
    const opened = await openSite(faulty.store, { storeBudget: BUDGET, ...options })
    const browser = opened.browser()
    const signIn = () => browser.do((session) => session.signIn('ada', { data: { n: 1 } }))
    await expect.poll(async () => (await signIn()).status, PATIENT).toBe(200)
    const storeErrors: string[] = []
    opened.sessions.on('storeError', ({ operation }) => storeErrors.push(operation))
    return { ...opened, faulty, user: browser, storeErrors }
  }

  test('a hung store: 503 with Retry-After in bounded time, the cookie stays, and all goes on by itself', async () => {
    const { faulty, user, browser, storeErrors } = await site()
    const cookie = user.jar.header()
    const idle = await bystander()
    const requests = (parallel: number) =>
      inParallel(100, parallel, () => user.do((session) => session.n))
    const usual = await timed(() => requests(20))
    faulty.hang()
    const [{ took, value: answers }, machine] = await Promise.all([
      timed(() => requests(100)),
      timed(() => inParallel(100, 100, () => idle.get('/'))),
    ])
    // A hundred at once take their time on this machine, whatever the store does.
    expect(took).toBeLessThan(2 * (BUDGET + Math.max(usual.took, machine.took)))
    for (const { status, headers, cookies } of answers) {
      expect([status, headers['retry-after'], cookies]).toEqual([503, '1', []])
    }
    const stranger = await timed(() => browser().do((session) => Object.keys(session).length))
    expect(stranger.value).toMatchObject({ status: 200, body: 0 })
    expect((await browser().get('/public')).status).toBe(200)
    expect(stranger.took).toBeLessThan(BUDGET)
    expect(storeErrors).toContain('load')
    await faulty.heal('never')
    expect(user.jar.header()).toBe(cookie)
    // Requests of one moment share a load. Where the machine was too busy for that, their loads have opened the breaker.
    const again = async () => (await user.do((session) => session.n)).body
    await expect.poll(again, { ...PATIENT, timeout: 2 * RECOVERY }).toBe(1)
  })

  test.each<[string, (session: Any) => unknown]>([
    ['a write', (session) => void Object.assign(session, { n: 2 })],
    ['an update', (session: Any) => session.update((data: Any) => Object.assign(data, { n: 2 }))],
    ['a take', (session: Any) => session.take('n')],
    ['a sign-in', (session: Any) => session.signIn('ada')],
    ['regenerate', (session: Any) => session.regenerate({ keep: ['n'] })],
    ['a reload', (session: Any) => session.reload()],
  ])(
    '%s on a store that hangs from then on: 503 in bounded time, and no cookie',
    async (_what, act) => {
      const { faulty, user } = await site()
      const { took, value } = await timed(() =>
        user.do((session) => {
          void session.n
          faulty.hang()
          return act(session)
        }),
      )
      expect(took).toBeLessThan(WITHIN)
      expect([value.status, value.headers['retry-after'], value.cookies]).toEqual([503, '1', []])
      await faulty.heal('never')
      expect((await user.do((session) => session.n)).status).toBe(200)
    },
  )

  test('a first write on a hung store: 503 in bounded time, and no cookie', async () => {
    const { faulty, browser } = await site()
    faulty.hang()
    const { took, value } = await timed(() =>
      browser().do((session) => void Object.assign(session, { n: 1 })),
    )
    expect(took).toBeLessThan(WITHIN)
    expect([value.status, value.cookies]).toEqual([503, []])
    await faulty.heal('never')
  })

  test('a store that fails at once is a 503 at once, after one more try', async () => {
    const { faulty, user, storeErrors } = await site()
    faulty.fail(new Error('ECONNREFUSED 10.0.0.7:6379'))
    const { took, value } = await timed(() => user.do((session) => session.n))
    expect(took).toBeLessThan(BUDGET)
    expect(value.status).toBe(503)
    expect(JSON.stringify(value.body)).not.toMatch(/10\.0\.0\.7|ECONN/)
    expect(storeErrors).toEqual(['load', 'load'])
    await faulty.heal()
    expect((await user.do((session) => session.n)).body).toBe(1)
  })

  test('a slow store within the budget is slow, and no more', async () => {
    const { faulty, user } = await site()
    faulty.slow(BUDGET / 5)
    const answer = await user.do((session) => void Object.assign(session, { n: 2 }))
    expect(answer.status).toBe(200)
    await faulty.heal()
    expect((await user.do((session) => session.n)).body).toBe(2)
  })

  test('many steps of one request share one budget', async () => {
    const { faulty, user } = await site()
    const { took, value } = await timed(() =>
      user.do(async (session) => {
        faulty.hang({ methods: ['update'] })
        for (let turn = 0; turn < 20; turn++) {
          await session.update((data: Any) => Object.assign(data, { turn })).catch(() => {})
        }
        await faulty.heal('never')
      }),
    )
    expect(took).toBeLessThan(WITHIN)
    expect(value.status).toBeGreaterThanOrEqual(200)
  })

  test('commits of other requests that wait behind a hung one are bounded too', async () => {
    const { faulty, user } = await site()
    faulty.hang({ methods: ['update'] })
    const { took, value: answers } = await timed(() =>
      inParallel(10, 10, (index) =>
        user.do((session) => {
          session[`key${index}`] = 1
        }),
      ),
    )
    expect(took).toBeLessThan(WITHIN)
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(503))
    await faulty.heal('never')
  })

  test('a sign-out that the store does not confirm: 503, the cookie is cleared, and the session is dead here', async () => {
    const { faulty, user, browser, sessions } = await site()
    const old = user.jar.clone()
    const ends: readonly ((session: Any) => unknown)[] = [(session) => session.signOut()]
    for (const end of ends) {
      const { took, value } = await timed(() =>
        user.do((session) => {
          faulty.hang()
          return end(session)
        }),
      )
      expect(took).toBeLessThan(WITHIN)
      expect(value.status).toBe(503)
      expect(value.cookies).toEqual(['sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
    }
    await faulty.heal('never')
    expect((await browser(old.clone()).do((session) => session.info.userId ?? null)).body).toBe(
      null,
    )
    // The store is asked again until it confirms.
    for (let turn = 0; turn < 60; turn++) {
      await sleep(50)
      if ((await sessions.listByUser('ada')).length === 0 && faulty.calls.delete > 1) break
    }
    expect(faulty.calls.delete).toBeGreaterThan(1)
  })

  test('a touch that fails or hangs is no matter of the request', async () => {
    const { faulty, user } = await site({ idleTimeout: 1 })
    const patient = await site({ idleTimeout: 1000 })
    for (const fault of ['hang', 'fail'] as const) {
      await sleep(110)
      if (fault === 'hang') patient.faulty.hang({ methods: ['touch'] })
      else patient.faulty.fail(new Error('no'), { methods: ['touch'] })
      const { took, value } = await timed(() => patient.user.do((session) => session.n))
      expect([value.status, value.body]).toEqual([200, 1])
      expect(took).toBeLessThan(BUDGET)
      await patient.faulty.heal('never')
      await sleep(BUDGET)
    }
    expect(faulty.calls.touch + (await user.do(() => 1)).status).toBe(200)
  })

  test("with onStoreError: 'anonymous' a page is served without its session, which nobody can write to", async () => {
    const { faulty, user } = await site({ onStoreError: 'anonymous' })
    const cookie = user.jar.header()
    faulty.fail()
    const read = await user.do((session) => [session.info.userId ?? null, { ...session }])
    expect([read.status, read.body, read.cookies]).toEqual([200, [null, {}], []])
    const write = await user.do((session) => void Object.assign(session, { n: 2 }))
    expect([write.status, (write.body as Any).code, write.cookies]).toEqual([
      503,
      'ERR_SESSION_READ_ONLY',
      [],
    ])
    const signIn = await user.do((session) => session.signIn('ada'))
    expect([signIn.status, signIn.cookies]).toEqual([503, []])
    await faulty.heal()
    expect(user.jar.header()).toBe(cookie)
    expect((await user.do((session) => session.n)).body).toBe(1)
  })

  test('check tells whether the store answers, and never rejects', async () => {
    const { faulty, sessions } = await site()
    expect(await sessions.check()).toMatchObject({ ok: true, clockOffset: 0 })
    faulty.hang()
    const { took, value } = await timed(() => sessions.check())
    expect(took).toBeLessThan(WITHIN)
    expect(value).toMatchObject({ ok: false, error: { code: 'ERR_SESSION_STORE' } })
    await faulty.heal('never')
  })
})

describe('P4, a store that breaks its contract', () => {
  const NONSENSE: readonly unknown[] = [
    undefined,
    null,
    5,
    'x',
    {},
    [],
    Symbol('s'),
    { outcome: 'what' },
  ]
  const ACTS: Readonly<Record<string, (session: Any) => unknown>> = {
    read: (session) => session.n,
    write: (session) => void Object.assign(session, { n: Math.random() }),
    update: (session) => session.update((data: Any) => Object.assign(data, { n: Math.random() })),
    take: (session) => session.take('n'),
    'sign-in': (session) => session.signIn('ada'),
    'sign-in as another': (session) => session.signIn('eve'),
    regenerate: (session) => session.regenerate({ keep: ['n'] }),
    reload: (session) => session.reload(),
    touch: (session) => session.touch(),
    'sign-out': (session) => session.signOut(),
  }
  const METHODS = ['load', 'create', 'update', 'touch', 'delete', 'revocationMark'] as const

  test.each(METHODS)(
    'whatever %s does, every request is answered and the process goes on',
    async (method) => {
      const inner = memoryStore()
      let answer: (() => unknown) | undefined
      const store = {
        ...inner,
        [method]: (...args: unknown[]) =>
          answer === undefined ? (inner[method] as Any)(...args) : answer(),
      }
      const site = await openSite(store, { storeBudget: BUDGET })
      const behaviours: readonly (() => unknown)[] = [
        ...NONSENSE.flatMap((value) => [() => value, () => Promise.resolve(value)]),
        () => {
          throw new Error('thrown')
        },
        () => {
          throw undefined
        },
        () => Promise.reject(),
        () => Promise.reject(new Error('rejected')),
      ]
      for (const behaviour of behaviours) {
        for (const [name, act] of Object.entries(ACTS)) {
          answer = undefined
          const browser = site.browser()
          await browser.do((session) => session.signIn('ada', { data: { n: 1 } }))
          answer = behaviour
          const { status } = await browser.do(act)
          expect([200, 401, 409, 500, 503]).toContain(status)
          const isRefused = method === 'update' && ['write', 'update', 'take'].includes(name)
          if (isRefused) expect(status).toBeGreaterThan(400)
        }
      }
      answer = undefined
      // Its loads may have opened the breaker.
      await site.sessions.check()
      expect((await site.browser().do((session) => session.signIn('ada'))).status).toBe(200)
    },
  )

  test('whatever ping says, check answers and no request hears of it', async () => {
    let answer: () => unknown = () => ({})
    const site = await openSite({ ...memoryStore(), ping: () => answer() as Any })
    const concerns = [undefined, null, 5, {}, [undefined], [{}], [{ code: 5 }]]
    const answers = [...NONSENSE, ...concerns.map((some) => ({ now: 'late', concerns: some }))]
    for (const value of answers) {
      for (const behaviour of [() => value, () => Promise.resolve(value)]) {
        answer = behaviour
        expect(await site.sessions.check()).toMatchObject({
          store: 'memory',
          ok: expect.any(Boolean),
        })
        expect((await site.browser().do((session) => session.signIn('ada'))).status).toBe(200)
      }
    }
  })
})

// biome-ignore lint/suspicious/noExplicitAny: session data of all kinds
type Any = any
