import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'
import { deviceName } from '../../examples/shop/src/devices.js'
import { movableClock } from '../../src/testing.js'
import { createClient } from '../http.js'
import { openTestShop, scratch, sessionIdOf, type TestShop, type Visitor, visitor } from './shop.js'

const PHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1'
const HOUR = 60 * 60_000
const DAY = 24 * HOUR
const LAPTOP = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0'

test('the list names each device and marks this one', async () => {
  const shop = await openTestShop()
  const phone = await signedIn(shop, PHONE)
  const laptop = await signedIn(shop, LAPTOP)

  const { devices } = (await laptop.get('/api/devices')).json() as {
    devices: { id: string; name: string; current: boolean }[]
  }

  expect(devices.map(({ id, name, current }) => [id, name, current]).sort()).toEqual(
    [
      [sessionIdOf(phone), 'Safari on iPhone', false],
      [sessionIdOf(laptop), 'Firefox on Windows', true],
    ].sort(),
  )
  const { text } = await laptop.get('/devices')
  expect(text.match(/This one/g)).toHaveLength(1)
  expect(text.indexOf('Firefox on Windows')).toBeLessThan(text.indexOf('Safari on iPhone'))
})

test('a device was first seen at its first visit, and last seen when it was there last', async () => {
  const start = Date.now() - 5 * DAY
  const clock = movableClock(start)
  const shop = await openTestShop({}, scratch(), clock)
  const phone = visitor(shop)
  await phone.add('moon-jar')
  clock.advance(DAY)
  await phone.signIn()
  clock.advance(DAY)
  await phone.get('/dashboard')
  clock.advance(HOUR)
  await phone.submit('/confirm', { password: DEMO.password })
  const laptop = await signedIn(shop, LAPTOP)

  const { devices } = (await laptop.get('/api/devices')).json()
  expect(devices.find(({ current }: { current: boolean }) => !current)).toMatchObject({
    firstSeenAt: start,
    lastSeenAt: start + 2 * DAY + HOUR,
  })
  const { text } = await laptop.get('/devices')
  expect(text).toContain(`<time datetime="${new Date(start).toISOString()}">`)
  expect(text).toContain('Last seen 3 days ago')
})

test('a device that is signed out is out at its next request', async () => {
  const shop = await openTestShop()
  const phone = await signedIn(shop, PHONE)
  const laptop = await signedIn(shop, LAPTOP)

  const answer = await laptop.submit(`/devices/${sessionIdOf(phone)}/sign-out`)

  expect(answer.headers.location).toBe('/devices')
  expect((await laptop.get('/devices')).text).toContain('The device is signed out.')
  expect((await phone.get('/dashboard')).headers.location).toBe('/sign-in?return=%2Fdashboard')
  expect((await laptop.get('/dashboard')).status).toBe(200)
})

test('all others are signed out, this one stays', async () => {
  const shop = await openTestShop()
  const others = [await signedIn(shop, PHONE), await signedIn(shop, PHONE)]
  const laptop = await signedIn(shop, LAPTOP)

  await laptop.submit('/devices/sign-out-others')

  expect((await laptop.get('/devices')).text).toContain('2 other devices are signed out.')
  for (const other of others) expect((await other.get('/api/me')).status).toBe(401)
})

test('signing out this device is signing out', async () => {
  const shop = await openTestShop()
  const laptop = await signedIn(shop, LAPTOP)
  const answer = await laptop.submit(`/devices/${sessionIdOf(laptop)}/sign-out`)
  expect(answer.headers.location).toBe('/signed-out')
  expect(laptop.jar.get('sid')).toBeUndefined()
})

test("somebody else's device can neither be seen nor signed out", async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop, PHONE)
  const eve = visitor(shop)
  const account = { name: 'Eve', email: 'eve@example.com', password: 'eleven loud whistles' }
  await eve.submit('/register', account)
  await eve.signIn(account.email, account.password)

  const list = (await eve.get('/api/devices')).json()
  expect(list.devices).toHaveLength(1)
  await eve.submit(`/devices/${sessionIdOf(robin)}/sign-out`)
  const said = (await eve.get('/devices')).text
  await eve.submit('/devices/AAAAAAAAAAAAAAAAAAAAAA/sign-out')

  // Their id and one that never was get the same answer.
  const message = 'That device was not signed in any more.'
  expect(said).toContain(message)
  expect((await eve.get('/devices')).text).toContain(message)
  expect((await robin.get('/dashboard')).status).toBe(200)
})

test('a click on a page that was open while its device was signed out changes nothing', async () => {
  const shop = await openTestShop()
  const phone = await signedIn(shop, PHONE)
  const laptop = await signedIn(shop, LAPTOP)
  const csrf = await phone.token()
  await laptop.submit('/devices/sign-out-others')

  const answer = await phone.submit('/devices/sign-out-others', { csrf })

  expect(answer.headers.location).toBe('/sign-in')
  expect((await laptop.get('/dashboard')).status).toBe(200)
})

test('a change on its way while its device is signed out is refused with 401, not made', async () => {
  const shop = await openTestShop()
  const phone = await signedIn(shop, PHONE)
  const csrf = await phone.token()
  const body = new URLSearchParams({ product: 'moon-jar', csrf }).toString()
  const request = http.request(`${shop.url}/cart`, {
    method: 'POST',
    headers: {
      cookie: phone.jar.header(),
      origin: shop.url,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
    },
  })
  // The session is read when the headers are there; the rest of the form comes after its end.
  request.write(body.slice(0, 5))
  await pause(200)
  await shop.sessions.revoke(sessionIdOf(phone)!)
  request.end(body.slice(5))

  const [answer] = (await once(request, 'response')) as [http.IncomingMessage]
  const text = Buffer.concat(await answer.toArray()).toString()
  expect([answer.statusCode, answer.headers['set-cookie']]).toEqual([401, undefined])
  expect(text).toContain('You have been signed out')
  expect(text).not.toContain('action="/sign-out"')
})

test('a change with the cookie from before the sign-in is refused with 409', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.add('moon-jar')
  const slow = visitor(shop, createClient(shop.url, ada.jar.clone()))
  await ada.signIn()

  const page = await slow.add('desk-mug')

  expect([page.status, page.cookies]).toEqual([409, []])
  expect(page.text).toContain('Two things at once')
  const json = await slow.post('/api/cart', {
    headers: { origin: shop.url },
    body: { product: 'desk-mug' },
  })
  expect(json.json().error.status).toBe(409)
  expect(await ada.cart()).toEqual({ 'moon-jar': 1 })
})

test.each([
  [undefined, 'Unknown device'],
  ['', 'Unknown device'],
  ['curl/8.5.0', 'Unknown device'],
  ['<script>alert(1)</script>', 'Unknown device'],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15',
    'Safari on macOS',
  ],
])('the user agent %j is called %s', (userAgent, name) => {
  expect(deviceName(userAgent)).toBe(name)
})

async function signedIn(shop: TestShop, userAgent: string): Promise<Visitor> {
  const client = createClient(shop.url)
  const { request } = client
  const spoken: typeof request = (path, init = {}) =>
    request(path, { ...init, headers: { 'user-agent': userAgent, ...init.headers } })
  const device = visitor(shop, {
    ...client,
    get: (path, init) => spoken(path, { ...init, method: 'GET' }),
    post: (path, init) => spoken(path, { ...init, method: 'POST' }),
  })
  await device.signIn()
  return device
}
