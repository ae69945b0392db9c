import Database from 'libsql'
import { expect, test } from 'vitest'
import { DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { withoutOrdered } from '../../examples/shop/src/checkout.js'
import { openDatabase } from '../../examples/shop/src/db.js'
import { openOrders } from '../../examples/shop/src/orders.js'
import { movableClock } from '../../src/testing.js'
import { type Answer, createClient } from '../http.js'
import { openTestShop, scratch, type TestShop, type Visitor, visitor } from './shop.js'

const HOUR = 3_600_000
const ADDRESS = {
  name: 'Robin Vale',
  street: '14 Harbour Row',
  extra: '',
  postcode: 'D02 X285',
  city: 'Dublin',
  country: 'IE',
}

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

test('an empty address names each field that is missing, beside it', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const answer = await robin.submit('/checkout/address', {})
  expect(answer.status).toBe(422)
  const wrong = [...answer.text.matchAll(/aria-describedby="(\w+)-help" aria-invalid="true"/g)]
  expect(wrong.map(([, name]) => name)).toEqual(['name', 'street', 'postcode', 'city'])
  expect(answer.text).toContain('id="country-help"')
  expect(answer.text).not.toContain('id="extra-help"')
})

/** As it stands in the body: `x` is the name of the field. */
const BAD: Record<string, string> = {
  'is huge': `x=${'a'.repeat(15_000)}`,
  'is larger than any form': `x=${'a'.repeat(30_000)}`,
  'comes twice': 'x=one&x=two',
  'is an object': 'x[y]=1',
  'has a null character': 'x=D02%00X2',
  'has control characters': 'x=D02%1b%5b2J',
  'has a line feed': 'x=D02%0d%0aX-A:%20b',
  'turns the writing direction': 'x=D02%e2%80%aeb',
  'is spaces': 'x=+++%09',
}

test.each(Object.keys(ADDRESS))('a %s that is wrong in any way is not kept', async (name) => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const { [name as 'name']: _, ...others } = ADDRESS
  const csrf = await robin.token()
  for (const [what, pattern] of Object.entries(BAD)) {
    const isBlank = ['comes twice', 'is an object', 'is spaces'].includes(what)
    const answer = await robin.post('/checkout/address', {
      headers: { origin: shop.url, 'content-type': 'application/x-www-form-urlencoded' },
      body: `${new URLSearchParams({ ...others, csrf })}&${pattern.replaceAll(/(^|&)x/g, `$1${name}`)}`,
    })
    // The one field that may be empty is then simply empty.
    const expected =
      what === 'is larger than any form' ? 413 : isBlank && name === 'extra' ? 303 : 422
    expect(answer.status, what).toBe(expected)
    const kept = values((await robin.get('/checkout/address')).text)
    if (expected !== 413) expect(kept[name], what).toBe('')
  }
  expect(ordersIn(shop)).toEqual([])
})

test.each(['', 'drone', '__proto__', 'toString', 'post\u0000', 'p'.repeat(9000)])(
  'delivery %j is no choice, and the one made before stays',
  async (delivery) => {
    const shop = await openTestShop()
    const robin = await buyer(shop, { 'moon-jar': 1 })
    const before = await review(robin)
    const answer = await robin.submit('/checkout/delivery', { delivery })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('Choose how it should reach you.')
    expect(shownIn(await robin.get('/checkout/review'))).toEqual(before)
  },
)

test('what was typed is shown again as text, never as markup', async () => {
  const shop = await openTestShop()
  const robin = await buyer(shop, { 'moon-jar': 1 })
  const name = '"><script>alert(1)</script>'
  const again = await robin.submit('/checkout/address', { ...ADDRESS, name, postcode: '!' })
  expect(again.status).toBe(422)
  expect(again.text).toContain('value="&#34;&gt;&lt;script&gt;')
  expect(values(again.text)).toMatchObject({ street: ADDRESS.street, postcode: '!' })
  await robin.submit('/checkout/address', { ...ADDRESS, name })
  await robin.submit('/checkout/delivery', { delivery: 'post' })
  const form = shownIn(await robin.get('/checkout/review'))
  await robin.submit('/checkout/review', form)
  expect((await robin.get(`/orders/${form.order}`)).text).not.toContain('<script>alert')
})

async function buyer(
  shop: TestShop,
  cart: Record<string, number>,
  who: { email?: string; password?: string } = {},
): Promise<Visitor> {
  const someone = visitor(shop)
  for (const [product, quantity] of Object.entries(cart)) await someone.add(product, quantity)
  await someone.signIn(who.email, who.password)
  return someone
}

/** What the review sends: a type, not an interface, so that it fits where any fields do. */
type ReviewForm = { order: string; shown: string }

/** Goes through the first two steps; answers what the review would send. */
async function review(someone: Visitor): Promise<ReviewForm> {
  await someone.submit('/checkout/address', ADDRESS)
  await someone.submit('/checkout/delivery', { delivery: 'courier' })
  return shownIn(await someone.get('/checkout/review'))
}

function shownIn({ text }: Answer): ReviewForm {
  const { order = '', shown = '' } = values(text)
  return { order, shown }
}

/** What the form of a page holds, by name. */
function values(text: string): Record<string, string> {
  const inputs = [...text.matchAll(/<input[^>]* name="(\w+)"[^>]* value="([^"]*)"/g)]
  const country = /<option value="(\w+)" selected>/.exec(text)?.[1] ?? ''
  return { country, ...Object.fromEntries(inputs.map(([, name, value]) => [name, value])) }
}

function outcome({ status, headers }: Answer): string {
  return `${status} ${headers.location}`
}

interface OrderRow {
  readonly id: string
  readonly account: string
  readonly content: string
}

function inDatabase<T>({ dataDir }: TestShop, look: (db: ReturnType<typeof openDatabase>) => T): T {
  const db = openDatabase(`${dataDir}/shop.db`)
  try {
    return look(db)
  } finally {
    db.close()
  }
}

/** Nobody can write to the sessions until what this answers is called. */
function lockSessions({ dataDir }: TestShop): () => void {
  const db = new Database(`${dataDir}/sessions.db`)
  db.exec('BEGIN IMMEDIATE')
  return () => {
    db.exec('ROLLBACK')
    db.close()
  }
}

function ordersIn(shop: TestShop): OrderRow[] {
  return inDatabase(shop, (db) => db.prepare('SELECT * FROM orders').all() as OrderRow[])
}

function stockOf(shop: TestShop, slug: string): number {
  return inDatabase(shop, (db) => openOrders(db).stock(slug))
}
