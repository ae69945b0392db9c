import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { movableClock } from '../../src/testing.js'
import { createClient } from '../http.js'
import { openTestShop, scratch, sessionIdOf, type TestShop, type Visitor, visitor } from './shop.js'

const PAGES = ['/admin', '/admin/accounts/x'] as const

test('a customer gets 403 where an admin works, and 401 or the sign-in page without signing in', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  for (const path of PAGES) {
    const page = await robin.get(path)
    expect([page.status, page.text.includes('Not for this account')]).toEqual([403, true])
    expect((await visitor(shop).get(path)).headers.location).toMatch(/^\/sign-in\?return=/)
  }
  const json = await robin.get('/api/admin/accounts')
  expect([json.status, json.json().error.title]).toEqual([403, 'Not for this account'])
  expect((await visitor(shop).get('/api/admin/accounts')).status).toBe(401)
  expect((await robin.get('/dashboard')).text).not.toContain('href="/admin"')
})

test('no action of an admin works for a customer', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const morgan = await asAdmin(shop)
  const id = await idOf(morgan, DEMO_ADMIN.email)
  const own = await idOf(morgan, DEMO.email)
  for (const [path, fields] of [
    [`/admin/accounts/${id}/sign-out`, {}],
    [`/admin/accounts/${id}/devices/${sessionIdOf(morgan)}/sign-out`, {}],
    [`/admin/accounts/${own}/role`, { role: 'admin' }],
  ] as const) {
    expect((await robin.submit(path, fields)).status).toBe(403)
  }
  const headers = { origin: shop.url, 'x-csrf-token': await robin.token() }
  const path = `/api/admin/accounts/${id}/sessions`
  expect((await robin.request(path, { method: 'DELETE', headers })).status).toBe(403)
  expect((await morgan.get('/admin')).status).toBe(200)
  expect((await robin.get('/api/me')).json().role).toBe('customer')
})

test('an admin sees who is signed in, and signs out one device or all', async () => {
  const shop = await openTestShop()
  const [laptop, phone, tablet] = [
    await signedIn(shop),
    await signedIn(shop),
    await signedIn(shop),
  ] as const
  const morgan = await asAdmin(shop)
  const list = (await morgan.get('/admin?search=ROBIN')).text
  expect(list).toContain('3 devices')
  expect(list).not.toContain(DEMO_ADMIN.email)
  const robin = await idOf(morgan, DEMO.email)
  expect((await morgan.get(`/admin/accounts/${robin}`)).text).toContain(sessionIdOf(phone))

  await morgan.submit(`/admin/accounts/${robin}/devices/${sessionIdOf(phone)}/sign-out`)
  expect((await phone.get('/api/me')).status).toBe(401)
  expect((await laptop.get('/api/me')).status).toBe(200)

  await morgan.submit(`/admin/accounts/${robin}/sign-out`)
  expect((await morgan.get(`/admin/accounts/${robin}`)).text).toContain('2 devices are signed out')
  for (const device of [laptop, tablet]) expect((await device.get('/api/me')).status).toBe(401)
})

test("through one account's address no device of another can be signed out", async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const morgan = await asAdmin(shop)
  const own = await idOf(morgan, DEMO_ADMIN.email)
  await morgan.submit(`/admin/accounts/${own}/devices/${sessionIdOf(robin)}/sign-out`)
  expect((await robin.get('/dashboard')).status).toBe(200)
})

test('the list holds at most twenty accounts, and search finds the others', async () => {
  const shop = await openTestShop({ TRUST_PROXY: '1' })
  const { openDatabase } = await import('../../examples/shop/src/db.js')
  const db = openDatabase(`${shop.dataDir}/shop.db`)
  const insert = db.prepare(
    'INSERT INTO accounts (id, email, name, password, created_at) VALUES (?, ?, ?, ?, ?)',
  )
  for (let i = 0; i < 50; i += 1) {
    insert.run(`id${i}`, `ada${i}@example.com`, `Ada ${i} %_`, 'x', Date.now() + i)
  }
  db.close()
  const morgan = await asAdmin(shop)
  expect((await morgan.get('/admin')).text.match(/class="person"/g)).toHaveLength(20)
  const one = (await morgan.get('/admin?search=ada7%40')).text
  expect(one.match(/class="person"/g)).toHaveLength(1)
  for (const search of ['%27%20OR%201%3D1', '%5C', 'x'.repeat(3000), '%00']) {
    expect((await morgan.get(`/admin?search=${search}`)).text).toContain('Nobody by that name.')
  }
  // Not a pattern: it is a text that stands in every one of those names.
  expect((await morgan.get('/admin?search=7%20%25_')).text.match(/class="person"/g)).toHaveLength(5)
  expect((await morgan.get('/admin?search=a&search=b')).status).toBe(200)
})

test('a new role takes a new sign-in, and the cookies from before are dead', async () => {
  const shop = await openTestShop()
  const robin = await signedIn(shop)
  const before = createClient(shop.url, robin.jar.clone())
  const morgan = await asAdmin(shop)
  const id = await idOf(morgan, DEMO.email)

  await morgan.submit(`/admin/accounts/${id}/role`, { role: 'admin' })

  expect((await robin.get('/dashboard')).status).toBe(303)
  await robin.signIn()
  expect((await robin.get('/admin')).status).toBe(200)
  expect((await before.get('/dashboard')).status).toBe(303)

  await morgan.submit(`/admin/accounts/${id}/role`, { role: 'customer' })
  expect((await robin.get('/admin')).status).toBe(303)
  await robin.signIn()
  expect((await robin.get('/admin')).status).toBe(403)
})

test('a role that is taken away in the database counts at the very next request', async () => {
  const shop = await openTestShop()
  const morgan = await asAdmin(shop)
  const { openDatabase } = await import('../../examples/shop/src/db.js')
  const db = openDatabase(`${shop.dataDir}/shop.db`)
  db.exec("UPDATE accounts SET role = 'customer'")
  db.close()
  expect((await morgan.get('/admin')).status).toBe(403)
})

test.each(['owner', '', 'Admin', '__proto__', 'admin '.repeat(3000)])(
  'the role %j is refused and changes nothing',
  async (role) => {
    const shop = await openTestShop()
    const morgan = await asAdmin(shop)
    const id = await idOf(morgan, DEMO.email)
    const { status } = await morgan.submit(`/admin/accounts/${id}/role`, { role })
    expect([400, 413]).toContain(status)
    expect((await morgan.get('/api/admin/accounts?search=robin')).json().accounts[0].role).toBe(
      'customer',
    )
  },
)

test('an admin cannot lock themselves out by their own role', async () => {
  const shop = await openTestShop()
  const morgan = await asAdmin(shop)
  const id = await idOf(morgan, DEMO_ADMIN.email)
  expect((await morgan.submit(`/admin/accounts/${id}/role`, { role: 'customer' })).status).toBe(400)
  expect((await morgan.get('/admin')).status).toBe(200)
})

test('an old sign-in is asked for the password before it changes a role', async () => {
  const clock = movableClock()
  const shop = await openTestShop({}, scratch(), clock)
  const morgan = await asAdmin(shop)
  const id = await idOf(morgan, DEMO.email)
  clock.advance(11 * 60_000)
  const page = `/admin/accounts/${id}`
  const referer = { referer: `${shop.url}${page}` }
  const answer = await morgan.submit(`${page}/role`, { role: 'admin' }, referer)
  expect(answer.headers.location).toBe(`/confirm?return=${encodeURIComponent(page)}`)
  expect((await morgan.get(page)).text).toContain('Make an admin')
})

test('a role or a price that a client sends is not read', async () => {
  const shop = await openTestShop()
  const eve = visitor(shop)
  const account = { name: 'Eve', email: 'eve@example.com', password: 'eleven loud whistles' }
  await eve.submit('/register', { ...account, role: 'admin', demo: '1', id: 'eve' })
  await eve.submit('/sign-in', { ...account, role: 'admin', userId: 'morgan' })
  await eve.submit('/profile', { name: 'Eve', role: 'admin', email: DEMO.email })
  const headers = { origin: shop.url, 'x-csrf-token': await eve.token() }
  const patched = await eve.request('/api/me', {
    method: 'PATCH',
    headers,
    body: { name: 'Eve II', role: 'admin', account: { role: 'admin' }, id: 'x', __proto__: {} },
  })
  expect([patched.status, patched.json()]).toEqual([200, { name: 'Eve II' }])
  expect((await eve.get('/api/me')).json()).toMatchObject({
    name: 'Eve II',
    email: account.email,
    role: 'customer',
  })
  expect((await eve.get('/admin')).status).toBe(403)

  await eve.submit('/cart', { product: 'moon-jar', price: '1', total: '1' })
  expect((await eve.get('/api/cart')).json().total).toBe(14_800)
})

test('through the API a device of the own account can be signed out, and no other', async () => {
  const shop = await openTestShop()
  const [laptop, phone] = [await signedIn(shop), await signedIn(shop)]
  const morgan = await asAdmin(shop)
  const headers = { origin: shop.url, 'x-csrf-token': await laptop.token() }
  const end = async (id: string | undefined) =>
    (await laptop.request(`/api/devices/${id}`, { method: 'DELETE', headers })).status
  expect(await end(sessionIdOf(morgan))).toBe(404)
  expect(await end('nothing')).toBe(404)
  expect(await end(sessionIdOf(phone))).toBe(204)
  expect(await end(sessionIdOf(phone))).toBe(404)
  expect((await phone.get('/api/me')).status).toBe(401)
  expect((await morgan.get('/api/me')).status).toBe(200)
})

test.each([
  ['https://app.example.com', true],
  ['http://localhost:5173', true],
  ['https://app.example.com.evil.example', false],
  ['https://evil.example', false],
  ['http://app.example.com', false],
  ['https://app.example.com:8443', false],
  ['https://APP.example.com', false],
  ['null', false],
])('for the API the origin %s is allowed: %s', async (origin, isAllowed) => {
  const shop = await openTestShop({
    ALLOWED_ORIGINS: 'https://app.example.com, http://localhost:5173',
  })
  const robin = await signedIn(shop)
  const asked = await robin.get('/api/me', { headers: { origin } })
  expect(asked.headers['access-control-allow-origin']).toBe(isAllowed ? origin : undefined)
  expect(asked.headers['access-control-allow-origin']).not.toBe('*')
  expect(asked.headers.vary).toContain('Origin')

  const preflight = await robin.request('/api/cart', {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-csrf-token',
    },
  })
  expect(preflight.headers['access-control-allow-origin']).toBe(isAllowed ? origin : undefined)

  const { csrf } = asked.json()
  const from = { origin, 'sec-fetch-site': 'same-site' }
  const body = { product: 'moon-jar' }
  const blind = await robin.post('/api/cart', { headers: from, body })
  expect(blind.status).toBe(403)
  const added = await robin.post('/api/cart', { headers: { ...from, 'x-csrf-token': csrf }, body })
  expect(added.status).toBe(isAllowed ? 201 : 403)
  // The list is for the API: pages take forms from their own site only.
  const form = await robin.submit('/cart', { product: 'moon-jar' }, from)
  expect(form.status).toBe(403)
  expect(form.headers['access-control-allow-origin']).toBeUndefined()
})

test('the answer of an error tells an allowed origin what is wrong', async () => {
  const shop = await openTestShop({ ALLOWED_ORIGINS: 'https://app.example.com' })
  const headers = { origin: 'https://app.example.com' }
  const answer = await visitor(shop).get('/api/me', { headers })
  expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([
    401,
    'https://app.example.com',
  ])
  expect(answer.headers['access-control-allow-credentials']).toBe('true')
})

async function signedIn(shop: TestShop): Promise<Visitor> {
  const one = visitor(shop)
  await one.signIn()
  return one
}

async function asAdmin(shop: TestShop): Promise<Visitor> {
  const one = visitor(shop)
  await one.signIn(DEMO_ADMIN.email, DEMO_ADMIN.password)
  return one
}

async function idOf(admin: Visitor, email: string): Promise<string> {
  const { accounts } = (await admin.get(`/api/admin/accounts?search=${email}`)).json() as {
    accounts: { id: string }[]
  }
  return accounts[0]!.id
}
