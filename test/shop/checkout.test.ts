import { expect, test } from 'vitest'
import { DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { movableClock } from '../../src/testing.js'
import { createClient } from '../http.js'
import { ADDRESS, buyer, ordersIn, outcome, review, shownIn, values } from './buying.js'
import { openTestShop, scratch, visitor } from './shop.js'

const HOUR = 3_600_000

test('three steps lead to an order with the prices of the shop, and the cart is empty', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1, 'desk-mug': 2 })
  const form = await review(robin)

  const placed = await robin.submit('/checkout/review', form)

  expect([placed.status, placed.headers.location]).toEqual([303, `/orders/${form.order}`])
  const page = await robin.get(`/orders/${form.order}`)
  for (const text of ['Moon jar', '€148.00', '2 × €28.00', '€56.00', '€14.50', '€218.50']) {
    expect(page.text).toContain(text)
  }
  expect(page.text).toContain('Thank you. Order')
  expect((await robin.get('/orders')).text).toContain(`href="/orders/${form.order}"`)
  expect(await robin.cart()).toEqual({})
  expect(ordersIn(shop)).toHaveLength(1)
})

test('who is not signed in signs in on the way, with the cart, and comes back', async () => {
  const shop = await openTestShop()
  const robin = visitor(shop)
  await robin.add('moon-jar')
  const asked = await robin.get('/checkout')
  expect(asked.headers.location).toBe('/sign-in?return=%2Fcheckout')
  const signedIn = await robin.submit('/sign-in', {
    email: 'robin@stillware.example',
    password: 'three quiet teapots',
    return: '/checkout',
  })
  expect(signedIn.headers.location).toBe('/checkout')
  expect((await robin.get('/checkout')).headers.location).toBe('/checkout/address')
  expect(await robin.cart()).toEqual({ 'moon-jar': 1 })
})

test('who opens an account on the way comes back as well', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const account = { email: 'ada@example.com', password: 'seven green buttons' }
  const registered = await ada.submit('/register', { ...account, name: 'Ada', return: '/checkout' })
  const { text } = await ada.get(registered.headers.location!)
  const signedIn = await ada.submit('/sign-in', { ...account, return: values(text).return! })
  expect(signedIn.headers.location).toBe('/checkout')
  const elsewhere = { ...account, name: 'Ada', return: '//evil.example' }
  const { headers } = await ada.submit('/register', { ...elsewhere, email: 'eve@example.com' })
  expect(headers.location).toBe('/sign-in?registered=1&return=%2Fdashboard')
})

test('back and reload at each step lose nothing', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  await robin.submit('/checkout/address', ADDRESS)
  await robin.submit('/checkout/delivery', { delivery: 'post', go: 'back' })
  for (let reload = 0; reload < 2; reload += 1) {
    expect(values((await robin.get('/checkout/address')).text)).toMatchObject(ADDRESS)
    expect((await robin.get('/checkout/delivery')).text).toMatch(/value="post"[^>]* checked/)
    expect((await robin.get('/checkout/review')).text).toContain('14 Harbour Row')
  }

  const back = await robin.submit('/checkout/address', { ...ADDRESS, city: 'Cork', go: 'back' })

  expect(back.headers.location).toBe('/cart')
  expect((await robin.get('/checkout')).headers.location).toBe('/checkout/review')
  const page = await robin.get('/checkout/review')
  expect(page.text).toContain('D02 X285 Cork')
  expect(page.text).toContain('€6.90')
})

test('"back" from a half-filled step keeps what was filled in', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const half = { name: 'Robin Vale', street: '14 Harbour Row', country: 'IE', go: 'back' }
  expect((await robin.submit('/checkout/address', half)).headers.location).toBe('/cart')
  const { name, street, postcode, country } = values((await robin.get('/checkout/address')).text)
  expect([name, street, postcode, country]).toEqual(['Robin Vale', '14 Harbour Row', '', 'IE'])
  expect((await robin.get('/checkout/review')).headers.location).toBe('/checkout/address')
})

test('two tabs on two steps at once both count', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  await robin.submit('/checkout/address', ADDRESS)
  const csrf = await robin.token()
  for (const [city, delivery] of [
    ['Cork', 'courier'],
    ['Galway', 'post'],
    ['Sligo', 'collect'],
  ] as const) {
    await Promise.all([
      robin.submit('/checkout/address', { ...ADDRESS, city, csrf }),
      robin.submit('/checkout/delivery', { delivery, csrf }),
      robin.submit('/cart', { product: 'salt-pot', csrf }),
    ])
    const { text } = await robin.get('/checkout/review')
    expect(text).toContain(`D02 X285 ${city}`)
    expect(text).toContain({ courier: '€14.50', post: '€6.90', collect: 'Free' }[delivery])
  }
  expect(await robin.cart()).toEqual({ 'moon-jar': 1, 'salt-pot': 3 })
})

test('a half-finished checkout goes on the next day, after a restart and another sign-in', async () => {
  const clock = movableClock()
  const dataDir = scratch()
  const first = await openTestShop({}, dataDir, clock)
  const robin = await buyer(first, { 'moon-jar': 1 })
  await robin.submit('/checkout/address', ADDRESS)

  clock.advance(30 * HOUR)
  const second = await openTestShop({}, dataDir, clock)
  const later = visitor(second, createClient(second.url, robin.jar))

  expect((await later.get('/checkout')).headers.location).toBe('/checkout/delivery')
  await later.signIn()
  await later.submit('/confirm', { password: 'three quiet teapots' })
  expect((await later.get('/checkout')).headers.location).toBe('/checkout/delivery')
  await later.submit('/checkout/delivery', { delivery: 'post' })
  const form = shownIn(await later.get('/checkout/review'))
  await later.submit('/checkout/review', form)
  expect(ordersIn(second)).toHaveLength(1)
})

test('whoever signs in next in the same browser finds no address of the one before', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  await robin.submit('/checkout/address', ADDRESS)
  await robin.signIn(DEMO_ADMIN.email, DEMO_ADMIN.password)
  const { text } = await robin.get('/checkout/address')
  expect(text).toContain(`value="${DEMO_ADMIN.name}"`)
  expect(text).not.toContain('Harbour Row')
})

test('who ordered before finds the address filled in', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  await robin.submit('/checkout/review', await review(robin))
  await robin.add('salt-pot')
  expect(values((await robin.get('/checkout/address')).text)).toMatchObject(ADDRESS)
})

test('no step can be skipped, and there is no checkout without a cart', async () => {
  const shop = await openTestShop()
  const robin = visitor(shop)
  await robin.signIn()
  const steps = ['', '/address', '/delivery', '/review']
  for (const step of steps) {
    expect((await robin.get(`/checkout${step}`)).headers.location).toBe('/cart')
  }
  for (const step of steps.slice(1)) {
    const answer = await robin.submit(`/checkout${step}`, { ...ADDRESS, delivery: 'post' })
    expect(outcome(answer)).toBe('303 /cart')
  }
  await robin.add('moon-jar')
  for (const path of ['/checkout/delivery', '/checkout/review']) {
    expect((await robin.get(path)).headers.location).toBe('/checkout/address')
    expect(outcome(await robin.submit(path, { delivery: 'post' }))).toBe('303 /checkout/address')
  }
  await robin.submit('/checkout/address', ADDRESS)
  expect((await robin.get('/checkout/review')).headers.location).toBe('/checkout/delivery')
  expect(ordersIn(shop)).toEqual([])
})

test('every step wants the token of this sign-in and a page of this site', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const form = await review(robin)
  for (const [path, fields] of [
    ['/checkout/address', { ...ADDRESS, city: 'Elsewhere' }],
    ['/checkout/delivery', { delivery: 'collect' }],
    ['/checkout/review', form],
  ] as const) {
    expect((await robin.submit(path, { ...fields, csrf: 'x.y' })).status).toBe(403)
    const elsewhere = { origin: 'https://evil.example' }
    expect((await robin.submit(path, fields, elsewhere)).status).toBe(403)
  }
  expect(shownIn(await robin.get('/checkout/review'))).toEqual(form)
  expect(ordersIn(shop)).toEqual([])
})
