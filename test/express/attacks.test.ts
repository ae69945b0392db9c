import http from 'node:http'
import net from 'node:net'
import { inspect, promisify } from 'node:util'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { type SessionOptions, type Sessions, session } from 'staykept'
import { movableClock } from 'staykept/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { StoreKey } from '../../src/core/store.js'
import { createClient, exchange, serve } from '../http.js'
import { type Loose, SECRET, type Setup, setUp } from './stores.js'

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockReturnValue()
})
afterEach(() => {
  vi.restoreAllMocks()
})

const count: RequestHandler = (req, res) => {
  const data = req.session as Loose
  data.n = Number(data.n ?? 0) + 1
  res.send('counted')
}

const showError: ErrorRequestHandler = (error, _req, res, _next) =>
  void res.status(error.status ?? 500).json({ error: error.code ?? error.name })

/** An application with routes to sign in and to look, and those of the test. */
async function open(
  routes: (app: Express) => void,
  options: Partial<SessionOptions> = {},
): Promise<Setup & { app: Express; url: string; said: string[] }> {
  const setup = await setUp(options)
  /** The late changes and the codes of the warnings. */
  const said: string[] = []
  setup.sessions.on('lateChange', () => said.push('lateChange'))
  setup.sessions.on('warning', ({ code }) => said.push(code))
  const app = express().set('env', 'test').use(setup.sessions)
  app.get('/count', count)
  app.get('/in', (req, res) => void req.session.signIn('ada').then(() => res.send('signed in')))
  app.get('/me', (req, res) => void res.json(req.session.info.userId ?? null))
  app.get('/show', (req, res) => void res.json({ ...req.session }))
  routes(app)
  app.use(showError)
  const { url } = await serve(app)
  return { ...setup, app, url, said }
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

describe('after its answer, a handler', () => {
  test.each([
    ['looks at its session for the first time', false, 1],
    ['assigns what cannot be stored', true, new (class User {})()],
    ['looks for the first time, and assigns what cannot be stored', false, Symbol('user')],
  ])('that %s is told that this is late, and the process lives on', async (_what, first, value) => {
    const { url, said } = await open((app) =>
      app.get('/', (req, res) => {
        if (first) void req.session.id
        res.send('done')
        ;(req.session as Loose).value = value
      }),
    )
    const answer = await createClient(url).get('/')
    expect([answer.text, answer.cookies]).toEqual(['done', []])
    await vi.waitFor(() => expect(said).toEqual(['lateChange', 'WARN_SESSION_LATE_CHANGE']))
  })

  test('that changes its session while that is being stored is stored along, without an alarm', async () => {
    const { url, said, faulty } = await open((app) =>
      app.get('/', (req, res) => {
        ;(req.session as Loose).first = 1
        res.send('done')
        ;(req.session as Loose).second = 2
      }),
    )
    faulty.slow(10)
    const client = createClient(url)
    await client.get('/')
    expect((await client.get('/show')).json()).toEqual({ first: 1, second: 2 })
    await turn()
    expect(said).toEqual([])
  })
})

test('clients that hang up while their answer is held leave no socket', async () => {
  const { app, faulty } = await open(() => {})
  faulty.hang({ methods: ['create'] })
  const server = http.createServer(app)
  const { port } = await serve(server)
  const clients = [1, 2, 3, 4, 5].map(() => net.connect(port, '127.0.0.1').on('error', () => {}))
  for (const client of clients) client.write('GET /count HTTP/1.1\r\nHost: x\r\n\r\n')
  await vi.waitFor(() => expect(faulty.calls.create).toBe(5))
  for (const client of clients) client.destroy()
  await turn()
  await faulty.heal()
  const sockets = promisify(server.getConnections.bind(server))
  await vi.waitFor(async () => expect(await sockets()).toBe(0), { timeout: 2000 })
})

test('a refused key, a call that nobody waits for and an error page end in that error page', async () => {
  const { url } = await open((app) =>
    app.get('/', (req, res) => {
      // What used to go round for ever would hang the whole run; this lets it fail instead.
      let [reads, status] = [0, 400]
      Object.defineProperty(res, 'statusCode', {
        get() {
          reads += 1
          if (reads === 5000) throw new Error('it goes round and round')
          return status
        },
        set: (value) => {
          status = value
        },
      })
      void req.session.touch()
      expect(() => Object.assign(req.session, { value: 1, id: 'mine' })).toThrow()
      res.send('bad')
    }),
  )
  expect(await createClient(url).get('/')).toMatchObject({ status: 400, text: 'bad', cookies: [] })
})

test('an async function that rejects as a callback comes to the error handler', async () => {
  const callback = () => Promise.reject(new TypeError('the database is down'))
  const { url } = await open((app) => app.get('/', (req) => req.session.save(callback)))
  const answer = await createClient(url).get('/', { signal: AbortSignal.timeout(3000) })
  expect([answer.status, answer.json()]).toEqual([500, { error: 'TypeError' }])
})

test('an async function as skip is a mistake that next is told', async () => {
  const skip = (async () => true) as unknown as () => boolean
  const { url } = await open(() => {}, { skip })
  const answer = await createClient(url).get('/count')
  expect([answer.status, answer.text]).toEqual([500, '{"error":"TypeError"}'])
  expect(answer.cookies).toEqual([])
})

test.each([
  [false, null, ['WARN_SESSION_TRUST_PROXY']],
  [true, 'ada', []],
])(
  'an upgrade behind a TLS proxy finds its session or says why not, with proxy %s',
  async (proxy, user, warnings) => {
    const { app, sessions, said } = await open(() => {}, proxy ? { proxy } : {})
    app.set('trust proxy', 1)
    const server = http.createServer(app).on('upgrade', async (req, socket) => {
      socket.end(JSON.stringify((await sessions.of(req)).info.userId ?? null))
    })
    const { url, port } = await serve(server)
    const headers = { 'x-forwarded-proto': 'https' }
    const [line = ''] = (await createClient(url).get('/in', { headers })).cookies
    expect(line).toMatch(/^__Host-sid=/)
    const proxied = 'X-Forwarded-Proto: https\r\nConnection: Upgrade\r\nUpgrade: websocket'
    const upgrade = `GET / HTTP/1.1\r\nHost: x\r\n${proxied}\r\nCookie: ${line.split(';')[0]}\r\n\r\n`
    for (const _time of [1, 2]) expect(JSON.parse(await exchange(port, upgrade))).toBe(user)
    expect(said).toEqual(warnings)
  },
)

test.each(['load', 'update'] as const)(
  'under Express a next without parameters still gets the error of a failed %s',
  async (method) => {
    const { sessions, faulty } = await setUp()
    const app = express()
    app.use((req, res, next) => sessions(req, res, (...args: []) => next(...args)))
    app.get('/', count)
    app.use(showError)
    const client = createClient((await serve(app)).url)
    await client.get('/')
    faulty.refuse('no', { methods: [method] })
    const answer = await client.get('/')
    expect([answer.status, answer.json()]).toEqual([503, { error: 'ERR_SESSION_STORE' }])
  },
)

test('a sign-out while the store is away clears the cookie, and that session stays ended here', async () => {
  const signOut = (app: Express) => app.get('/out', (req) => req.session.signOut())
  const { url, faulty } = await open(signOut, { onStoreError: 'anonymous' })
  const client = createClient(url)
  await client.get('/in')
  const before = client.jar.clone()
  faulty.fail(undefined, { methods: ['load', 'delete'] })
  const answer = await client.get('/out')
  expect([answer.status, answer.json()]).toEqual([503, { error: 'ERR_SESSION_READ_ONLY' }])
  expect(answer.cookies).toEqual([expect.stringMatching(/^sid=;.*Max-Age=0/)])
  await faulty.heal()
  expect((await createClient(url, before).get('/me')).json()).toBeNull()
})

test('a sign-out with an old cookie while the store is away leaves the session alone that followed', async () => {
  const signOut = (app: Express) => app.get('/out', (req) => req.session.signOut())
  const { url, faulty } = await open(signOut, { onStoreError: 'anonymous' })
  const client = createClient(url)
  await client.get('/count')
  const planted = createClient(url, client.jar.clone())
  await client.get('/in')
  const before = (await client.get('/me')).json()
  expect(before).not.toBeNull()
  faulty.fail(undefined, { methods: ['load', 'delete'] })
  await planted.get('/out')
  await faulty.heal()
  expect((await client.get('/me')).json()).toEqual(before)
})

test('who looks into a request sees no configured secret', async () => {
  const { url } = await open((app) =>
    app.get('/', (req, res) => {
      void req.session.id
      const depths = [2, 5, 10, Number.POSITIVE_INFINITY]
      res.json(depths.filter((depth) => inspect(req, { depth }).includes('a secret of more')))
    }),
  )
  expect((await createClient(url).get('/')).json()).toEqual([])
})

test('devices are those of people who signed in: of others no user agent and no address is kept', async () => {
  const clock = movableClock()
  const { url, faulty } = await open(() => {}, { devices: true, clock })
  for (const path of ['/count', '/in']) {
    const isKept = path === '/in'
    const client = createClient(url)
    await client.get(path)
    clock.advance(10 * 60_000)
    await client.get('/me', { headers: { 'user-agent': 'Mozilla/5.0' } })
    const key = client.jar.get('sid')?.split('.')[0] as StoreKey
    const payload = (await faulty.store.load(key, clock.now()))?.payload ?? ''
    expect(payload).not.toBe('')
    expect([payload.includes('Mozilla'), payload.includes('127.0.0.1')]).toEqual([isKept, isKept])
  }
})

test('sessions.of(req) can be asked again after the store failed', async () => {
  const { sessions, faulty } = await setUp()
  const app = express()
  app.get('/count', sessions, count)
  app.get('/', async (req, res) => {
    // A read that fails is asked once more.
    faulty.fail(undefined, { methods: ['load'], times: 2 })
    const first = await sessions.of(req).catch((error) => error.code)
    res.json([first, ((await sessions.of(req)) as Loose).n])
  })
  const client = createClient((await serve(app)).url)
  await client.get('/count')
  expect((await client.get('/')).json()).toEqual(['ERR_SESSION_STORE', 1])
})

test('of(req) of a second session() does not keep its middleware from becoming req.session', async () => {
  const [first, second] = ['first', 'second'].map((name) => session({ secret: SECRET, name }))
  const app = express().use(first as Sessions)
  app.get('/', async (req, _res, next) => {
    await second?.of(req)
    next()
  })
  app.get('/', second as Sessions, count)
  const { cookies } = await createClient((await serve(app)).url).get('/')
  expect(cookies).toEqual([expect.stringMatching(/^second=/)])
})

describe('an answer that sets the cookie', () => {
  const FOR_CDNS = { 'CDN-Cache-Control': 'max-age=600', 'Surrogate-Control': 'max-age=600' }

  test.each<[string, RequestHandler]>([
    ['by setHeader', (_req, res) => void res.set(FOR_CDNS).send('done')],
    ['by writeHead', (_req, res) => void res.writeHead(200, FOR_CDNS).end('done')],
    ['by a list', (_req, res) => void res.writeHead(200, Object.entries(FOR_CDNS).flat()).end()],
  ])('leaves shared caches no word of their own, given %s', async (_how, answer) => {
    const { url, said } = await open((app) =>
      app.get('/', (req, ...others) => {
        ;(req.session as Loose).n = 1
        return answer(req, ...others)
      }),
    )
    const { headers } = await createClient(url).get('/')
    expect(headers).toHaveProperty('set-cookie')
    expect(headers).not.toHaveProperty('cdn-cache-control')
    expect(headers).not.toHaveProperty('surrogate-control')
    expect(said).toEqual(['WARN_SESSION_CACHEABLE'])
  })

  test('is not taken for no-store because of that word inside another one', async () => {
    const { url } = await open((app) =>
      app.get('/', (req, res, next) => {
        res.set('Cache-Control', 'public, max-age=60, ext="no-store", x-no-store-x')
        count(req, res, next)
      }),
    )
    const { headers } = await createClient(url).get('/')
    expect(headers['cache-control']).toBe('private, no-store')
  })
})

test('an error goes out with its own words, not with those of the handler for its answer', async () => {
  const { url, faulty } = await open((app) =>
    app.get('/', (req, res, next) => {
      res.statusMessage = 'Payment Accepted'
      count(req, res, next)
    }),
  )
  faulty.refuse('no', { methods: ['create'] })
  const { status, statusText } = await fetch(url)
  expect([status, statusText]).toEqual([503, 'Service Unavailable'])
})

test('a mocked response with no more than setHeader, getHeader and end gets its cookie', async () => {
  const { sessions } = await setUp()
  const head = new Map<string, unknown>()
  const setHeader = (name: string, value: unknown) => head.set(name.toLowerCase(), value)
  const [req, end] = [{ headers: {} } as http.IncomingMessage, vi.fn()]
  const res = { setHeader, getHeader: (name: string) => head.get(name), end }
  sessions(req, res as never, () => {})
  ;(req.session as Loose).n = 1
  res.end('done')
  await vi.waitFor(() => expect(end).toHaveBeenCalledWith('done'))
  expect([...head.keys()]).toEqual(['set-cookie', 'cache-control'])
})
