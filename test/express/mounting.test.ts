import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import express, { type RequestHandler } from 'express'
import { session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { describe, expect, test, vi } from 'vitest'
import { createClient, createJar, exchange, serve } from '../http.js'
import { visitCalls } from '../visit-calls.js'
import { ask, versions } from './faces.js'
import { type Loose, SECRET, setUp } from './stores.js'

const count: RequestHandler = (req, res) => {
  const data = req.session as Loose
  data.visits = Number(data.visits ?? 0) + 1
  res.json(data.visits)
}

describe('a plain node:http server', () => {
  /** Answers `all is well`, whatever the session says. */
  function wellBeing(ran: () => void) {
    return (req: IncomingMessage, res: ServerResponse) => {
      ran()
      ;(req.session as Loose).value = 'lost'
      res.writeHead(200, { 'Content-Type': 'text/plain' })
      res.end('all is well')
    }
  }

  for (const pace of [0, 5]) {
    test(`whose next does not look at errors acknowledges nothing, and runs its handler once, on a store ${pace} ms away`, async () => {
      const { sessions, faulty } = await setUp()
      if (pace > 0) faulty.slow(pace)
      faulty.refuse('no', { methods: ['create'] })
      const ran = vi.fn()
      const handler = wellBeing(ran)
      const { url } = await serve((req, res) => sessions(req, res, () => handler(req, res)))

      const reply = await createClient(url).get('/')

      expect([reply.status, reply.text]).toEqual([503, 'Please try again in a moment.\n'])
      expect(reply.headers['retry-after']).toBe('1')
      expect(ran).toHaveBeenCalledTimes(1)
    })

    test(`whose next does not look at errors is not run without a session, on a store ${pace} ms away`, async () => {
      const { sessions, faulty } = await setUp()
      const ran = vi.fn()
      const { url } = await serve((req, res) =>
        sessions(req, res, () => {
          ran()
          ;(req.session as Loose).value = 'kept'
          res.end()
        }),
      )
      const client = createClient(url)
      await client.get('/')
      if (pace > 0) faulty.slow(pace)
      faulty.fail(new Error('down'), { methods: ['load'] })
      const reply = await client.get('/')
      expect(reply.status).toBe(503)
      expect(ran).toHaveBeenCalledTimes(1)
    })
  }

  test('whose next throws the error answers all the same, and lives on', async () => {
    const { sessions, faulty } = await setUp()
    faulty.refuse('no', { methods: ['create'], times: 1 })
    const handler = wellBeing(() => {})
    const { url } = await serve((req, res) =>
      sessions(req, res, (error) => {
        if (error !== undefined) throw error
        handler(req, res)
      }),
    )
    expect((await createClient(url).get('/')).status).toBe(503)
    expect((await createClient(url).get('/')).status).toBe(200)
  })

  test('whose next settles a promise does not hang', async () => {
    const { sessions, faulty } = await setUp()
    faulty.refuse('no', { methods: ['create'] })
    const handler = wellBeing(() => {})
    const { url } = await serve(async (req, res) => {
      await new Promise<void>((resolve, reject) => {
        sessions(req, res, (error) => (error === undefined ? resolve() : reject(error)))
      })
      handler(req, res)
    })
    const reply = await createClient(url).get('/')
    expect([reply.status, reply.isWhole]).toEqual([503, true])
    expect(reply.cookies).toEqual([])
  })

  test('may answer its errors by itself', async () => {
    const { sessions, faulty } = await setUp()
    faulty.refuse('no', { methods: ['create'] })
    const handler = wellBeing(() => {})
    const { url } = await serve((req, res) =>
      sessions(req, res, (error) => {
        if (error === undefined) handler(req, res)
        else res.end(`own page ${(error as { code: string }).code}`)
      }),
    )
    const reply = await createClient(url).get('/')
    expect([reply.status, reply.text]).toEqual([503, 'own page ERR_SESSION_STORE'])
  })
})

for (const [version, create] of versions) {
  describe(version, () => {
    test('mounted twice, an instance works as once', async () => {
      const { sessions, faulty } = await setUp()
      const app = create()
      app.use(sessions, sessions)
      const router = express.Router()
      router.use(sessions)
      app.use('/inner', router)
      router.get('/', count)
      const { url } = await serve(app)
      const client = createClient(url)
      expect((await client.get('/inner')).json()).toBe(1)
      const second = await client.get('/inner')
      expect([second.json(), second.cookies]).toEqual([2, []])
      expect(faulty.calls).toMatchObject({ load: 1, create: 1, update: 1 })
    })

    test('two instances keep two sessions: req.session is that of the last, and of() that of each', async () => {
      const store = memoryStore()
      const users = session({ secret: SECRET, store, name: 'user' })
      const admins = session({ secret: SECRET, store, name: 'admin', cookie: { path: '/admin' } })
      const app = create()
      app.use(users)
      app.use('/admin', admins)
      app.get('/', count)
      app.get('/admin', count)
      app.get('/admin/both', async (req, res) => {
        const own = (await admins.of(req)) as Loose
        const other = (await users.of(req)) as Loose
        other.visits = 100
        res.json([own.visits, other.visits, req.session === own])
      })
      const { url } = await serve(app)
      const client = createClient(url)
      expect((await client.get('/')).json()).toBe(1)
      expect((await client.get('/admin')).json()).toBe(1)
      expect((await client.get('/admin')).json()).toBe(2)
      expect((await client.get('/admin/both')).json()).toEqual([2, 100, true])
      expect((await client.get('/')).json()).toBe(101)
      expect((await client.get('/admin')).json()).toBe(3)
    })

    test('of() of an instance that is not mounted leaves req.session to the one that is', async () => {
      const { sessions } = await setUp()
      const other = session({ secret: SECRET, name: 'other' })
      const app = create()
      app.use(sessions)
      app.get('/', async (req, res) => {
        const mounted = req.session
        const own = (await other.of(req)) as Loose
        own.visits = Number(own.visits ?? 0) + 1
        res.json([req.session === mounted, own !== mounted, own.visits])
      })
      const { url } = await serve(app)
      const client = createClient(url)
      expect((await client.get('/')).json()).toEqual([true, true, 1])
      expect((await client.get('/')).json()).toEqual([true, true, 2])
    })

    test('two instances in one request both hold the answer until they are stored', async () => {
      const one = await setUp({ name: 'one' })
      const two = await setUp({ name: 'two' })
      one.faulty.slow(5)
      two.faulty.slow(10)
      const app = create()
      app.use(one.sessions, two.sessions)
      app.get('/', async (req, res) => {
        const [first, second] = await Promise.all([one.sessions.of(req), two.sessions.of(req)])
        Object.assign(first, { value: 1 })
        Object.assign(second, { value: 2 })
        res.json([first.id, second.id])
      })
      const { url } = await serve(app)
      const reply = await createClient(url).get('/')
      expect(reply.json()).toHaveLength(2)
      expect(reply.cookies.map((line) => line.split('=')[0]).sort()).toEqual(['one', 'two'])

      two.faulty.refuse('no', { methods: ['create'] })
      const failed = await createClient(url).get('/')
      expect([failed.status, failed.isWhole]).toEqual([503, true])
    })

    test('skip and cookie.path leave requests alone: no session, no store call, no cookie', async () => {
      const { sessions, faulty } = await setUp({
        cookie: { path: '/app' },
        skip: (req) => req.url?.startsWith('/app/assets') === true,
      })
      const app = create()
      app.use(sessions)
      app.get('/app', count)
      app.use((req, res) => void res.json(req.session === undefined ? 'none' : 'some'))
      const { url } = await serve(app)
      const client = createClient(url)
      expect((await client.get('/app')).cookies[0]).toContain('Path=/app;')
      const headers = { cookie: client.jar.header('/app') }
      const before = visitCalls(faulty)
      for (const path of ['/', '/application', '/app/assets/logo.svg']) {
        expect((await client.get(path, { headers })).json()).toBe('none')
      }
      expect(visitCalls(faulty)).toBe(before)
      expect((await client.get('/app/inner', { headers })).json()).toBe('some')
      expect(faulty.calls.load).toBe(1)
    })

    test('in a router of its own, the path of the cookie is that of the whole request', async () => {
      const { sessions } = await setUp({ cookie: { path: '/area/shop' } })
      const app = create()
      const router = express.Router()
      app.use('/area', router)
      router.use('/shop', sessions)
      router.get('/shop/cart', count)
      const { url } = await serve(app)
      const client = createClient(url)
      await client.get('/area/shop/cart')
      expect((await client.get('/area/shop/cart')).json()).toBe(2)
    })

    test('of(req, res) serves a single route: stored before the answer, errors to the error handler', async () => {
      const { sessions, faulty, read } = await setUp()
      const app = create()
      const route: RequestHandler = async (req, res) => {
        const [data, again] = (await Promise.all([sessions.of(req), sessions.of(req, res)])) as [
          Loose,
          Loose,
        ]
        data.value = 'kept'
        res.send(again === data ? 'one session' : 'two sessions')
      }
      const router = express.Router()
      router.get('/single', route)
      app.use('/inner', router)
      const page: express.ErrorRequestHandler = (error, _req, res, _next) =>
        void res.send(error.code)
      app.use(page)
      const { url } = await serve(app)
      faulty.slow(10)
      const reply = await ask(`${url}/inner/single`, { path: '/inner/single' })
      expect(await read(reply.cookie)).toBe('kept')
      expect(faulty.calls.create).toBe(1)
      const headers = { cookie: reply.cookie as string }
      const again = await createClient(url).get('/inner/single', { headers })
      expect(again.text).toBe('one session')
      expect(faulty.calls.load).toBe(1)
      faulty.refuse('no', { methods: ['create'] })
      const failed = await createClient(url).get('/inner/single')
      expect([failed.status, failed.text]).toEqual([503, 'ERR_SESSION_STORE'])
    })
  })
}

describe('of(req, res) on a plain server', () => {
  test('stores before the answer, and answers errors itself', async () => {
    const { sessions, faulty, read } = await setUp()
    faulty.slow(5)
    const { url } = await serve(async (req, res) => {
      const data = (await sessions.of(req, res)) as Loose
      expect(req.session).toBe(data)
      data.value = 'kept'
      res.end('done')
    })
    expect(await read((await ask(url)).cookie)).toBe('kept')
    faulty.refuse('no', { methods: ['create'] })
    const failed = await createClient(url).get('/')
    expect([failed.status, failed.text]).toEqual([503, 'Please try again in a moment.\n'])
  })

  test('without a response it reads and saves a session, and cannot begin one', async () => {
    const { sessions } = await setUp()
    const errors: unknown[] = []
    const { url } = await serve(async (req, res) => {
      if (req.url === '/start') {
        ;((await sessions.of(req, res)) as Loose).value = 'begun'
        return res.end()
      }
      const data = (await sessions.of(req)) as Loose
      const before = data.value ?? null
      data.value = 'saved'
      await data.save().catch((error: unknown) => errors.push(error))
      res.end(JSON.stringify(before))
    })
    const client = createClient(url)
    expect((await client.get('/')).json()).toBeNull()
    expect(errors).toMatchObject([{ code: 'ERR_SESSION_NO_RESPONSE' }])
    await client.get('/start')
    expect((await client.get('/')).json()).toBe('begun')
    expect((await client.get('/')).json()).toBe('saved')
  })
})

describe('one connection, many requests', () => {
  test('pipelined requests of two browsers get each its own session, in order', async () => {
    const { sessions, faulty } = await setUp()
    const app = express()
    app.use(sessions)
    app.get('/', count)
    app.get('/keep', (req, res) => {
      ;(req.session as Loose)[`key${req.get('x-number')}`] = true
      res.json((req.session as Loose).visits)
    })
    app.get('/break', (req, res) => {
      ;(req.session as Loose).value = 'kept'
      res.send('held')
      throw new Error('late')
    })
    const { url, port } = await serve(app)
    const [ada, bob] = [createClient(url), createClient(url)]
    await ada.get('/')
    await bob.get('/')
    await bob.get('/')
    faulty.slow(10)

    const get = (path: string, cookie: string, more = ''): string =>
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\n${more}\r\n`
    const [ofAda, ofBob] = [ada.jar.header(), bob.jar.header()]
    const text = await exchange(
      port,
      get('/keep', ofAda, 'X-Number: 1\r\n') +
        get('/keep', ofBob, 'X-Number: 1\r\n') +
        get('/keep', ofAda, 'X-Number: 2\r\n') +
        get('/keep', ofBob, 'X-Number: 2\r\nConnection: close\r\n'),
    )
    const bodies = [...text.matchAll(/\r\n\r\n(\d)/g)].map(([, body]) => body)
    expect(bodies).toEqual(['1', '2', '1', '2'])
    expect(text).not.toContain('Set-Cookie')

    // An error after `send` makes Express want the socket gone; what came before it on the socket is still whole.
    const broken = await exchange(port, get('/break', ofAda) + get('/', ofBob))
    expect(broken).toContain('held')
  })

  test('100 parallel requests over few connections never see a foreign session', async () => {
    const { sessions, faulty } = await setUp()
    faulty.slow(3)
    const app = express()
    app.use(sessions)
    app.post('/', (req, res) => {
      ;(req.session as Loose).owner = req.get('x-owner')
      res.json(req.session.id)
    })
    app.get('/', (req, res) => {
      ;(req.session as Loose)[`key${req.get('x-number')}`] = true
      res.json((req.session as Loose).owner)
    })
    app.get('/keys', (req, res) => void res.json(Object.keys(req.session).length))
    const { url } = await serve(app)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
    const owners = Array.from({ length: 10 }, (_, index) => `user${index}`)
    const clients = owners.map(() => createClient(url, createJar()))
    await Promise.all(
      owners.map((owner, index) =>
        clients[index]?.post('/', { agent, headers: { 'x-owner': owner } }),
      ),
    )
    const replies = await Promise.all(
      Array.from({ length: 100 }, async (_, number) => {
        const index = number % 10
        const headers = { 'x-number': `${number}` }
        const reply = await clients[index]?.get('/', { agent, headers })
        return [reply?.json(), owners[index], reply?.cookies.length]
      }),
    )
    for (const [seen, owner, cookies] of replies) expect([seen, cookies]).toEqual([owner, 0])
    for (const client of clients) expect((await client.get('/keys', { agent })).json()).toBe(11)
    agent.destroy()
  })
})
