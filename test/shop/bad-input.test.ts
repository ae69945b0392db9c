import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { openDatabase } from '../../examples/shop/src/db.js'
import { openTestShop, type TestShop, visitor } from './shop.js'

const FORM = 'application/x-www-form-urlencoded'

/** What a field can hold that no field of this shop may, as it stands in the body: `x` is the name of the field. */
const BAD: Record<string, string> = {
  'is missing': '',
  'is empty': 'x=',
  'is spaces': 'x=+++%09',
  'is huge': `x=${'a'.repeat(15_000)}`,
  'is larger than any form': `x=${'a'.repeat(30_000)}`,
  'comes twice': 'x=one&x=two',
  'is an object': 'x[y]=1&x.y=1&x[]=1',
  'has a null character': 'x=ab%00cd',
  'has control characters': 'x=a%07b%1b%5b2Jc',
  'has a line feed': 'x=a%0d%0aSet-Cookie:%20a=b',
  'is not UTF-8': 'x=%ff%fe',
  'has half a character': 'x=%ed%a0%80',
  'is half an escape': 'x=%',
  'is a name from Object.prototype': 'x=__proto__',
  'turns the writing direction': 'x=a%e2%80%aeb',
  'has a script in it': 'x=%3Cscript%3Ealert(1)%3C/script%3E',
}

/** What cannot be decoded is left as it was typed. */
const ODD_NAMES = [
  'is not UTF-8',
  'has half a character',
  'is half an escape',
  'is a name from Object.prototype',
  'has a script in it',
]
const ODD_PASSWORDS = ['has a line feed', 'has a script in it']

/** Then it is one. */
const NO_QUANTITY = ['is missing', 'is an object']
const ADA = { name: 'Ada', email: 'ada@example.com', password: 'seven green buttons' }

interface Form {
  readonly path: string
  readonly field: string
  readonly others?: Record<string, string>
  readonly who?: 'nobody' | 'admin'
  /** What this field takes: odd, but nothing wrong with it. */
  readonly takes?: readonly string[]
}

const FORMS: readonly Form[] = [
  { path: '/register', field: 'name', others: ADA, who: 'nobody', takes: ODD_NAMES },
  { path: '/register', field: 'email', others: ADA, who: 'nobody' },
  { path: '/register', field: 'password', others: ADA, who: 'nobody', takes: ODD_PASSWORDS },
  { path: '/sign-in', field: 'email', others: { password: DEMO.password }, who: 'nobody' },
  { path: '/sign-in', field: 'password', others: { email: DEMO.email }, who: 'nobody' },
  { path: '/profile', field: 'name', takes: ODD_NAMES },
  { path: '/password', field: 'current', others: { new: 'nine purple ladders' } },
  { path: '/password', field: 'new', others: { current: DEMO.password }, takes: ODD_PASSWORDS },
  { path: '/confirm', field: 'password' },
  { path: '/cart', field: 'product' },
  { path: '/cart', field: 'quantity', others: { product: 'desk-mug' }, takes: NO_QUANTITY },
  { path: '/cart/moon-jar', field: 'quantity' },
  { path: '/admin/accounts/ROBIN/role', field: 'role', who: 'admin' },
]

test.each(FORMS)(
  '$path with a $field that is wrong in any way stores nothing and says so',
  async ({ path, field, others = {}, who, takes = [] }) => {
    const shop = await openTestShop({ TRUST_PROXY: '1' })
    const robin = visitor(shop)
    await robin.signIn()
    await robin.add('moon-jar', 2)
    const admin = visitor(shop)
    await admin.signIn(DEMO_ADMIN.email, DEMO_ADMIN.password)
    const sender = who === 'nobody' ? visitor(shop) : who === 'admin' ? admin : robin
    const csrf = await sender.token()
    const id = robinIn(shop)
    const before = accountsOf(shop)
    let count = 0
    for (const [what, pattern] of Object.entries(BAD)) {
      if (takes.includes(what)) continue
      count += 1
      const { [field]: _, ...good } = others
      const rest = new URLSearchParams({ ...good, csrf }).toString()
      const bad = pattern.replaceAll(/(^|&)x/g, `$1${field}`)
      const answer = await sender.post(path.replace('ROBIN', id), {
        headers: {
          origin: shop.url,
          'content-type': FORM,
          // The limits have tests of their own.
          'x-forwarded-for': `203.0.113.${count}`,
        },
        body: `${rest}&${bad}`,
      })
      if (answer.status === 429) continue
      expect([400, 401, 413, 422], `${what}: ${answer.status}`).toContain(answer.status)
      expect(answer.cookies, what).toEqual([])
      expect(answer.text, what).toContain('</html>')
      expect(answer.text, what).not.toMatch(/<script>alert|node_modules|at \w+ \(|SQLITE/)
    }
    expect(count).toBeGreaterThan(8)
    expect(accountsOf(shop)).toEqual(before)
    expect(await robin.cart()).toEqual({ 'moon-jar': 2 })
  },
)

test.each([
  ['POST', '/api/cart', 'product', { quantity: 1 }],
  ['POST', '/api/cart', 'quantity', { product: 'moon-jar' }],
  ['PATCH', '/api/me', 'name', {}],
] as const)('%s %s refuses a %s of a wrong type', async (method, path, field, others) => {
  const shop = await openTestShop()
  const robin = visitor(shop)
  await robin.signIn()
  const headers = { origin: shop.url, 'x-csrf-token': await robin.token() }
  const values: unknown[] = [
    null,
    true,
    [],
    ['moon-jar'],
    {},
    { toString: 'x' },
    '',
    ' ',
    'x\u0000',
  ]
  if (field === 'quantity') values.push(0, -1, 1.5, 1e21, 501, '1e2', '0x10', '１', 'NaN')
  else values.push(0, 7, 'a'.repeat(500))
  const before = accountsOf(shop)
  for (const value of values) {
    const body = { ...others, [field]: value }
    const answer = await robin.request(path, { method, headers, body })
    expect([400, 422], `${JSON.stringify(value)}: ${answer.status}`).toContain(answer.status)
    expect(answer.json().error.status).toBe(answer.status)
  }
  expect(accountsOf(shop)).toEqual(before)
  expect(await robin.cart()).toEqual({})
})

test.each([
  ['text/plain', 'product=moon-jar'],
  ['application/json', '{"product":"moon-jar"}'],
  [
    'multipart/form-data; boundary=x',
    '--x\r\nContent-Disposition: form-data; name="product"\r\n\r\nmoon-jar\r\n--x--',
  ],
  ['application/x-www-form-urlencoded; charset=utf-7', 'product=moon-jar'],
  ['', 'product=moon-jar'],
])('a form sent as %j is not read', async (type, body) => {
  const shop = await openTestShop()
  const answer = await visitor(shop).post('/cart', {
    headers: { origin: shop.url, 'content-type': type },
    body,
  })
  expect([400, 415], String(answer.status)).toContain(answer.status)
  expect(answer.cookies).toEqual([])
})

test.each(['gzip', 'br', 'nonsense'])(
  'a body that says it is %s and is not is refused',
  async (encoding) => {
    const shop = await openTestShop()
    const answer = await visitor(shop).post('/cart', {
      headers: { origin: shop.url, 'content-type': FORM, 'content-encoding': encoding },
      body: 'product=moon-jar',
    })
    expect([400, 415]).toContain(answer.status)
  },
)

test('a form of a thousand fields is refused', async () => {
  const shop = await openTestShop()
  const answer = await visitor(shop).post('/cart', {
    headers: { origin: shop.url, 'content-type': FORM },
    body: `${'a=1&'.repeat(1000)}product=moon-jar`,
  })
  expect([answer.status, answer.cookies]).toEqual([413, []])
})

test.each([
  '/products/%',
  '/products/%ff',
  '/products/..%2f..%2fserver.js',
  '/art/%00.svg',
  '/%c0%ae%c0%ae/',
  '/devices/%',
  '/%2f',
  '/fonts/..%2f..%2fpackage.json',
  '/.env',
  '/admin/accounts/%00',
])('the address %s is a plain 400 or 404', async (path) => {
  const shop = await openTestShop()
  const admin = visitor(shop)
  await admin.signIn(DEMO_ADMIN.email, DEMO_ADMIN.password)
  const { status, text } = await admin.get(path)
  expect([400, 403, 404], String(status)).toContain(status)
  expect(text).not.toMatch(/node_modules|\/src\/|SQLITE|ENOENT/)
})

function robinIn(shop: TestShop): string {
  return accountsOf(shop).find(({ email }) => email === DEMO.email)!.id
}

function accountsOf({ dataDir }: TestShop): { id: string; email: string }[] {
  const db = openDatabase(`${dataDir}/shop.db`)
  try {
    return db.prepare('SELECT * FROM accounts ORDER BY id').all() as { id: string; email: string }[]
  } finally {
    db.close()
  }
}
