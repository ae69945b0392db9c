import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import express, { type Express } from 'express'
import { type SessionOptions, session } from 'staykept'
import { type FaultyStore, faultyStore, movableClock } from 'staykept/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Client, createClient, serve } from './http.js'
import { storesUnderTest } from './stores-under-test.js'
import { SECRET } from './worlds.js'

const crypto = vi.hoisted(() => ({ calls: [] as string[] }))

vi.mock('node:crypto', async (importOriginal) => {
  const actual = await importOriginal<typeof import('node:crypto')>()
  const counted = Object.fromEntries(
    ['createHmac', 'createHash', 'hash'].map((name) => [
      name,
      (...args: unknown[]) => {
        crypto.calls.push(name)
        return (actual as unknown as Record<string, (...given: unknown[]) => unknown>)[name]?.(
          ...args,
        )
      },
    ]),
  )
  return { ...actual, ...counted }
})

/** The check of a cookie: an HMAC is two hashes. */
const MAC = ['hash', 'hash']

/** Stands in the session data, so that work on them is told from other work. */
const MARKER = 'marker-of-the-session-data'

/** In text that a client has packed the data into, as a string within its own JSON, the quote is escaped. */
const SESSION_DATA = new RegExp(`(?<!\\\\)"${MARKER}`)

/** How often session data were written out as text or read from it. */
const work = { stringify: 0, parse: 0 }

beforeEach(() => {
  const { stringify, parse } = JSON
  vi.spyOn(JSON, 'stringify').mockImplementation((...args: Parameters<typeof stringify>) => {
    const text = stringify(...args)
    if (SESSION_DATA.test(text)) work.stringify += 1
    return text
  })
  vi.spyOn(JSON, 'parse').mockImplementation((...args: Parameters<typeof parse>) => {
    if (SESSION_DATA.test(args[0])) work.parse += 1
    return parse(...args)
  })
})
afterEach(() => void vi.restoreAllMocks())

interface Site {
  readonly store: FaultyStore
  readonly url: string
  readonly clock: ReturnType<typeof movableClock>
  /** Store calls, hashes and work on the data that a request costs. */
  cost(request: () => Promise<unknown>): Promise<Cost>
}

interface Cost {
  readonly store: Readonly<Record<string, number>>
  readonly crypto: readonly string[]
  readonly stringify: number
  readonly parse: number
}

for (const { name, open } of storesUnderTest) {
  describe(name, () => {
    async function site(options: Partial<SessionOptions> = {}): Promise<Site> {
      const store = faultyStore((await open())())
      const clock = movableClock()
      const sessions = session({ secret: SECRET, store: store.store, clock, ...options })
      // What the store is asked at start belongs to no request, and is not asked twice.
      await sessions.check()
      const { url } = await serve(counter(sessions))
      return {
        store,
        url,
        clock,
        async cost(request) {
          store.reset()
          crypto.calls.length = 0
          Object.assign(work, { stringify: 0, parse: 0 })
          await request()
          const called = Object.entries(store.calls).filter(([, times]) => times > 0)
          return { store: Object.fromEntries(called), crypto: [...crypto.calls], ...work }
        },
      }
    }

    async function visitor(url: string): Promise<Client> {
      const browser = createClient(url)
      await browser.post('/write')
      return browser
    }

    const NOTHING: Cost = { store: {}, crypto: [], stringify: 0, parse: 0 }

    test('an anonymous visit costs no store call and no hash, whether it looks at its session or not', async () => {
      const { cost, url } = await site()
      expect(await cost(() => createClient(url).get('/untouched'))).toEqual(NOTHING)
      expect(await cost(() => createClient(url).get('/read'))).toEqual(NOTHING)
      const headers = { cookie: 'theme=dark; sid2=x; _ga=GA1.1.1' }
      expect(await cost(() => createClient(url).get('/read', { headers }))).toEqual(NOTHING)
    })

    test('a malformed cookie costs nothing at all, a forged one its check', async () => {
      const { cost, url } = await site()
      const browser = await visitor(url)
      const get = (cookie: string) => () => createClient(url).get('/read', { headers: { cookie } })
      expect(await cost(get('sid=rubbish'))).toEqual(NOTHING)
      const value = browser.jar.get('sid') as string
      const forged = `${value.slice(0, 40)}${value[40] === 'A' ? 'B' : 'A'}${value.slice(41)}`
      expect(await cost(get(`sid=${forged}`))).toEqual({
        ...NOTHING,
        crypto: MAC,
      })
    })

    test('a cookie on a route that does not look costs one load, and its data are not decoded', async () => {
      const { cost, url } = await site()
      const browser = await visitor(url)
      const { store, stringify, parse } = await cost(() => browser.get('/untouched'))
      expect([store, stringify, parse]).toEqual([{ load: 1 }, 0, 0])
    })

    test('a read costs one call, one check of the cookie, one decoding and no encoding', async () => {
      const { cost, url } = await site()
      const browser = await visitor(url)
      expect(await cost(() => browser.get('/read'))).toEqual({
        store: { load: 1 },
        crypto: [...MAC, 'hash'],
        stringify: 0,
        parse: 1,
      })
    })

    test('a first write is one call, a later one two', async () => {
      const { cost, url } = await site()
      const browser = createClient(url)
      expect((await cost(() => browser.post('/write'))).store).toEqual({ create: 1 })
      expect((await cost(() => browser.post('/write'))).store).toEqual({ load: 1, update: 1 })
      expect((await cost(() => browser.post('/update'))).store).toEqual({ load: 1, update: 1 })
      expect((await cost(() => browser.post('/take'))).store).toEqual({ load: 1, update: 1 })
    })

    test('a value that is assigned again is no write', async () => {
      const { cost, url } = await site()
      const browser = await visitor(url)
      expect((await cost(() => browser.post('/same'))).store).toEqual({ load: 1 })
    })

    test('a sign-in is at most four calls, with the mark that revocation leaves', async () => {
      const { cost, url } = await site()
      const fresh = createClient(url)
      // Redis looks at the mark in the same trip, and is not asked.
      expect((await cost(() => fresh.post('/login?user=ada'))).store).toEqual(
        name.startsWith('redis') ? { create: 1 } : { create: 1, revocationMark: 1 },
      )
      const known = await visitor(url)
      expect((await cost(() => known.post('/login?user=ada'))).store).toEqual({
        load: 1,
        update: 1,
        revocationMark: 1,
      })
      expect((await cost(() => known.post('/login?user=eve'))).store).toEqual({
        load: 1,
        create: 1,
        update: 1,
        revocationMark: 1,
      })
    })

    test('a sign-out is two calls, and one of nobody none', async () => {
      const { cost, url } = await site()
      const browser = await visitor(url)
      expect((await cost(() => browser.post('/logout'))).store).toEqual({ load: 1, delete: 1 })
      expect((await cost(() => browser.post('/logout'))).store).toEqual({})
    })

    test('regenerate is three calls', async () => {
      const { cost, url } = await site()
      const browser = await visitor(url)
      const { store } = await cost(() => browser.post('/regenerate'))
      expect(store).toEqual({ load: 1, create: 1, update: 1 })
    })

    test('last-seen is stored once per tenth of the idle timeout, however many requests come', async () => {
      const { cost, url, clock, store } = await site({ idleTimeout: 1_800_000 })
      const browser = await visitor(url)
      for (let turn = 0; turn < 20; turn++) {
        const { store: calls } = await cost(() => browser.get('/read'))
        expect(calls).toEqual({ load: 1 })
      }
      let touches = 0
      // Half an hour, a request every 18 seconds.
      for (let turn = 0; turn < 100; turn++) {
        clock.advance(18_000)
        const { store: calls } = await cost(() => browser.get('/untouched'))
        touches += calls.touch ?? 0
        expect(calls.update).toBe(undefined)
      }
      expect(touches).toBe(10)
      store.reset()
    })

    test('a response is as many writes to the socket as without a session', async () => {
      const { url: bare } = await serve(counter((_req, _res, next) => next()))
      const plain = await writesFor(bare, '/plain')
      expect(plain).toBe(1)
      const { store } = await site()
      const app = counter(session({ secret: SECRET, store: store.store }))
      const { url } = await serve(app)
      const browser = await visitor(url)
      const cookie = browser.jar.header()
      for (const path of ['/plain', '/read', '/untouched', '/write', '/login?user=ada']) {
        expect([path, await writesFor(url, path, cookie)]).toEqual([path, plain])
      }
    })
  })
}

test('until the session is read, nothing is hooked on the response and the request has one property more', async () => {
  const seen: unknown[] = []
  const sessions = session({ secret: SECRET })
  const handler = (req: IncomingMessage, res: ServerResponse): void => {
    const before = { res: look(res), req: Object.getOwnPropertyNames(req) }
    sessions(req, res, () => {
      expect(look(res)).toEqual(before.res)
      const added = Object.getOwnPropertyNames(req).filter((name) => !before.req.includes(name))
      seen.push(added)
      if (req.url === '/read') {
        void req.session
        seen.push(Object.getOwnPropertyNames(res).includes('end'))
      }
      if (req.url === '/write') Object.assign(req.session, { n: 1 })
      res.end('done')
    })
  }
  const { url } = await serve(handler)
  const browser = createClient(url)
  await browser.get('/untouched')
  await browser.get('/read')
  await browser.get('/write')
  await browser.get('/untouched')
  expect(seen).toEqual([['session'], ['session'], true, ['session'], ['session']])
})

function look(res: ServerResponse): unknown {
  const names = Reflect.ownKeys(res).map(String).sort()
  const listeners = res.eventNames().map((name) => `${String(name)} ${res.listenerCount(name)}`)
  return { names, listeners, methods: [res.write, res.end, res.writeHead, res.flushHeaders] }
}

/** How often the server writes to the socket for one request. */
async function writesFor(url: string, path: string, cookie?: string): Promise<number> {
  const headers = cookie === undefined ? {} : { cookie }
  const { status } = await createClient(url).post(path, { headers })
  expect(status).toBe(200)
  return writes
}

let writes = 0

/** Counts from the beginning of a request what reaches the system. */
function countWrites(socket: Socket): void {
  writes = 0
  const target = socket as unknown as Record<'_write' | '_writev', (...args: unknown[]) => unknown>
  if (Object.hasOwn(target, '_write')) return
  for (const name of ['_write', '_writev'] as const) {
    const write = target[name]
    target[name] = (...args) => {
      writes += 1
      return write.apply(socket, args)
    }
  }
}

type Middleware = (req: IncomingMessage, res: ServerResponse, next: () => void) => void

function counter(sessions: Middleware): Express {
  const app = express()
  app.use((req, _res, next) => {
    countWrites(req.socket)
    next()
  })
  app.use(sessions)
  const route = (
    path: string,
    act: (session: Data, req: IncomingMessage & { query: Data }) => unknown,
  ): void => {
    app.all(path, async (req, res) => {
      await act(req.session as Data, req as never)
      res.send('done')
    })
  }
  app.all(['/plain', '/untouched'], (_req, res) => void res.send('done'))
  route('/read', (found) => found.n)
  route('/write', (found) => {
    found.n = (found.n ?? 0) + 1
    found.text = MARKER
  })
  route('/same', (found) => {
    found.text = MARKER
  })
  route('/update', (found) =>
    found.update((data: Data) => {
      data.n = (data.n ?? 0) + 1
    }),
  )
  route('/take', (found) => found.take('n'))
  route('/login', (found, req) => found.signIn(req.query.user, { data: { text: MARKER } }))
  route('/logout', (found) => found.signOut())
  route('/regenerate', (found) => found.regenerate({ keep: ['text'] }))
  return app
}

// biome-ignore lint/suspicious/noExplicitAny: session data of all kinds
type Data = Record<string, any>
