import http from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import Database from 'libsql'
import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { answerBrokenRequests } from '../../examples/shop/src/broken-requests.js'
import { type Answer, createClient, exchange, serve } from '../http.js'
import { openTestShop, type Visitor, visitor } from './shop.js'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

test('of all that a browser can say of where a post comes from, only this site passes', async () => {
  const shop = await openTestShop()
  const other = new URL(shop.url).port === '1' ? 2 : 1
  const origins = [
    shop.url,
    undefined,
    'null',
    '',
    'https://evil.example',
    `${shop.url}.evil.example`,
    `${shop.url}/`,
    shop.url.replace('http:', 'https:'),
    `http://127.0.0.1:${other}`,
  ]
  const passed: unknown[] = []
  for (const site of [
    'same-origin',
    'same-site',
    'cross-site',
    'none',
    'SAME-ORIGIN',
    '',
    undefined,
  ]) {
    for (const origin of origins) {
      const answer = await visitor(shop).post('/cart', {
        headers: {
          ...FORM,
          ...(site === undefined ? {} : { 'sec-fetch-site': site }),
          ...(origin === undefined ? {} : { origin }),
        },
        body: 'product=moon-jar',
      })
      expect([303, 403]).toContain(answer.status)
      expect(answer.cookies).toHaveLength(answer.status === 303 ? 1 : 0)
      if (answer.status === 303) passed.push([site, origin])
    }
  }
  expect(passed).toEqual([
    ...origins.map((origin) => ['same-origin', origin]),
    [undefined, shop.url],
  ])
})

test('the token of the forms is in no address and no cookie, and no form that is a link sends it', async () => {
  const shop = await openTestShop()
  const morgan = visitor(shop)
  const signedIn = await morgan.signIn(DEMO_ADMIN.email, DEMO_ADMIN.password)
  for (const path of ['/', '/cart', '/dashboard', '/devices', '/profile', '/password', '/admin']) {
    const { text, headers } = await morgan.get(path)
    const tokens = [...text.matchAll(/name="csrf" value="([^"]+)"/g)].map(([, token]) => token!)
    expect(tokens.length, path).toBeGreaterThan(0)
    expect(text.match(/(?:href|src|action)="[^"]*csrf/), path).toBeNull()
    for (const form of text.match(/<form method="get".*?<\/form>/gs) ?? []) {
      expect(form).not.toContain('csrf')
    }
    for (const token of tokens) expect(JSON.stringify(headers)).not.toContain(token)
    expect(tokens).not.toContain(morgan.jar.get('sid'))
  }
  const query = await morgan.post(`/cart?csrf=${await morgan.token()}`, {
    headers: { ...FORM, origin: shop.url },
    body: 'product=moon-jar',
  })
  expect([query.status, signedIn.status]).toEqual([403, 303])
})

test('no answer with a cookie in it may be kept by a cache', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const answers = [
    await ada.add('moon-jar'),
    await ada.signIn(),
    await ada.submit('/confirm', { password: DEMO.password }),
    await ada.submit('/sign-out'),
  ]
  for (const { cookies, headers } of answers) {
    expect(cookies).toHaveLength(1)
    expect(headers['cache-control']).toContain('no-store')
  }
})

test('who asks for JSON is told so also by the limits', async () => {
  const shop = await openTestShop()
  const eve = visitor(shop)
  const guess = { email: DEMO.email, password: 'a wrong guess of mine' }
  for (let i = 0; i < 10; i += 1) await eve.submit('/sign-in', guess)
  const json = await eve.submit('/sign-in', guess, { accept: 'application/json' })
  expect([json.status, json.json().error.status]).toEqual([429, 429])
  const page = await eve.submit('/sign-in', guess)
  expect([page.status, page.text.includes('A short pause, please')]).toEqual([429, true])
})

test('another site cannot sign a visitor in', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const answer = await ada.post('/sign-in', {
    headers: { ...FORM, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
    body: new URLSearchParams({ email: DEMO.email, password: DEMO.password }).toString(),
  })
  expect([answer.status, answer.cookies]).toEqual([403, []])
})

test('who is signed in must send the token of this sign-in', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const other = visitor(shop)
  await ada.signIn()
  const old = await ada.token()
  await ada.submit('/sign-out')
  await ada.signIn()
  await other.signIn()

  const good = await ada.token()
  expect(await ada.token()).not.toBe(good)
  for (const csrf of [
    '',
    old,
    await other.token(),
    good.slice(0, -1),
    `${good}x`,
    good.split('.')[1]!,
    'x'.repeat(10_000),
  ]) {
    expect((await ada.submit('/cart', { product: 'moon-jar', csrf: csrf || '-' })).status).toBe(403)
  }
  const twice = await ada.post('/cart', {
    headers: { ...FORM, origin: shop.url },
    body: `product=moon-jar&csrf=${good}&csrf=${good}`,
  })
  expect(twice.status).toBe(403)
  expect(await ada.cart()).toEqual({})
  expect((await ada.submit('/cart', { product: 'moon-jar', csrf: good })).status).toBe(303)
})

test('a page from before the sign-in is refused with a way back to itself', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const answer = await ada.submit(
    '/cart',
    { product: 'moon-jar', csrf: 'stale' },
    { referer: `${shop.url}/products/moon-jar` },
  )
  expect(answer.status).toBe(403)
  expect(answer.text).toContain('href="/products/moon-jar">Open the page again')
})

test('security headers stand on every answer, errors included', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const other = new Database(`${shop.dataDir}/sessions.db`)
  const answers = new Map<string, Answer>()
  for (const path of ['/', '/cart', '/sign-in', '/nowhere', '/api/me', '/style.css', '/healthz']) {
    answers.set(path, await ada.get(path))
  }
  await ada.signIn()
  for (const path of ['/dashboard', '/profile', '/devices', '/admin', '/sign-out']) {
    answers.set(path, await ada.get(path))
  }
  answers.set('403', await ada.submit('/cart', { csrf: 'x' }))
  answers.set('413', await ada.submit('/cart', { product: 'x'.repeat(30_000) }))
  other.exec('BEGIN IMMEDIATE')
  answers.set('503', await ada.add('moon-jar'))
  other.exec('ROLLBACK')
  other.close()
  const db = new Database(`${shop.dataDir}/shop.db`)
  db.exec('ALTER TABLE accounts RENAME TO gone')
  db.close()
  answers.set('500', await ada.get('/dashboard'))
  expect(['403', '413', '503', '500'].map((name) => answers.get(name)!.status)).toEqual([
    403, 413, 503, 500,
  ])
  for (const [path, { headers }] of answers) {
    expect(headers['content-security-policy'], path).toMatch(
      /^default-src 'none';script-src 'nonce-[^']{24}';style-src 'nonce-[^']{24}';.*frame-ancestors 'none';object-src 'none';base-uri 'none'$/,
    )
    expect(headers, path).toMatchObject({
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
    })
    expect(headers['x-powered-by'], path).toBeUndefined()
  }
  for (const [path, { text, status }] of answers) {
    if (status >= 400 && !path.startsWith('/api')) expect(text, path).toContain('</html>')
  }
})

test('each page has a nonce of its own, and only its own script and style sheet have it', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  await ada.add('moon-jar')
  const seen = new Set<string>()
  const paths = [
    '/',
    '/products/moon-jar',
    '/cart',
    '/dashboard',
    '/profile',
    '/password',
    '/nowhere',
  ]
  for (const path of paths) {
    const { text, headers } = await ada.get(path)
    const [, nonce] = /script-src 'nonce-([^']+)'/.exec(String(headers['content-security-policy']))!
    seen.add(nonce!)
    expect(text.match(/<script[^>]*>/g), path).toEqual([
      `<script type="module" src="/shop.js" nonce="${nonce}">`,
      `<script type="module" src="/live.js" nonce="${nonce}">`,
    ])
    expect(text.split(nonce!).length - 1, path).toBe(3)
    expect(text, path).not.toMatch(/<style|\sstyle=|\son\w+=/)
  }
  expect(seen.size).toBe(paths.length)
})

test('guessing a password is slowed down, without locking out the owner elsewhere', async () => {
  const shop = await openTestShop({ TRUST_PROXY: '1' })
  const from = (address: string) => ({ 'x-forwarded-for': address })
  const guess = (visitor: Visitor, password: string, address: string) =>
    visitor.submit('/sign-in', { email: DEMO.email, password }, from(address))
  const eve = visitor(shop)
  const answers = await Promise.all(
    Array.from({ length: 15 }, (_, i) => guess(eve, `wrong guess number ${i}`, '203.0.113.7')),
  )
  const counts = (status: number): number => answers.filter((one) => one.status === status).length
  expect([counts(401), counts(429)]).toEqual([10, 5])

  const refused = await guess(eve, DEMO.password, '203.0.113.7')
  expect(refused.status).toBe(429)
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  expect((await guess(visitor(shop), DEMO.password, '198.51.100.4')).status).toBe(303)
})

test('an endless password is refused without being hashed', async () => {
  const shop = await openTestShop()
  const answer = await visitor(shop).signIn(DEMO.email, 'x'.repeat(15_000))
  expect(answer.status).toBe(401)
  expect((await visitor(shop).signIn(DEMO.email, 'x'.repeat(30_000))).status).toBe(413)
})

test('an address below a page is no page', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const pages = ['/dashboard', '/devices', '/cart', '/profile', '/password', '/api/me', '/sign-in']
  for (const page of pages) {
    for (const suffix of ['/x.css', '/x.js', '.css', '%2Fx.png', '/%2e%2e%2fx.css', ';x.css']) {
      const { status, headers, text } = await ada.get(page + suffix)
      expect([status, headers['cache-control']], page + suffix).toEqual([404, 'no-store'])
      expect(text, page + suffix).not.toContain(DEMO.email)
    }
  }
})

test.each([
  ['text/html', 'text/html; charset=utf-8'],
  ['application/json', 'application/json; charset=utf-8'],
  ['*/*', 'text/html; charset=utf-8'],
])('who accepts %s gets an error as %s', async (accept, type) => {
  const shop = await openTestShop()
  const answer = await visitor(shop).get('/nowhere', { headers: { accept } })
  expect([answer.status, answer.headers['content-type']]).toEqual([404, type])
})

test('a body that cannot be read is 400, one too long is 413', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const headers = { origin: shop.url, 'content-type': 'application/json' }
  const broken = await ada.post('/api/cart', { headers, body: '{"product":' })
  expect([broken.status, broken.json().error.status]).toEqual([400, 400])
  const long = await ada.post('/api/cart', { headers, body: { product: 'x'.repeat(30_000) } })
  expect(long.status).toBe(413)
})

test('signing out tells the browser to forget what it kept of the pages', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const answer = await ada.submit('/sign-out')
  expect(answer.headers['clear-site-data']).toBe('"cache", "storage"')
  expect(answer.cookies).toHaveLength(1)
  expect(answer.cookies[0]).toMatch(/^sid=; .*Max-Age=0/)
})

test.each(['GET', 'PUT', 'DELETE', 'HEAD'])('%s /sign-out signs nobody out', async (method) => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const headers = { origin: shop.url, 'x-csrf-token': await ada.token() }
  const answer = await ada.request('/sign-out', { method, headers })
  expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
  expect((await ada.get('/dashboard')).status).toBe(200)
})

test('a browser with too many cookies is told to drop them, and is back with its next request', async () => {
  const shop = await openTestShop()
  const server = http.createServer(shop.app)
  answerBrokenRequests(server)
  const { port, url } = await serve(server)
  const answer = await exchange(
    port,
    `GET / HTTP/1.1\r\nHost: x\r\nCookie: a=${'x'.repeat(17_000)}\r\n\r\n`,
  )
  expect(answer).toMatch(/^HTTP\/1\.1 431 .*\r\nClear-Site-Data: "cookies"\r\n\r\n/s)
  expect(await exchange(port, 'GET\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 (?!.*Clear-Site-Data)/s)
  expect((await createClient(url).get('/')).status).toBe(200)
})

test('a cookie that was planted before the sign-in opens nothing after it', async () => {
  const shop = await openTestShop()
  const thief = visitor(shop)
  await thief.add('moon-jar')
  const victim = visitor(shop, createClient(shop.url, thief.jar.clone()))
  await victim.signIn()
  expect((await victim.get('/dashboard')).status).toBe(200)
  expect((await thief.get('/dashboard')).status).toBe(303)
})

test('registering a known address, asking or failing does not sign anyone in', async () => {
  const shop = await openTestShop()
  const eve = visitor(shop)
  await eve.submit('/register', { ...DEMO, password: 'eleven loud whistles' })
  await eve.signIn(DEMO.email, 'eleven loud whistles')
  await eve.submit('/confirm', { password: DEMO.password })
  await eve.submit('/password', { current: DEMO.password, new: 'eleven loud whistles' })
  for (const path of ['/dashboard', '/devices', '/profile', '/password', '/confirm', '/admin']) {
    expect((await eve.get(path)).headers.location, path).toMatch(/^\/sign-in\?return=/)
  }
  expect((await eve.get('/api/me')).status).toBe(401)
})

test.each([
  ['of another shop', (value: string) => `${value.slice(0, -4)}AAAA`],
  ['without a tag', (value: string) => value.split('.').slice(0, 2).join('.')],
  ['with another secret', (value: string) => value.replace(/\.[^.]+\./, `.${'A'.repeat(43)}.`)],
  ['that is only the public id', (value: string) => value.split('.')[0]!],
  ['that is empty', () => ''],
])('a cookie %s is nobody, and is not an error', async (_, change) => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const eve = createClient(shop.url)
  eve.jar.store(`sid=${change(ada.jar.get('sid')!)}; Path=/`)
  expect((await eve.get('/dashboard')).headers.location).toMatch(/^\/sign-in/)
  expect((await eve.get('/')).status).toBe(200)
  expect((await ada.get('/dashboard')).status).toBe(200)
})

test('a flood of sign-ins waits in line or is turned away, while pages are served', async () => {
  const shop = await openTestShop({ TRUST_PROXY: '1' })
  const flood = Array.from({ length: 150 }, (_, i) =>
    visitor(shop).post('/sign-in', {
      headers: { ...FORM, origin: shop.url, 'x-forwarded-for': `203.0.113.${i}` },
      body: new URLSearchParams({ email: DEMO.email, password: `wrong ${i}` }).toString(),
    }),
  )
  await pause(50)
  const before = process.memoryUsage().rss
  const page = await visitor(shop).get('/')
  expect(page.status).toBe(200)
  // The owner, from elsewhere and in the middle of it, comes through with a few tries.
  const began = Date.now()
  const owner = visitor(shop)
  while ((await owner.signIn()).status !== 303) await pause(250)
  expect(Date.now() - began).toBeLessThan(30_000)
  const answers = await Promise.all(flood)
  const turnedAway = answers.filter(({ status }) => status === 503)
  expect(turnedAway.length).toBeGreaterThan(10)
  expect(turnedAway[0]!.headers['retry-after']).toBe('5')
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(150 - turnedAway.length)
  // A few hashes of 19 MiB at a time, not 150 of them.
  expect(process.memoryUsage().rss - before).toBeLessThan(400 * 2 ** 20)
})
