import { expect, test } from 'vitest'
import { DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { withoutOrdered } from '../../examples/shop/src/checkout.js'
import { createClient } from '../http.js'
import {
  ADDRESS,
  buyer,
  lockSessions,
  ordersIn,
  outcome,
  review,
  shownIn,
  stockOf,
} from './buying.js'
import { openTestShop, visitor } from './shop.js'

test('twenty confirmations at once make one order, and each leads to it', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 3 })
  const form = { ...(await review(robin)), csrf: await robin.token() }

  const answers = await Promise.all(
    Array.from({ length: 20 }, () => robin.submit('/checkout/review', form)),
  )

  expect(new Set(answers.map(outcome))).toEqual(new Set([`303 /orders/${form.order}`]))
  expect(ordersIn(shop)).toHaveLength(1)
  expect(stockOf(shop, 'moon-jar')).toBe(24 - 3)
  expect(await robin.cart()).toEqual({})
  const pages = [await robin.get('/orders'), await robin.get('/orders')]
  expect(pages.filter(({ text }) => text.includes('Thank you.'))).toHaveLength(1)
})

test('confirmations at two servers at once make one order', async () => {
  const one = await openTestShop()
  const two = await openTestShop({}, one.dataDir)
  const robin = await buyer(one, { 'moon-jar': 1 })
  const form = { ...(await review(robin)), csrf: await robin.token() }
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => {
      const shop = i % 2 ? one : two
      return visitor(shop, createClient(shop.url, robin.jar)).submit('/checkout/review', form)
    }),
  )
  const placed = answers.filter((answer) => outcome(answer) === `303 /orders/${form.order}`)
  expect(placed).toHaveLength(20)
  expect(ordersIn(one)).toHaveLength(1)
  expect(stockOf(two, 'moon-jar')).toBe(24 - 1)
  expect(await robin.cart()).toEqual({})
})

test('the review sent again after the order leads to the same order', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const form = await review(robin)
  await robin.submit('/checkout/review', form)
  await robin.add('desk-mug')

  const again = await robin.submit('/checkout/review', form)

  expect(outcome(again)).toBe(`303 /orders/${form.order}`)
  expect(await robin.cart()).toEqual({ 'desk-mug': 1 })
  expect(ordersIn(shop)).toHaveLength(1)
  expect(outcome(await robin.get('/checkout/review'))).toBe('303 /checkout/address')
})

test('an order whose session could not be written is neither lost nor doubled', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 2 })
  const form = { ...(await review(robin)), csrf: await robin.token() }
  // From here on as if the process had died right after the order: the session knows nothing of it.
  const writable = lockSessions(shop)
  const placed = await robin.submit('/checkout/review', form)
  const again = await robin.submit('/checkout/review', form)
  writable()

  const next = await robin.get('/checkout/review')

  expect(outcome(placed)).toBe(`303 /orders/${form.order}`)
  expect(again.status).toBe(503)
  expect(ordersIn(shop)).toHaveLength(1)
  expect(stockOf(shop, 'moon-jar')).toBe(24 - 2)
  expect(outcome(next)).toBe('303 /cart')
  expect((await robin.get('/cart')).text).toContain('Thank you. Order')
  expect(await robin.cart()).toEqual({})
  expect(outcome(await robin.submit('/checkout/review', form))).toBe(`303 /orders/${form.order}`)
  expect(ordersIn(shop)).toHaveLength(1)
})

test('signing out in another tab at that moment leaves an order or none, and says which', async () => {
  const shop = await openTestShop()
  for (let round = 0; round < 5; round += 1) {
    const robin = await buyer(shop, { 'salt-pot': 1 })
    const form = { ...(await review(robin)), csrf: await robin.token() }
    const before = ordersIn(shop).length
    const [confirmed] = await Promise.all([
      robin.submit('/checkout/review', form),
      robin.submit('/sign-out', { csrf: form.csrf }),
    ])
    const isPlaced = outcome(confirmed) === `303 /orders/${form.order}`
    expect(ordersIn(shop)).toHaveLength(before + Number(isPlaced))
  }
})

test.each([
  ['the cart', '/cart/moon-jar', { quantity: '5' }],
  ['the address', '/checkout/address', { ...ADDRESS, city: 'Cork' }],
  ['the delivery', '/checkout/delivery', { delivery: 'collect' }],
])(
  'what another tab did to %s meanwhile is shown before it is ordered',
  async (_, path, change) => {
    const shop = await openTestShop()
    const robin = await buyer(shop, { 'moon-jar': 1 })
    const form = await review(robin)
    await robin.submit(path, change)

    const stale = await robin.submit('/checkout/review', form)

    expect(outcome(stale)).toBe('303 /checkout/review')
    expect(ordersIn(shop)).toEqual([])
    const page = await robin.get('/checkout/review')
    expect(page.text).toContain('Something changed since you looked.')
    await robin.submit('/checkout/review', shownIn(page))
    expect(ordersIn(shop)).toHaveLength(1)
  },
)

test('what is added in another tab while the order is placed stays in the cart', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const form = { ...(await review(robin)), csrf: await robin.token() }
  const [confirmed] = await Promise.all([
    robin.submit('/checkout/review', form),
    ...Array.from({ length: 5 }, () =>
      robin.submit('/cart', { product: 'desk-mug', csrf: form.csrf }),
    ),
  ])
  const isPlaced = confirmed.headers.location?.startsWith('/orders/')
  expect(await robin.cart()).toEqual({ 'desk-mug': 5, ...(isPlaced ? {} : { 'moon-jar': 1 }) })
  expect(ordersIn(shop)).toHaveLength(isPlaced ? 1 : 0)
})

test('an order takes out of the cart what was ordered, and leaves the rest', () => {
  const lines = [
    { slug: 'moon-jar', name: 'Moon jar', price: 14_800, quantity: 2 },
    { slug: 'salt-pot', name: 'Salt pot', price: 4200, quantity: 1 },
  ]
  const order = { id: 'x', lines, address: ADDRESS, delivery: { name: '', price: 0 }, total: 0 }
  const cart = { 'moon-jar': 3, 'desk-mug': 1, 'salt-pot': 1 }
  expect(withoutOrdered(cart, order)).toEqual({ 'moon-jar': 1, 'desk-mug': 1 })
  expect(withoutOrdered(undefined, order)).toEqual({})
})

test("someone else's order by its id is none", async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const form = await review(robin)
  await robin.submit('/checkout/review', form)
  const morgan = await buyer(shop, { 'desk-mug': 1 }, DEMO_ADMIN)

  const foreign = await morgan.get(`/orders/${form.order}`)

  expect(foreign.status).toBe(404)
  expect(foreign.text).not.toContain('Harbour')
  expect((await morgan.get('/orders')).text).toContain('No orders yet')
  expect((await visitor(shop).get(`/orders/${form.order}`)).status).toBe(303)
  // Nor can it be placed a second time, or taken over.
  const own = await review(morgan)
  const taken = await morgan.submit('/checkout/review', { ...own, order: form.order })
  expect(outcome(taken)).toBe('303 /checkout/review')
  expect(ordersIn(shop)).toHaveLength(1)
  for (const id of ['%00', '__proto__', "'--", 'a'.repeat(3000)]) {
    expect((await morgan.get(`/orders/${id}`)).status, id).toBe(404)
  }
})

test('prices, totals, quantities, products and owners sent along count for nothing', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const lies = {
    price: '1',
    total: '1',
    quantity: '900',
    account: 'x',
    lines: '[]',
    'cart[x]': '1',
  }
  await robin.submit('/checkout/address', { ...ADDRESS, ...lies })
  await robin.submit('/checkout/delivery', { delivery: 'courier', ...lies, cost: '0' })
  const form = shownIn(await robin.get('/checkout/review'))
  await robin.submit('/checkout/review', { ...form, ...lies, delivery: 'collect' })
  const [order] = ordersIn(shop)
  expect(JSON.parse(order!.content)).toEqual({
    id: form.order,
    lines: [{ slug: 'moon-jar', name: 'Moon jar', price: 14_800, quantity: 1 }],
    address: ADDRESS,
    delivery: { name: 'By courier', price: 1450 },
    total: 16_250,
  })
})

test('more than there is cannot be ordered, and the review says what is short', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'evening-light': 2 })
  const morgan = await buyer(shop, { 'evening-light': 2, 'salt-pot': 1 }, DEMO_ADMIN)
  const forms = [
    { ...(await review(robin)), csrf: await robin.token() },
    { ...(await review(morgan)), csrf: await morgan.token() },
  ] as const

  const answers = await Promise.all([
    robin.submit('/checkout/review', forms[0]),
    morgan.submit('/checkout/review', forms[1]),
  ])

  expect(answers.map(outcome).filter((one) => one === '303 /checkout/review')).toHaveLength(1)
  expect(ordersIn(shop)).toHaveLength(1)
  expect(stockOf(shop, 'evening-light')).toBe(1)
  const late = outcome(answers[0]) === '303 /checkout/review' ? robin : morgan
  const page = await late.get('/checkout/review')
  expect(page.text).toContain('Of Evening light, only 1 is left.')
  expect(page.text).toMatch(/<button[^>]* disabled>Place the order/)
  expect((await late.get('/cart')).text).toContain('Only 1 left')
  await late.submit('/cart/evening-light', { quantity: '1' })
  await late.submit('/checkout/review', shownIn(await late.get('/checkout/review')))
  expect(ordersIn(shop)).toHaveLength(2)
  expect((await late.get('/products/evening-light')).text).toContain('Sold out')
})
