import { expect, test } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'
import { openDatabase } from '../../examples/shop/src/db.js'
import { type MovableClock, movableClock } from '../../src/testing.js'
import { createClient } from '../http.js'
import { openTestShop, scratch, sessionIdOf, type TestShop, type Visitor, visitor } from './shop.js'

const NEW = 'nine purple ladders'
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

test('a changed password signs out all other devices and gives this one a new cookie', async () => {
  const shop = await openTestShop()
  const [laptop, phone] = [await signedIn(shop), await signedIn(shop)]
  await laptop.add('moon-jar')
  const id = sessionIdOf(laptop)
  const copy = createClient(shop.url, laptop.jar.clone())

  const answer = await laptop.submit('/password', { current: DEMO.password, new: NEW })

  expect(answer.headers.location).toBe('/profile')
  expect((await laptop.get('/profile')).text).toContain('All other devices are signed out.')
  expect((await phone.get('/dashboard')).status).toBe(303)
  expect((await copy.get('/dashboard')).status).toBe(303)
  expect(await laptop.cart()).toEqual({ 'moon-jar': 1 })
  expect(sessionIdOf(laptop)).toBe(id)
  expect((await visitor(shop).signIn()).status).toBe(401)
  expect((await visitor(shop).signIn(DEMO.email, NEW)).status).toBe(303)
})

test('sign-ins with the old password that are under way while it changes come to nothing', async () => {
  const shop = await openTestShop()
  const laptop = await signedIn(shop)
  const csrf = await laptop.token()
  const thieves = Array.from({ length: 8 }, () => visitor(shop))
  const [answer] = await Promise.all([
    laptop.submit('/password', { current: DEMO.password, new: NEW, csrf }),
    ...thieves.map((thief) => thief.signIn()),
  ])
  expect(answer.status).toBe(303)
  for (const thief of thieves) expect((await thief.get('/dashboard')).status).toBe(303)
  expect((await laptop.get('/api/devices')).json().devices).toHaveLength(1)
})

test('a renewal of an old hash does not bring an old password back', async () => {
  const shop = await openTestShop()
  const laptop = await signedIn(shop)
  const db = openDatabase(`${shop.dataDir}/shop.db`)
  const { hash } = await import('@node-rs/argon2')
  const cheap = await hash(DEMO.password, { memoryCost: 8192, timeCost: 1 })
  db.prepare('UPDATE accounts SET password = ? WHERE email = ?').run(cheap, DEMO.email)
  db.close()
  const csrf = await laptop.token()
  const [answer] = await Promise.all([
    laptop.submit('/password', { current: DEMO.password, new: NEW, csrf }),
    ...Array.from({ length: 4 }, () => visitor(shop).signIn()),
  ])
  expect(answer.status).toBe(303)
  expect((await visitor(shop).signIn()).status).toBe(401)
  expect((await visitor(shop).signIn(DEMO.email, NEW)).status).toBe(303)
})

test.each([
  ['the wrong current password', { current: 'not my password', new: NEW }, 'current'],
  ['no current password', { new: NEW }, 'current'],
  ['an endless current password', { current: 'x'.repeat(2000), new: NEW }, 'current'],
  ['a short new one', { current: DEMO.password, new: 'short' }, 'new'],
  ['the same once more', { current: DEMO.password, new: DEMO.password }, 'new'],
  ['none', { current: DEMO.password }, 'new'],
  ['a common one', { current: DEMO.password, new: 'passwordpassword1' }, 'new'],
  ['an endless one', { current: DEMO.password, new: 'quiet teapot '.repeat(80) }, 'new'],
])('with %s the password stays, and the field says why', async (_, fields, wrong) => {
  const shop = await openTestShop()
  const [laptop, phone] = [await signedIn(shop), await signedIn(shop)]
  const answer = await laptop.submit('/password', fields as Record<string, string>)
  expect(answer.status).toBe(422)
  const inputs = answer.text.match(/<input[^>]*aria-invalid="true"[^>]*>/g) ?? []
  expect(inputs).toHaveLength(1)
  expect(inputs[0]).toContain(`name="${wrong}"`)
  expect(answer.text).not.toContain(NEW)
  expect((await phone.get('/dashboard')).status).toBe(200)
  expect((await visitor(shop).signIn()).status).toBe(303)
})

test('ten minutes after the sign-in the password is asked for once more', async () => {
  const { shop, clock } = await withClock()
  const laptop = await signedIn(shop)
  clock.advance(10 * MINUTE)
  expect((await laptop.get('/password')).status).toBe(200)
  clock.advance(1)
  const asked = await laptop.get('/password')
  expect(asked.headers.location).toBe('/confirm?return=%2Fpassword')
  const refused = await laptop.submit('/password', { current: DEMO.password, new: NEW })
  expect(refused.headers.location).toMatch(/^\/confirm\?return=/)
  expect((await visitor(shop).signIn()).status).toBe(303)

  const before = laptop.jar.clone()
  expect((await laptop.get(asked.headers.location!)).text).toContain('value="/password"')
  const wrong = await laptop.submit('/confirm', { password: 'a guess', return: '/password' })
  expect([wrong.status, wrong.cookies]).toEqual([401, []])
  const right = await laptop.submit('/confirm', { password: DEMO.password, return: '/password' })
  expect(right.headers.location).toBe('/password')
  expect((await laptop.get('/password')).status).toBe(200)

  // Rights grew, so the cookie from before is worth nothing.
  expect((await createClient(shop.url, before).get('/dashboard')).status).toBe(303)
})

test('confirming keeps the cart, and leads to no other site', async () => {
  const { shop } = await withClock()
  const laptop = await signedIn(shop)
  await laptop.add('moon-jar', 2)
  const fields = { password: DEMO.password, return: '//evil.example' }
  expect((await laptop.submit('/confirm', fields)).headers.location).toBe('/dashboard')
  expect(await laptop.cart()).toEqual({ 'moon-jar': 2 })
})

test('a stolen session is no place to guess the password at', async () => {
  const shop = await openTestShop()
  const thief = await signedIn(shop)
  for (let i = 0; i < 10; i += 1) {
    const guess = `wrong guess number ${i}`
    const path = i % 2 ? '/confirm' : '/password'
    const answer = await thief.submit(path, { password: guess, current: guess, new: NEW })
    expect(answer.status).toBe(i % 2 ? 401 : 422)
  }
  expect((await thief.submit('/confirm', { password: DEMO.password })).status).toBe(429)
  // Its owner is not locked out.
  expect((await visitor(shop).signIn()).status).toBe(303)
})

test('"remember me" lasts thirty days; without it the cookie ends with the browser', async () => {
  const { shop, clock } = await withClock()
  const remembered = visitor(shop)
  const { email, password } = DEMO
  const long = await remembered.submit('/sign-in', { email, password, remember: 'yes' })
  expect(long.cookies[0]).toContain(`Max-Age=${(30 * DAY) / 1000}`)
  const forgotten = visitor(shop)
  const short = await forgotten.signIn()
  expect(short.cookies[0]).not.toMatch(/max-age|expires/i)
  expect((await remembered.get('/dashboard')).text).toContain('For 30 days')
  expect((await forgotten.get('/dashboard')).text).toContain('Until the browser closes')

  clock.advance(2 * DAY)
  expect((await forgotten.get('/dashboard')).status).toBe(303)
  clock.advance(27 * DAY)
  expect((await remembered.get('/dashboard')).status).toBe(200)
  clock.advance(DAY)
  expect((await remembered.get('/dashboard')).status).toBe(303)
})

test('a remembered device stays remembered when the password is confirmed', async () => {
  const { shop, clock } = await withClock()
  const laptop = visitor(shop)
  const { email, password } = DEMO
  await laptop.submit('/sign-in', { email, password, remember: 'yes' })
  const answer = await laptop.submit('/confirm', { password })
  expect(answer.cookies[0]).toContain(`Max-Age=${(30 * DAY) / 1000}`)
  clock.advance(20 * DAY)
  expect((await laptop.get('/dashboard')).status).toBe(200)
})

test.each(['', 'no', 'true', '999999999999', 'yes\u0000'])(
  'remember=%j is no yes',
  async (remember) => {
    const shop = await openTestShop()
    const { email, password } = DEMO
    const answer = await visitor(shop).submit('/sign-in', { email, password, remember })
    expect(answer.cookies[0]).not.toMatch(/max-age|expires/i)
  },
)

async function signedIn(shop: TestShop): Promise<Visitor> {
  const one = visitor(shop)
  await one.signIn()
  return one
}

async function withClock(): Promise<{ shop: TestShop; clock: MovableClock }> {
  const clock = movableClock()
  return { shop: await openTestShop({}, scratch(), clock), clock }
}
