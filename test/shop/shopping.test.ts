import { expect, test } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'
import { products } from '../../examples/shop/src/products.js'
import { createClient } from '../http.js'
import { openTestShop, visitor } from './shop.js'

test('looking around stores nothing and sets no cookie', async () => {
  const shop = await openTestShop()
  const created: unknown[] = []
  shop.sessions.on('created', (event) => created.push(event))
  const ada = visitor(shop)
  const paths = ['/', '/cart', '/sign-in', '/register', '/nowhere', '/api/products', '/api/cart']
  for (const path of [...paths, ...products.map(({ slug }) => `/products/${slug}`)]) {
    const answer = await ada.get(path)
    expect(answer.status).toBe(path === '/nowhere' ? 404 : 200)
    expect(answer.cookies).toEqual([])
  }
  expect(created).toEqual([])
})

test('every product has a page and a picture', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  for (const { slug, name } of products) {
    expect((await ada.get(`/products/${slug}`)).text).toContain(`<h1>${name}</h1>`)
    const picture = await ada.get(`/art/${slug}.svg`)
    expect(picture.headers['content-type']).toContain('image/svg+xml')
    expect(picture.text).not.toMatch(/NaN|undefined|\{clay\}|\{glaze\}/)
  }
})

test('a cart fills before sign-in and survives it, under a new cookie', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  expect((await ada.add('moon-jar')).headers.location).toBe('/cart')
  await ada.add('desk-mug', 3)
  const before = ada.jar.get('sid')

  const answer = await ada.signIn()

  expect([answer.status, answer.headers.location]).toEqual([303, '/dashboard'])
  expect(await ada.cart()).toEqual({ 'moon-jar': 1, 'desk-mug': 3 })
  expect(ada.jar.get('sid')).not.toBe(before)
  const thief = createClient(shop.url)
  thief.jar.store(`sid=${before}; Path=/`)
  expect((await thief.get('/dashboard')).status).toBe(303)
})

test('two hundred parallel additions are two hundred in the cart', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.add('morning-cup')
  const csrf = await ada.token()
  await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      ada.submit('/cart', { product: i % 2 ? 'morning-cup' : 'salt-pot', csrf }),
    ),
  )
  expect(await ada.cart()).toEqual({ 'morning-cup': 101, 'salt-pot': 100 })
})

test('a quantity can be changed; zero and "take out" take the product out', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.add('moon-jar')
  await ada.add('desk-mug')
  await ada.add('salt-pot')
  await ada.submit('/cart/moon-jar', { quantity: '4' })
  await ada.submit('/cart/salt-pot/remove', { quantity: '1' })
  await ada.submit('/cart/desk-mug', { quantity: '0' })
  expect(await ada.cart()).toEqual({ 'moon-jar': 4 })
})

test('a message is shown once', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.add('moon-jar')
  const pages = await Promise.all(Array.from({ length: 5 }, () => ada.get('/cart')))
  const shown = pages.filter(({ text }) => text.includes('Moon jar is in your cart.'))
  expect(shown).toHaveLength(1)
  expect((await ada.get('/cart')).text).not.toContain('is in your cart.')
})

test('a price comes from the shop, whatever a form says', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.submit('/cart', { product: 'moon-jar', quantity: '1', price: '1' })
  expect((await ada.get('/api/cart')).json().total).toBe(14_800)
})

test.each([
  ['an unknown product', 'product=golden-cup'],
  ['no product', ''],
  ['a repeated product', 'product=moon-jar&product=desk-mug'],
  ['a name from Object.prototype', 'product=__proto__'],
  ['a negative quantity', 'product=moon-jar&quantity=-1'],
  ['a fraction', 'product=moon-jar&quantity=1.5'],
  ['a quantity with a word in it', 'product=moon-jar&quantity=all'],
  ['an absurd quantity', 'product=moon-jar&quantity=9999'],
])('%s in the form stores nothing', async (_, body) => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const headers = { origin: shop.url, 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await ada.post('/cart', { headers, body })
  expect([answer.status, answer.cookies]).toEqual([400, []])
})

test('the API speaks JSON with the same session, and says 401 where a page would redirect', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  expect((await ada.get('/dashboard')).headers.location).toBe('/sign-in?return=%2Fdashboard')
  const refused = await ada.get('/api/me')
  expect([refused.status, refused.json().error.status]).toEqual([401, 401])

  await ada.signIn()
  const me = (await ada.get('/api/me')).json()
  expect(me).toMatchObject({ name: DEMO.name, email: DEMO.email })
  const added = await ada.post('/api/cart', {
    headers: { origin: shop.url, 'x-csrf-token': me.csrf },
    body: { product: 'moon-jar', quantity: 2 },
  })
  expect([added.status, added.json().total]).toEqual([201, 29_600])
})
