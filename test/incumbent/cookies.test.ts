import cookieParser from 'cookie-parser'
import express, { type Express, type Request } from 'express'
import incumbentSession from 'express-session'
import { type RejectReason, type SessionOptions, type Sessions, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { faultyStore } from 'staykept/testing'
import { expect, test } from 'vitest'
import { createClient, createJar, exchange, serve } from '../http.js'
import { createApp } from '../processes/app.cjs'
import { visitCalls } from '../visit-calls.js'
import { incumbentWorld, SECRET } from '../worlds.js'

interface Site {
  readonly url: string
  readonly port: number
  readonly sessions: Sessions
  readonly rejected: RejectReason[]
  readonly warnings: string[]
}

async function site(
  options: Partial<SessionOptions> = {},
  prepare: (sessions: Sessions) => Express = createApp,
): Promise<Site> {
  const sessions = session({ secret: SECRET, ...options })
  const rejected: RejectReason[] = []
  const warnings: string[] = []
  sessions.on('rejected', ({ reason }) => rejected.push(reason))
  sessions.on('warning', ({ code }) => warnings.push(code))
  return { sessions, rejected, warnings, ...(await serve(prepare(sessions))) }
}

/** An application that counts visits, with a chance to mount something before the sessions. */
function counter(sessions: Sessions, before: (app: Express) => unknown = () => {}): Express {
  const app = express()
  before(app)
  app.use(sessions)
  app.get('/count', (req, res) => {
    const data = dataOf(req)
    data.n = (data.n ?? 0) + 1
    res.send(String(data.n))
  })
  // biome-ignore lint/suspicious/noExplicitAny: whatever was thrown
  app.use((error: any, _req: Request, res: express.Response, _next: express.NextFunction) => {
    res.status(error.status ?? 500).json({ code: error.code, message: error.message })
  })
  return app
}

function dataOf(req: Request): { n?: number } {
  return req.session as { n?: number }
}

test('the cookie says HttpOnly, SameSite=Lax and Path=/, and no cache may keep the answer (B18)', async () => {
  const { url } = await site()
  const { cookies, headers } = await createClient(url).post('/login')
  expect(cookies).toEqual([
    expect.stringMatching(/^sid=[\w-]{22}\.[\w-]{43}\.[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/),
  ])
  expect(headers['cache-control']).toBe('private, no-store')
})

test('a cookie planted before sign-in opens nothing afterwards (B19)', async () => {
  const { url } = await site()
  const attacker = createClient(url)
  await attacker.post('/begin')
  const victim = createClient(url, attacker.jar.clone())
  await victim.post('/login')
  expect((await victim.get('/me')).text).toBe('ada')
  expect((await attacker.get('/me')).status).toBe(401)
  expect((await attacker.get('/data')).text).toBe('{}')
})

test('express-session signs the planter in too, so this can fail (B19)', async () => {
  const world = await incumbentWorld()
  const attacker = world.browser()
  await attacker.post('/begin')
  await world.browser(attacker.jar.clone()).post('/login')
  expect((await attacker.get('/me')).text).toBe('ada')
  await world.close()
})

test('sign-out clears the cookie, and the old one is dead (B20)', async () => {
  const { url } = await site()
  const browser = createClient(url)
  await browser.post('/login')
  const old = browser.jar.clone()
  const { cookies } = await browser.post('/logout')
  expect(cookies).toEqual(['sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
  expect(browser.jar.header()).toBe('')
  expect((await createClient(url, old).get('/me')).status).toBe(401)
})

test('of two sessions in one browser neither counts, whichever comes first, and both are cleared (B21)', async () => {
  const { url, rejected } = await site()
  const [victim, attacker] = [createClient(url), createClient(url)]
  await victim.post('/login?user=victim')
  await attacker.post('/login?user=attacker')
  const headers = [`${attacker.jar.header()}; ${victim.jar.header()}`]
  headers.push(headers[0]?.split('; ').reverse().join('; ') as string)
  for (const cookie of headers) {
    const tossed = await createClient(url).get('/me', {
      headers: { cookie, host: 'a.shop.example' },
    })
    expect(tossed.status).toBe(401)
    expect(tossed.cookies).toContain('sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax')
    expect(tossed.cookies).toContain(
      'sid=; Max-Age=0; Domain=shop.example; Path=/; HttpOnly; SameSite=Lax',
    )
  }
  expect(rejected).toEqual(['duplicate', 'duplicate'])
})

test('a user with a tossed cookie can sign in again', async () => {
  const { url } = await site()
  const [victim, attacker] = [createClient(url), createClient(url)]
  await victim.post('/login?user=victim')
  await attacker.post('/login?user=attacker')
  victim.jar.store(`sid=${attacker.jar.get('sid')}; Domain=shop.example; Path=/`)
  const init = { headers: { host: 'a.shop.example' } }
  expect((await victim.get('/me', init)).status).toBe(401)
  await victim.post('/login?user=victim', init)
  expect((await victim.get('/me', init)).text).toBe('victim')
})

test('a stale or badly signed cookie in front does not hide the good one', async () => {
  const { url } = await site()
  const stale = createClient(url)
  await stale.post('/login')
  const dead = stale.jar.header()
  await stale.post('/logout')
  const good = createClient(url)
  await good.post('/login')
  for (const first of [dead, `${dead.slice(0, -2)}xx`, 'sid=', 'sid=rubbish']) {
    const cookie = `${first}; ${good.jar.header()}`
    expect((await createClient(url).get('/me', { headers: { cookie } })).text).toBe('ada')
  }
})

test('only the exact name counts: no look-alike blank, other case or quotes (B22)', async () => {
  const { url, port } = await site()
  const browser = createClient(url)
  await browser.post('/login')
  const value = browser.jar.get('sid')
  const send = async (pair: string): Promise<string> => {
    const request = `GET /me HTTP/1.1\r\nHost: x\r\nCookie: ${pair}\r\nConnection: close\r\n\r\n`
    return (await exchange(port, request)).slice(9, 12)
  }
  const blanks = ['\xa0', '\xc2\xa0', '\xe2\x80\x80', '\xef\xbb\xbf', '\x85', '"', '+', '.']
  const wrong = [
    ...blanks.flatMap((blank) => [`${blank}sid=${value}`, `sid${blank}=${value}`]),
    `SID=${value}`,
    `Sid=${value}`,
    `__Host-sid=${value}`,
    `xsid=${value}`,
    `sid=${value}x`,
    `sid="${value}"`,
    `sid=${value?.replaceAll('.', '%2E')}`,
  ]
  for (const pair of wrong) expect([pair, await send(pair)]).toEqual([pair, '401'])
  const right = [`sid=${value}`, ` sid =\t${value} `, `\tsid=${value}`, `a=b; sid=${value};c`]
  for (const pair of right) expect([pair, await send(pair)]).toEqual([pair, '200'])
})

test('a name with __Host- is sent with Secure, or session() refuses it (B25)', async () => {
  const { url } = await site({ name: '__Host-id' })
  const { cookies } = await createClient(url).post('/login')
  expect(cookies[0]).toMatch(/^__Host-id=\S+; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  expect(() => session({ secret: SECRET, name: '__Host-id', cookie: { secure: false } })).toThrow(
    /secure: true/,
  )
})

test('with secure: true and no HTTPS nothing is stored, and the error names trust proxy (B25)', async () => {
  const faulty = faultyStore(memoryStore())
  const options: Partial<SessionOptions> = { store: faulty.store, cookie: { secure: true } }
  const { url } = await site(options, counter)
  const headers = { host: 'shop.example', 'x-forwarded-proto': 'https' }
  const answer = await createClient(url).get('/count', { headers })
  expect(answer.status).toBe(500)
  expect(answer.json()).toEqual({
    code: 'ERR_SESSION_INSECURE',
    message: expect.stringContaining("app.set('trust proxy', 1)"),
  })
  expect(answer.cookies).toEqual([])
  expect(visitCalls(faulty)).toBe(0)
})

test('with trust proxy the same request works', async () => {
  const { url } = await site({ cookie: { secure: true } }, (sessions) =>
    counter(sessions, (app) => app.set('trust proxy', 1)),
  )
  const browser = createClient(url)
  const headers = { host: 'shop.example', 'x-forwarded-proto': 'https' }
  expect((await browser.get('/count', { headers })).cookies[0]).toMatch(/^__Host-sid=.*; Secure;/)
  expect((await browser.get('/count', { headers })).text).toBe('2')
})

test('with secure: true on localhost the cookie is sent, with a warning', async () => {
  const { url, warnings } = await site({ cookie: { secure: true } })
  const { cookies } = await createClient(url).post('/login')
  expect(cookies[0]).toMatch(/^__Host-sid=.*; Secure;/)
  expect(warnings).toEqual(['WARN_SESSION_INSECURE_LOCALHOST'])
})

test('express-session stores the session and sends no cookie, so this can fail (B25)', async () => {
  const store = new incumbentSession.MemoryStore()
  const middleware = incumbentSession({
    secret: SECRET,
    store,
    resave: false,
    saveUninitialized: false,
    cookie: { secure: true },
  })
  const { url } = await serve(createApp(middleware, { isIncumbent: true }))
  const answer = await createClient(url).post('/login')
  expect([answer.status, answer.cookies]).toEqual([200, []])
})

test('a handler that asks for a shared cache does not get it with a cookie on board (B26)', async () => {
  const { url, warnings } = await site({}, (sessions) => {
    const app = createApp(sessions)
    app.get('/cached', (req, res) => {
      dataOf(req).n = 1
      res.set('Cache-Control', 'public, max-age=60').send('cached')
    })
    return app
  })
  const { headers, cookies } = await createClient(url).get('/cached')
  expect(cookies).toHaveLength(1)
  expect(headers['cache-control']).toBe('private, no-store')
  expect(warnings).toEqual(['WARN_SESSION_CACHEABLE'])
})

test('path /admin is not /administrator (B27)', async () => {
  const { url } = await site({ cookie: { path: '/admin' } }, (sessions) => {
    const app = express().use(sessions)
    return app.get(/./, (req, res) => void res.send(typeof req.session))
  })
  const answers: string[] = []
  for (const path of [
    '/admin',
    '/admin/',
    '/admin/users',
    '/admin?a',
    '/administrator',
    '/',
    '/Admin',
  ]) {
    answers.push(`${path} ${(await createClient(url).get(path)).text}`)
  }
  expect(answers).toEqual([
    '/admin object',
    '/admin/ object',
    '/admin/users object',
    '/admin?a object',
    '/administrator undefined',
    '/ undefined',
    '/Admin undefined',
  ])
})

test('a JSON cookie of cookie-parser is an unknown cookie, not an error (B28)', async () => {
  const { url } = await site({}, (sessions) => counter(sessions, (app) => app.use(cookieParser())))
  for (const cookie of ['sid=j:{"a":1}', 'sid=j%3A%7B%22a%22%3A1%7D', 'sid=s:j:{}']) {
    expect((await createClient(url).get('/count', { headers: { cookie } })).text).toBe('1')
  }
})

test('two session() on one store keep their own cookie options', async () => {
  const store = memoryStore()
  const one = session({ secret: SECRET, store, name: 'one', cookie: { httpOnly: false } })
  const two = session({ secret: SECRET, store, name: 'two', cookie: { path: '/b' } })
  const app = express()
  const count = (req: Request, res: express.Response): void => {
    dataOf(req).n = (dataOf(req).n ?? 0) + 1
    res.send(String(dataOf(req).n))
  }
  app.get('/a', one, count)
  app.get('/b', two, count)
  const { url } = await serve(app)
  const browser = createClient(url)
  expect((await browser.get('/a')).cookies[0]).toMatch(/^one=\S+; Path=\/; SameSite=Lax$/)
  expect((await browser.get('/b')).cookies[0]).toMatch(
    /^two=\S+; Path=\/b; HttpOnly; SameSite=Lax$/,
  )
  expect((await browser.get('/a')).text).toBe('2')
  expect((await browser.get('/b')).text).toBe('2')
})

test('a change of cookie.maxAge alone reaches the browser', async () => {
  const { url } = await site({}, (sessions) => {
    const app = createApp(sessions)
    app.post('/remember', (req, res) => {
      req.session.cookie.maxAge = 30 * 24 * 3_600_000
      res.send('remembered')
    })
    return app
  })
  const browser = createClient(url)
  await browser.post('/login')
  expect((await browser.post('/remember')).cookies[0]).toMatch(/^sid=\S+; Max-Age=2592000; Path/)
  expect((await browser.get('/me')).text).toBe('ada')
})

test('after a change of secrets a cookie of the old one still works and is signed anew on the next page', async () => {
  const store = memoryStore()
  const old = await site({ secret: 'o'.repeat(32), store })
  const both = await site({ secret: ['n'.repeat(32), 'o'.repeat(32)], store })
  const next = await site({ secret: 'n'.repeat(32), store })
  const browser = createClient(old.url)
  await browser.post('/login')
  const jar = browser.jar.clone()
  // A call of a script does not: its answer may come after that of a sign-in, with a secret that is dead by then.
  const call = await createClient(both.url, jar).get('/me', { headers: { accept: '*/*' } })
  expect([call.text, call.cookies]).toEqual(['ada', []])
  const page = await createClient(both.url, jar).get('/me', { headers: { accept: 'text/html' } })
  expect([page.text, page.cookies.length]).toEqual(['ada', 1])
  expect((await createClient(next.url, jar).get('/me')).text).toBe('ada')
  expect((await createClient(next.url, browser.jar).get('/me')).status).toBe(401)
})

test('right after destroy the session is there and empty, and what is written to it is a new session', async () => {
  const { url } = await site({}, (sessions) => {
    const app = createApp(sessions)
    app.post('/restart', async (req, res) => {
      const { id } = req.session
      await req.session.destroy()
      dataOf(req).n = 7
      res.json([id === req.session.id, { ...req.session }])
    })
    return app
  })
  const browser = createClient(url)
  await browser.post('/login')
  const old = browser.jar.clone()
  expect((await browser.post('/restart')).json()).toEqual([false, { n: 7 }])
  expect((await browser.get('/data')).json()).toEqual({ n: 7 })
  expect((await createClient(url, old).get('/data')).json()).toEqual({})
})

test('reload after destroy rejects with a code and crashes nothing', async () => {
  const { url } = await site({}, (sessions) => {
    const app = createApp(sessions)
    app.post('/confused', async (req, res) => {
      const kept = req.session
      await kept.destroy()
      const outcome = await kept.reload().then(
        () => 'reloaded',
        (error: { code: string }) => error.code,
      )
      res.send(outcome)
    })
    app.post('/confused-callbacks', (req, res) => {
      const kept = req.session
      kept.destroy(() => kept.reload((error) => res.send((error as { code?: string })?.code)))
    })
    return app
  })
  for (const path of ['/confused', '/confused-callbacks']) {
    const browser = createClient(url)
    await browser.post('/login')
    expect((await browser.post(path)).text).toBe('ERR_SESSION_ENDED')
    expect((await browser.get('/me')).status).toBe(401)
  }
})

test('a session id or cookie value in URL, body or another header is no cookie', async () => {
  const { url } = await site()
  const browser = createClient(url)
  const { id } = (await browser.post('/login')).json()
  const value = browser.jar.get('sid') as string
  const stranger = createClient(url, createJar())
  for (const token of [value, id]) {
    expect((await stranger.get(`/me?sid=${token}`)).status).toBe(401)
    expect((await stranger.get(`/me;sid=${token}`)).status).toBe(404)
    for (const name of ['authorization', 'x-session', 'sid', 'cookie2', 'x-cookie']) {
      const headers = { [name]: `sid=${token}` }
      expect((await stranger.get('/me', { headers })).status).toBe(401)
    }
  }
})
