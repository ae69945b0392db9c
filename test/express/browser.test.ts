import { EventEmitter, once } from 'node:events'
import express, { type RequestHandler } from 'express'
import { session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { describe, expect, test, vi } from 'vitest'
import { type Answer, type Client, createClient, createJar, type Jar, serve } from '../http.js'
import { SECRET, type Setup, setUp } from './stores.js'

/** Where `/held/…` waits: in the handler, with the session loaded, until the test lets it go. */
function createGate() {
  const signals = new EventEmitter()
  return {
    reached: () => once(signals, 'reached'),
    open: () => void signals.emit('open'),
    async pass() {
      const opened = once(signals, 'open')
      signals.emit('reached')
      await opened
    },
  }
}

const cartOf = (req: express.Request): Record<string, unknown> =>
  req.session as unknown as Record<string, unknown>

async function shop(setup: Setup) {
  const gate = createGate()
  const app = express()
  app.use(setup.sessions)
  const routes: Record<string, RequestHandler> = {
    poll: (req, res) => void res.json(req.session.info.userId ?? null),
    write: (req, res) => {
      cartOf(req)[`item${req.query.n ?? ''}`] = true
      res.json('stored')
    },
    'sign-in': async (req, res) => {
      await req.session.signIn('ada', { keep: ['item'] })
      res.json('signed in')
    },
    'sign-out': async (req, res) => {
      await req.session.signOut()
      res.json('signed out')
    },
    page: (req, res) => void res.type('html').send(String(req.session.info.userId ?? 'nobody')),
    cart: (req, res) => void res.json(Object.keys(req.session)),
  }
  for (const [path, handler] of Object.entries(routes)) {
    app.all(`/${path}`, handler)
    app.all(`/held/${path}`, (_req, _res, next) => void gate.pass().then(next), handler)
    // Touches the session first, so that it is loaded and open while the others go on.
    app.all(`/open/${path}`, (req, _res, next) => {
      expect(req.session.id).toBeTypeOf('string')
      void gate.pass().then(next)
    })
    app.all(`/open/${path}`, handler)
  }
  return { ...(await serve(app)), gate }
}

/** A request whose response the browser gets when it is asked to. */
function send(url: string, path: string, jar: Jar, headers = {}) {
  const apart = jar.clone()
  const answered = createClient(url, apart).get(path, { headers })
  return {
    answered,
    async arrive(): Promise<Answer> {
      const answer = await answered
      for (const line of answer.cookies) jar.store(line)
      return answer
    },
  }
}

async function whoIs(client: Client): Promise<unknown> {
  return (await client.get('/poll')).json()
}

for (const pace of [0, 5]) {
  describe(`a sign-in that was sent twice, with a store ${pace} ms away`, () => {
    for (const start of ['without a cookie', 'with a cart', 'signed in already']) {
      for (const order of ['first, second', 'second, first', 'second only', 'first only']) {
        test(`${start}, answers come as ${order}: the browser is signed in`, async () => {
          const setup = await setUp()
          const { url } = await shop(setup)
          const client = createClient(url)
          if (start === 'with a cart') await client.get('/write')
          if (start === 'signed in already') await client.get('/sign-in')
          if (pace > 0) setup.faulty.slow(pace)

          const first = send(url, '/sign-in', client.jar)
          const second = send(url, '/sign-in', client.jar)
          const statuses = [(await first.answered).status, (await second.answered).status]
          for (const name of order.replace(' only', '').split(', ')) {
            await (name === 'first' ? first : second).arrive()
          }

          expect(statuses).toEqual([200, 200])
          expect(await whoIs(client)).toBe('ada')
        })
      }
    }
  })

  describe(`an answer that comes late, with a store ${pace} ms away`, () => {
    for (const held of ['held', 'open']) {
      for (const poll of ['poll', 'write']) {
        test(`a ${poll} that was ${held} during a sign-in leaves the new cookie alone`, async () => {
          const setup = await setUp()
          const { url, gate } = await shop(setup)
          const client = createClient(url)
          await client.get('/write')
          if (pace > 0) setup.faulty.slow(pace)

          const reached = gate.reached()
          const late = send(url, `/${held}/${poll}`, client.jar)
          await reached
          await client.get('/sign-in')
          const cookie = client.jar.get('sid')
          gate.open()
          const answer = await late.arrive()

          expect(answer.cookies).toEqual([])
          expect(client.jar.get('sid')).toBe(cookie)
          expect(await whoIs(client)).toBe('ada')
          if (poll === 'write') expect([200, 409]).toContain(answer.status)
        })

        test(`a ${poll} that was ${held} during a sign-out does not sign in again`, async () => {
          const setup = await setUp()
          const { url, gate } = await shop(setup)
          const client = createClient(url)
          await client.get('/sign-in')
          const before = client.jar.clone()
          if (pace > 0) setup.faulty.slow(pace)

          const reached = gate.reached()
          const late = send(url, `/${held}/${poll}?n=new`, client.jar)
          await reached
          const out = await client.get('/sign-out')
          gate.open()
          const answer = await late.arrive()

          expect(out.cookies[0]).toMatch(/^sid=; Max-Age=0; /)
          expect(answer.cookies).toEqual([])
          expect(client.jar.header()).toBe('')
          expect(answer.status).toBe(poll === 'write' ? 401 : 200)
          expect(await whoIs(createClient(url, before))).toBeNull()
        })
      }
    }

    test('sent with the cookie from before the sign-in, a poll is anonymous and a write is refused', async () => {
      const setup = await setUp()
      const { url } = await shop(setup)
      const client = createClient(url)
      await client.get('/write')
      const old = client.jar.clone()
      await client.get('/sign-in')
      if (pace > 0) setup.faulty.slow(pace)
      for (const [path, status] of [
        ['/poll', 200],
        ['/write', 409],
      ] as const) {
        const answer = await createClient(url, old).get(path)
        expect([answer.status, answer.cookies]).toEqual([status, []])
      }
      expect(await whoIs(client)).toBe('ada')
    })

    test('a write that races a sign-out is stored before it, or not acknowledged', async () => {
      const setup = await setUp()
      const { url } = await shop(setup)
      if (pace > 0) setup.faulty.slow(pace)
      const statuses = new Set<number>()
      for (let round = 0; round < 30; round++) {
        const client = createClient(url)
        await client.get('/sign-in')
        const before = client.jar.clone()
        const [write, out] = await Promise.all([
          createClient(url, before).get('/write'),
          client.get('/sign-out'),
        ])
        expect(out.status).toBe(200)
        expect(write.cookies).toEqual([])
        expect([200, 401]).toContain(write.status)
        statuses.add(write.status)
        expect(await whoIs(createClient(url, before))).toBeNull()
      }
    })
  })
}

describe('after a change of secrets', () => {
  const navigation = { 'sec-fetch-mode': 'navigate' }
  const call = { 'sec-fetch-mode': 'cors' }

  async function rotated() {
    const store = memoryStore()
    const signIn = async (secret: string[]) => {
      const sessions = session({ secret, store })
      return shop({ sessions } as Setup)
    }
    const before = await signIn([SECRET])
    const after = await signIn([`${SECRET}, and a new one`, SECRET])
    const old = createClient(before.url)
    await old.get('/sign-in')
    return { ...after, client: createClient(after.url, old.jar), before: before.url }
  }

  test('a page signs the cookie anew, a call of a script does not', async () => {
    const { client } = await rotated()
    const cookie = client.jar.get('sid')
    expect((await client.get('/poll', { headers: call })).cookies).toEqual([])
    expect((await client.post('/page', { headers: navigation })).cookies).toEqual([])
    expect((await client.get('/poll')).cookies).toEqual([])
    const page = await client.get('/page', { headers: navigation })
    expect(page.cookies).toHaveLength(1)
    const renewed = client.jar.get('sid')
    expect(renewed).not.toBe(cookie)
    expect(renewed?.split('.').slice(0, 2)).toEqual(cookie?.split('.').slice(0, 2))
    expect((await client.get('/page', { headers: navigation })).cookies).toEqual([])
    expect(await whoIs(client)).toBe('ada')
  })

  test('a poll that comes late leaves the cookie of a sign-in alone', async () => {
    const { client, url, gate } = await rotated()
    const reached = gate.reached()
    const late = send(url, '/held/poll', client.jar, call)
    await reached
    await client.get('/sign-in')
    const cookie = client.jar.get('sid')
    gate.open()
    await late.arrive()
    expect(client.jar.get('sid')).toBe(cookie)
    expect(await whoIs(client)).toBe('ada')
  })

  test('a process that knows only the old secret takes a new cookie for none, and does not clear it', async () => {
    const { client, before } = await rotated()
    await client.get('/page', { headers: navigation })
    const answer = await createClient(before, client.jar).get('/poll')
    expect([answer.json(), answer.cookies]).toEqual([null, []])
    expect(await whoIs(client)).toBe('ada')
  })
})

describe("while the store is down, with onStoreError: 'anonymous'", () => {
  test('visitors are anonymous, writes are refused, and no cookie is set or cleared', async () => {
    const setup = await setUp({ onStoreError: 'anonymous', storeBudget: 60 })
    const { url } = await shop(setup)
    const client = createClient(url)
    await client.get('/sign-in')
    const cookie = client.jar.header()
    for (const bring of [
      () => setup.faulty.fail(),
      () => setup.faulty.hang(),
      // It comes back in the middle of the request: what was not loaded cannot be written.
      () => setup.faulty.fail(new Error('down'), { methods: ['load'] }),
    ]) {
      bring()
      for (const [path, status] of [
        ['/poll', 200],
        ['/cart', 200],
        ['/write', 503],
        ['/sign-in', 503],
      ] as const) {
        const answer = await client.get(path)
        expect([path, answer.status, answer.cookies]).toEqual([path, status, []])
        if (status === 503) expect(answer.headers['retry-after']).toBe('1')
        else expect(answer.text).toMatch(/^(null|\[\])$/)
      }
      await setup.faulty.heal('never')
    }
    // Otherwise the breaker finds out by itself, a moment later.
    expect(await setup.sessions.check()).toMatchObject({ ok: true })
    expect(client.jar.header()).toBe(cookie)
    // As soon as the breaker lets the first calls through again.
    await vi.waitFor(async () => expect(await whoIs(client)).toBe('ada'), { timeout: 5000 })
  })
})

describe('several cookies of our name', () => {
  const host = { host: 'shop.example.com' }

  async function tossed() {
    const setup = await setUp()
    const rejected: unknown[] = []
    setup.sessions.on('rejected', (event) => rejected.push(event))
    const { url } = await shop(setup)
    const attacker = createClient(url)
    await attacker.get('/sign-in')
    const victim = createClient(url)
    await victim.get('/sign-in')
    return {
      url,
      rejected,
      foreign: attacker.jar.get('sid') as string,
      own: victim.jar.get('sid') as string,
    }
  }

  for (const order of ['own first', 'foreign first']) {
    test(`${order}: nobody is signed in, all are cleared, and the user can sign in again`, async () => {
      const { url, rejected, own, foreign } = await tossed()
      const values = order === 'own first' ? [own, foreign] : [foreign, own]
      const jar = createJar()
      jar.store(`sid=${own}; Path=/`)
      jar.store(`sid=${foreign}; Domain=example.com; Path=/`)
      const client = createClient(url, jar)

      const cookie = values.map((value) => `sid=${value}`).join('; ')
      const answer = await client.get('/poll', { headers: { ...host, cookie } })

      expect(answer.json()).toBeNull()
      expect(rejected).toEqual([{ reason: 'duplicate' }])
      expect(answer.cookies.every((line) => line.startsWith('sid=; Max-Age=0'))).toBe(true)
      expect(jar.header()).toBe('')
      expect((await client.get('/sign-in', { headers: host })).status).toBe(200)
      expect(await whoIs(client)).toBe('ada')
    })

    test(`${order}: a sign-in at once sets one cookie and clears the others`, async () => {
      const { url, own, foreign } = await tossed()
      const values = order === 'own first' ? [own, foreign] : [foreign, own]
      const jar = createJar()
      jar.store(`sid=${own}; Path=/`)
      jar.store(`sid=${foreign}; Domain=example.com; Path=/`)
      const client = createClient(url, jar)
      const cookie = values.map((value) => `sid=${value}`).join('; ')
      await client.get('/sign-in', { headers: { ...host, cookie } })
      expect(jar.header()).toMatch(/^sid=[^;]+$/)
      expect(await whoIs(client)).toBe('ada')
    })
  }

  test('the one that opens a session counts, beside forged and dead ones', async () => {
    const { url, own } = await tossed()
    const gone = createClient(url)
    await gone.get('/sign-in')
    const dead = gone.jar.get('sid')
    await gone.get('/sign-out')
    for (const stray of ['forged', `${own.slice(0, -1)}!`, dead, own]) {
      for (const cookie of [`sid=${stray}; sid=${own}`, `sid=${own}; sid=${stray}`]) {
        expect((await createClient(url).get('/poll', { headers: { cookie } })).json()).toBe('ada')
      }
    }
  })

  test('a made-up Host puts nothing into a cookie', async () => {
    const { url, own, foreign } = await tossed()
    const cookie = `sid=${own}; sid=${foreign}`
    for (const [name, domains] of [
      ['a.b; Secure', 0],
      ['127.0.0.1', 0],
      ['[::1]:80', 0],
      [`${'x.'.repeat(500)}example.com`, 5],
    ] as const) {
      const answer = await createClient(url).get('/poll', { headers: { host: name, cookie } })
      expect(answer.cookies.filter((line) => line.includes('Domain='))).toHaveLength(domains)
      expect(answer.cookies.some((line) => line.includes('Secure'))).toBe(false)
    }
  })
})
