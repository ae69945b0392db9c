import { expect, test } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'
import { openTestShop, type Visitor, visitor } from './shop.js'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

test.each([
  ['same-origin', undefined, true],
  ['same-origin', 'https://evil.example', true],
  ['same-site', 'HERE', false],
  ['cross-site', 'HERE', false],
  ['none', undefined, false],
  [undefined, 'HERE', true],
  [undefined, 'https://evil.example', false],
  [undefined, 'HERE.evil.example', false],
  [undefined, 'null', false],
  [undefined, undefined, false],
])('a post with Sec-Fetch-Site %s and Origin %s', async (site, origin, passes) => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const answer = await ada.post('/cart', {
    headers: {
      ...FORM,
      ...(site && { 'sec-fetch-site': site }),
      ...(origin && { origin: origin.replace('HERE', shop.url) }),
    },
    body: 'product=moon-jar',
  })
  expect(answer.status).toBe(passes ? 303 : 403)
  expect(answer.cookies).toHaveLength(passes ? 1 : 0)
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
  for (const path of ['/', '/cart', '/sign-in', '/nowhere', '/api/me', '/style.css', '/healthz']) {
    const { headers } = await ada.get(path)
    expect(headers['content-security-policy'], path).toMatch(/default-src 'none'.*frame-ancestors/)
    expect(headers['content-security-policy'], path).not.toContain('unsafe')
    expect(headers).toMatchObject({
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
    })
    expect(headers['x-powered-by'], path).toBeUndefined()
  }
})

test('pages need neither inline scripts nor inline styles', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  await ada.add('moon-jar')
  for (const path of ['/', '/products/moon-jar', '/cart', '/dashboard', '/devices', '/nowhere']) {
    expect((await ada.get(path)).text).not.toMatch(
      /<script(?! type="module" src)|<style|\sstyle=|\son\w+=/,
    )
  }
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
  for (const path of ['/dashboard/x.css', '/devices/x.js', '/cart/x.png', '/dashboard.css']) {
    expect((await ada.get(path)).status, path).toBe(404)
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
