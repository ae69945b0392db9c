import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import cookieParser from 'cookie-parser'
import express, { type RequestHandler } from 'express'
import { type SessionOptions, type SessionStore, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { faultyStore, movableClock } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { createClient, exchange, serve } from '../http.js'
import { visitCalls } from '../visit-calls.js'
import { cert, key } from './certificate.js'
import { http2Face, nodeFace } from './faces.js'
import { type Loose, SECRET, setUp } from './stores.js'

const VALUE = '[\\w-]{22}\\.[\\w-]{43}\\.[\\w-]{22}'

interface Site {
  readonly isTls?: boolean
  readonly trustProxy?: unknown
  readonly store?: SessionStore
  readonly first?: RequestHandler
}

/** `/` writes to the session, `/read` reads it, `/sign-out` ends it. */
async function site(options: Partial<SessionOptions> = {}, setting: Site = {}) {
  const { isTls = false, trustProxy, store = memoryStore(), first } = setting
  const sessions = session({ secret: SECRET, store, ...options })
  const warnings: string[] = []
  sessions.on('warning', ({ code }) => warnings.push(code))
  const app = express()
  if (trustProxy !== undefined) app.set('trust proxy', trustProxy)
  if (first !== undefined) app.use(first)
  app.use(sessions)
  app.get('/', (req, res) => {
    ;(req.session as Loose).value = 'kept'
    res.send('done')
  })
  app.get('/read', (req, res) => void res.json((req.session as Loose).value ?? null))
  app.get('/sign-out', async (req, res) => {
    await req.session.signOut()
    res.send('done')
  })
  app.use(((error, _req, res, _next) => {
    res.status(error.status ?? 500).json({ code: error.code, message: error.message })
  }) satisfies express.ErrorRequestHandler)
  const served = await serve(isTls ? https.createServer({ key, cert }, app) : app)
  return { ...served, sessions, warnings, client: createClient(served.url) }
}

describe('the bytes of Set-Cookie', () => {
  const cases: readonly [
    name: string,
    options: Partial<SessionOptions>,
    http: string | undefined,
    https: string,
  ][] = [
    [
      'by default',
      {},
      `sid=${VALUE}; Path=/; HttpOnly; SameSite=Lax`,
      `__Host-sid=${VALUE}; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      'with a path',
      { cookie: { path: '/' } },
      `sid=${VALUE}; Path=/; HttpOnly; SameSite=Lax`,
      `__Host-sid=${VALUE}; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      'with a domain',
      { cookie: { domain: 'example.com' } },
      `sid=${VALUE}; Domain=example.com; Path=/; HttpOnly; SameSite=Lax`,
      `__Secure-sid=${VALUE}; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      'with a name',
      { name: 'shop' },
      `shop=${VALUE}; Path=/; HttpOnly; SameSite=Lax`,
      `shop=${VALUE}; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      'with maxAge, kept by the browser for the absolute timeout',
      { cookie: { maxAge: 60_000 }, absoluteTimeout: 3_600_000 },
      `sid=${VALUE}; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax`,
      `__Host-sid=${VALUE}; Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      'with an age beyond what browsers keep',
      { cookie: { maxAge: 500 * 86_400_000 } },
      `sid=${VALUE}; Max-Age=34560000; Path=/; HttpOnly; SameSite=Lax`,
      `__Host-sid=${VALUE}; Max-Age=34560000; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ],
    [
      'never secure',
      { cookie: { secure: false, sameSite: 'strict', priority: 'high' } },
      `sid=${VALUE}; Path=/; HttpOnly; SameSite=Strict; Priority=High`,
      `sid=${VALUE}; Path=/; HttpOnly; SameSite=Strict; Priority=High`,
    ],
    [
      'for pages inside other sites',
      { cookie: { secure: true, sameSite: 'none', partitioned: true } },
      `__Host-sid=${VALUE}; Path=/; HttpOnly; Secure; SameSite=None; Partitioned`,
      `__Host-sid=${VALUE}; Path=/; HttpOnly; Secure; SameSite=None; Partitioned`,
    ],
    [
      'for scripts, from any site',
      { cookie: { httpOnly: false, sameSite: false } },
      `sid=${VALUE}; Path=/`,
      `__Host-sid=${VALUE}; Path=/; Secure`,
    ],
  ]
  for (const [name, options, onHttp, onHttps] of cases) {
    for (const isTls of [false, true]) {
      test(`${name}, over ${isTls ? 'HTTPS' : 'HTTP'}`, async () => {
        const { client } = await site(options, { isTls })
        const { cookies } = await client.get('/')
        expect(cookies).toEqual([
          expect.stringMatching(new RegExp(`^${isTls ? onHttps : onHttp}$`)),
        ])
        expect((await client.get('/read')).json()).toBe('kept')
        expect((await client.get('/')).cookies).toEqual([])
      })

      test(`${name}, over ${isTls ? 'HTTPS' : 'HTTP'}: signing out clears with the same attributes`, async () => {
        const { client } = await site(options, { isTls })
        const [set = ''] = (await client.get('/')).cookies
        const [clear] = (await client.get('/sign-out')).cookies
        const attributes = set.replace(/^[^;]*/, '').replace(/; Max-Age=\d+/, '')
        expect(clear).toBe(`${set.slice(0, set.indexOf('='))}=; Max-Age=0${attributes}`)
        expect(client.jar.header()).toBe('')
      })
    }
  }

  test('one cookie, whatever was done to the session in one request', async () => {
    const { sessions } = await setUp()
    const { url } = await serve((req, res) =>
      sessions(req, res, () => void busy(req).then(() => res.end())),
    )
    async function busy(req: IncomingMessage): Promise<void> {
      ;(req.session as Loose).value = 1
      await req.session.save()
      await req.session.signIn('ada')
      req.session.cookie.maxAge = 60_000
      await req.session.regenerate()
      ;(req.session as Loose).value = 2
      await req.session.touch()
      await req.session.signIn('bob', { keep: ['value'] })
    }
    expect((await createClient(url).get('/')).cookies).toHaveLength(1)
  })

  test('a change of cookie.maxAge tells the browser at once, and null takes it back', async () => {
    const { sessions } = await setUp({ absoluteTimeout: 7_200_000 })
    const { url } = await serve((req, res) =>
      sessions(req, res, () => {
        if (req.url === '/start') (req.session as Loose).value = 1
        else req.session.cookie.maxAge = req.url === '/keep' ? 60_000 : null
        res.end(String(req.session.cookie.maxAge))
      }),
    )
    const client = createClient(url)
    expect((await client.get('/start')).cookies[0]).not.toContain('Max-Age')
    expect((await client.get('/keep')).cookies[0]).toContain('; Max-Age=7200;')
    expect((await client.get('/drop')).cookies[0]).not.toContain('Max-Age')
  })

  test('does not depend on the clock of the server: an hour behind, the browser keeps it', async () => {
    const clock = movableClock()
    clock.advance(-3_600_000)
    const { client } = await site({ clock, cookie: { maxAge: 1_800_000 } })
    const [line = ''] = (await client.get('/')).cookies
    expect(line).toContain('; Max-Age=43200;')
    expect(line).not.toContain('Expires')
  })
})

describe('a secure request', () => {
  const forwarded = { 'x-forwarded-proto': 'https' }

  test('is believed by trust proxy, or by proxy: true; not without', async () => {
    for (const [options, setting, name] of [
      [{}, { trustProxy: 1 }, '__Host-sid'],
      [{ proxy: true }, {}, '__Host-sid'],
      [{ proxy: false }, { trustProxy: 1 }, 'sid'],
      [{}, {}, 'sid'],
    ] as const) {
      const { client } = await site(options, setting)
      const [line] = (await client.get('/', { headers: forwarded })).cookies
      expect(line?.split('=')[0]).toBe(name)
      expect(line?.includes('Secure')).toBe(name === '__Host-sid')
      expect((await client.get('/read', { headers: forwarded })).json()).toBe('kept')
    }
  })

  test('that nobody believes is warned about once, with the setting to change', async () => {
    const { url, sessions, warnings } = await site()
    const messages: string[] = []
    sessions.on('warning', ({ message }) => messages.push(message))
    for (let count = 0; count < 3; count++) {
      await createClient(url).get('/', { headers: forwarded })
    }
    expect(warnings).toEqual(['WARN_SESSION_TRUST_PROXY'])
    expect(messages[0]).toContain("app.set('trust proxy', 1)")
  })

  test('does not read the cookie of an insecure one, nor the other way round', async () => {
    const { client, url } = await site({}, { trustProxy: 1 })
    await client.get('/')
    const value = client.jar.get('sid')
    const other = createClient(url)
    const headers = { ...forwarded, cookie: `sid=${value}` }
    expect((await other.get('/read', { headers })).json()).toBeNull()
    const named = { cookie: `__Host-sid=${value}` }
    expect((await other.get('/read', { headers: named })).json()).toBeNull()
    expect((await other.get('/read', { headers: { ...forwarded, ...named } })).json()).toBe('kept')
  })
})

test('HTTP/2 over TLS is secure, and on this machine HTTP/2 without it may do', async () => {
  const asked = async (server: http2.Http2Server | http2.Http2SecureServer, scheme: string) => {
    const { sessions } = await setUp({ cookie: { secure: true } })
    server.on('request', (req, res) => {
      const [incoming, outgoing] = [req as unknown, res as unknown]
      sessions(incoming as IncomingMessage, outgoing as ServerResponse, () => {
        ;((incoming as IncomingMessage).session as Loose).value = 1
        res.end()
      })
    })
    const warnings: string[] = []
    sessions.on('warning', ({ code }) => warnings.push(code))
    const { port } = await serve(server)
    const client = http2.connect(`${scheme}://localhost:${port}`, { rejectUnauthorized: false })
    const [headers] = await once(client.request({}), 'response')
    client.close()
    return [headers['set-cookie'][0].split('=')[0], warnings]
  }
  expect(await asked(http2.createSecureServer({ key, cert }), 'https')).toEqual(['__Host-sid', []])
  expect(await asked(http2.createServer(), 'http')).toEqual([
    '__Host-sid',
    ['WARN_SESSION_INSECURE_LOCALHOST'],
  ])
})

describe('cookie.secure: true over HTTP', () => {
  test('works on this machine, with one warning', async () => {
    for (const host of ['localhost:3000', '127.0.0.1', '[::1]:3000', 'shop.localhost']) {
      const { client, warnings } = await site({ cookie: { secure: true } })
      const headers = { host }
      expect((await client.get('/', { headers })).cookies[0]).toMatch(/^__Host-sid=.*; Secure/)
      expect((await client.get('/read', { headers })).json()).toBe('kept')
      expect(warnings).toEqual(['WARN_SESSION_INSECURE_LOCALHOST'])
    }
  })

  test('fails elsewhere, names trust proxy, and stores nothing', async () => {
    const faulty = faultyStore(memoryStore())
    const { client } = await site({ cookie: { secure: true } }, { store: faulty.store })
    for (const headers of [
      { host: 'shop.example.com' },
      { host: 'shop.example.com', 'x-forwarded-proto': 'https' },
      { host: 'localhost', 'x-forwarded-proto': 'https' },
      { host: 'localhost.example.com' },
    ] as Record<string, string>[]) {
      const answer = await client.get('/', { headers })
      expect([answer.status, answer.json().code]).toEqual([500, 'ERR_SESSION_INSECURE'])
      expect(answer.json().message).toContain("app.set('trust proxy', 1)")
      expect(answer.cookies).toEqual([])
      expect((await client.get('/read', { headers })).status).toBe(200)
    }
    expect(faulty.calls.create).toBe(0)
  })
})

describe('Cache-Control beside Set-Cookie', () => {
  const cases: readonly [given: string | undefined, sent: string, isWarned: boolean][] = [
    [undefined, 'private, no-store', false],
    ['public, max-age=60', 'private, no-store', true],
    ['max-age=60', 'private, no-store', true],
    ['s-maxage=60', 'private, no-store', true],
    ['public, max-age=0', 'private, no-store', false],
    ['no-cache', 'private, no-store', false],
    ['private', 'private, no-store', false],
    ['no-store', 'no-store', false],
    ['No-Store, no-transform', 'No-Store, no-transform', false],
  ]
  for (const [given, sent, isWarned] of cases) {
    for (const form of ['setHeader', 'writeHead']) {
      test(`${given ?? 'none'} by ${form} becomes ${sent}`, async () => {
        const { sessions } = await setUp()
        const warnings: string[] = []
        sessions.on('warning', ({ code }) => warnings.push(code))
        const { url } = await serve((req, res) =>
          sessions(req, res, () => {
            if (req.url === '/') (req.session as Loose).value = 1
            const headers = given === undefined ? {} : { 'Cache-Control': given }
            if (form === 'writeHead') res.writeHead(200, headers)
            else for (const value of Object.values(headers)) res.setHeader('cache-control', value)
            res.end(String((req.session as Loose).value))
          }),
        )
        const client = createClient(url)
        expect((await client.get('/')).headers['cache-control']).toBe(sent)
        expect(warnings).toEqual(isWarned ? ['WARN_SESSION_CACHEABLE'] : [])
        // Without a cookie it is the handler's own affair.
        expect((await client.get('/read')).headers['cache-control']).toBe(given)
      })
    }
  }
})

describe('the cookies of the application', () => {
  const own = ['a=1; Path=/', 'b=2; Path=/']
  const forms: Record<string, (res: ServerResponse) => void> = {
    'setHeader with a list': (res) => void res.setHeader('Set-Cookie', own),
    appendHeader: (res) => {
      for (const line of own) res.appendHeader('Set-Cookie', line)
    },
    'writeHead with an object': (res) => void res.writeHead(200, { 'Set-Cookie': own }),
    'writeHead with an object in lower case': (res) =>
      void res.writeHead(200, { 'set-cookie': own }),
    'writeHead with a reason and an object': (res) =>
      void res.writeHead(200, 'Fine', { 'Set-Cookie': own }),
    'writeHead with an object and undefined': (res) =>
      void res.writeHead(200, { 'Set-Cookie': own } as never, undefined as never),
    'writeHead with a flat list': (res) =>
      void res.writeHead(200, [
        'Set-Cookie',
        own[0],
        'X-Own',
        'yes',
        'set-cookie',
        own[1],
      ] as never),
    'writeHead with a flat list of lists': (res) =>
      void res.writeHead(200, ['Set-Cookie', own] as never),
    'writeHead with pairs': (res) =>
      void res.writeHead(200, own.map((line) => ['Set-Cookie', line]) as never),
    'writeHead with pairs of lists': (res) =>
      void res.writeHead(200, [['Set-Cookie', own]] as never),
    'setHeader, then writeHead with something else': (res) => {
      res.setHeader('Set-Cookie', own)
      res.writeHead(200, { 'X-Own': 'yes' })
    },
  }
  for (const face of [nodeFace, http2Face]) {
    for (const pace of [0, 5]) {
      for (const [form, set] of Object.entries(forms)) {
        test(`${face.name}: set by ${form}, they come first and ours comes with them, on a store ${pace} ms away`, async () => {
          const { sessions, faulty, read } = await setUp()
          if (pace > 0) faulty.slow(pace)
          const running = await face.start(sessions, (req, res) => {
            ;(req.session as Loose).value = 'kept'
            set(res)
            res.end('done')
          })
          const reply = await running.ask()
          expect(reply.headers['set-cookie']?.slice(0, 2)).toEqual(own)
          expect(reply.headers['set-cookie']).toHaveLength(3)
          expect(reply.headers['cache-control']).toBe('private, no-store')
          expect(await read(reply.cookie)).toBe('kept')
          expect((await reply.body()).isWhole).toBe(true)
        })
      }
    }
  }

  test('never two of our name: what the application set under it is left out', async () => {
    const { sessions } = await setUp()
    const { url } = await serve((req, res) =>
      sessions(req, res, () => {
        ;(req.session as Loose).value = 1
        res.setHeader('Set-Cookie', ['sid=mine', 'sidecar=stays'])
        res.end()
      }),
    )
    const { cookies } = await createClient(url).get('/')
    expect(cookies.map((line) => line.slice(0, 7))).toEqual(['sidecar', expect.any(String)])
    expect(cookies).toHaveLength(2)
  })
})

describe('a Cookie header', () => {
  async function asked(cookie: (value: string) => string, options = {}): Promise<string> {
    const { client, port } = await site(options)
    await client.get('/')
    const value = client.jar.get('sid') as string
    const head = 'GET /read HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
    const text = await exchange(port, `${head}Cookie: ${cookie(value)}\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1.1 200 /)
    return text.split('\r\n\r\n')[1] ?? ''
  }

  const matching: Record<string, (value: string) => string> = {
    alone: (value) => `sid=${value}`,
    'among others': (value) => `a=1; sid=${value}; b=2`,
    'without spaces': (value) => `a=1;sid=${value};b=2`,
    'with spaces and tabs around': (value) => `a=1; \t sid \t=\t ${value} \t; b=2`,
    'beside a cookie that is not one': (value) => `;;=;x;sid=${value};sid`,
    'after $Version': (value) => `$Version=1; sid=${value}`,
  }
  for (const [name, cookie] of Object.entries(matching)) {
    test(`has our cookie ${name}`, async () => {
      expect(await asked(cookie)).toBe('"kept"')
    })
  }

  const others: Record<string, (value: string) => string> = {
    'after U+00A0 in Latin-1': (value) => `\xa0sid=${value}`,
    'after U+00A0 in UTF-8': (value) => `\xc2\xa0sid=${value}`,
    'after U+2000': (value) => `\xe2\x80\x80sid=${value}`,
    'after a byte order mark': (value) => `\xef\xbb\xbfsid=${value}`,
    'in capitals': (value) => `SID=${value}`,
    'percent-encoded': (value) => `%73id=${value}`,
    'with a quoted value': (value) => `sid="${value}"`,
    'with a value that is encoded once more': (value) => `sid=${value.replaceAll('.', '%2E')}`,
    'with more behind it': (value) => `sid=${value}.${value}`,
    'with another prefix': (value) => `xsid=${value}; sidx=${value}`,
    'inside another cookie': (value) => `a="; sid=${value}"`,
    'as an object of cookie-parser': () => 'sid=j:{"a":1}',
    'as one very long text': () => `sid=${'x'.repeat(7000)}`,
    'as nothing': () => 'sid=',
  }
  for (const [name, cookie] of Object.entries(others)) {
    test(`does not have it ${name}, and nothing breaks`, async () => {
      expect(await asked(cookie)).toBe('null')
    })
  }

  test('is read by us, whatever cookie-parser made of it', async () => {
    const { client } = await site({}, { first: cookieParser(SECRET) as RequestHandler })
    await client.get('/')
    expect((await client.get('/read')).json()).toBe('kept')
    for (const cookie of ['sid=j:{"a":1}', 'sid=j:[1]', 'sid=s:x.y', 'sid=s:j:{}', 'sid=%']) {
      const answer = await client.get('/read', { headers: { cookie } })
      expect([answer.status, answer.json()]).toEqual([200, null])
    }
  })

  test('of a million bytes of names costs no store call', async () => {
    const faulty = faultyStore(memoryStore())
    const { client } = await site({}, { store: faulty.store })
    const cookie = Array.from({ length: 700 }, (_, index) => `sid${index}=x; sid=${index}`).join(
      '; ',
    )
    expect((await client.get('/read', { headers: { cookie } })).status).toBe(200)
    expect(visitCalls(faulty)).toBe(0)
  })
})
