import { expect, test } from 'vitest'
import { DEMO } from '../../examples/shop/src/accounts.js'
import { openDatabase } from '../../examples/shop/src/db.js'
import { registrationProblems } from '../../examples/shop/src/forms.js'
import { safeReturnPath } from '../../examples/shop/src/return-path.js'
import { createClient } from '../http.js'
import { lasting, openTestShop, visitor } from './shop.js'

const ADA = { name: 'Ada', email: 'ada@example.com', password: 'seven green buttons' }

test('who registers can sign in, in any letter case of the address', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  expect((await ada.submit('/register', ADA)).headers.location).toBe(
    '/sign-in?registered=1&return=%2Fdashboard',
  )
  expect((await ada.get('/dashboard')).status).toBe(303)

  await ada.signIn('ADA@Example.com', ADA.password)
  expect((await ada.get('/dashboard')).text).toContain('Hello, Ada')
})

test('passwords are kept as argon2id with 19 MiB and two passes', async () => {
  const shop = await openTestShop()
  await visitor(shop).submit('/register', ADA)
  const db = openDatabase(`${shop.dataDir}/shop.db`)
  const rows = db.prepare('SELECT password FROM accounts').all() as { password: string }[]
  db.close()
  expect(rows).toHaveLength(3)
  for (const { password } of rows) {
    expect(password).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
  }
})

test('an old, cheaper hash is renewed at the next sign-in', async () => {
  const shop = await openTestShop()
  const db = openDatabase(`${shop.dataDir}/shop.db`)
  // "correct horse battery staple" at 8 MiB and one pass, as written by another implementation.
  const { hash } = await import('@node-rs/argon2')
  const cheap = await hash('correct horse battery staple', { memoryCost: 8192, timeCost: 1 })
  db.prepare('UPDATE accounts SET password = ?').run(cheap)

  const answer = await visitor(shop).signIn(DEMO.email, 'correct horse battery staple')

  expect(answer.status).toBe(303)
  const row = db.prepare('SELECT password FROM accounts WHERE email = ?').get(DEMO.email) as {
    password: string
  }
  db.close()
  expect(row.password).toContain('$m=19456,t=2,p=1$')
})

test('registering a taken address answers the same and changes nothing', async () => {
  const shop = await openTestShop()
  const first = await visitor(shop).submit('/register', ADA)
  const again = await visitor(shop).submit('/register', { ...ADA, password: 'nine purple ladders' })
  expect(lasting(again)).toEqual(lasting(first))

  const ada = visitor(shop)
  expect((await ada.signIn(ADA.email, 'nine purple ladders')).status).toBe(401)
  expect((await ada.signIn(ADA.email, ADA.password)).status).toBe(303)
})

test('a wrong password and an unknown address get the same answer', async () => {
  const shop = await openTestShop()
  const wrong = await visitor(shop).signIn(DEMO.email, 'not the password at all')
  const unknown = await visitor(shop).signIn('robyn@stillware.example', 'not the password at all')
  expect(wrong.status).toBe(401)
  expect(lasting({ ...unknown, text: unknown.text.replaceAll('robyn', 'robin') })).toEqual(
    lasting(wrong),
  )
  expect([...wrong.cookies, ...unknown.cookies]).toEqual([])
})

test('an unknown address costs as much time as a wrong password', async () => {
  const shop = await openTestShop({ TRUST_PROXY: '1' })
  const times = { known: [] as number[], unknown: [] as number[] }
  for (let i = 0; i < 15; i += 1) {
    for (const [kind, email] of [
      ['known', DEMO.email],
      ['unknown', 'robyn@stillware.example'],
    ] as const) {
      const began = performance.now()
      const fields = { email, password: 'not the password at all', csrf: '-' }
      await visitor(shop).submit('/sign-in', fields, { 'x-forwarded-for': `203.0.113.${i}` })
      times[kind].push(performance.now() - began)
    }
  }
  const median = (all: number[]) => all.sort((a, b) => a - b)[7]!
  const ratio = median(times.unknown) / median(times.known)
  // Without the hash it would be a tenth. How close it is to 1 is for a quieter machine to say.
  expect(ratio).toBeGreaterThan(0.5)
  expect(ratio).toBeLessThan(2)
})

test('after sign-out the cookie is gone, and a copy of it is dead', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const copy = createClient(shop.url, ada.jar.clone())
  expect((await copy.get('/dashboard')).status).toBe(200)

  const answer = await ada.submit('/sign-out')

  expect(answer.headers.location).toBe('/signed-out')
  expect(ada.jar.get('sid')).toBeUndefined()
  expect((await copy.get('/dashboard')).status).toBe(303)
})

test('a link cannot sign anyone out', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const answer = await ada.get('/sign-out')
  expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
  expect((await ada.get('/dashboard')).status).toBe(200)
})

test('every page of a signed-in visitor has a sign-out button and is not cached', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const pages = ['/', '/products/moon-jar', '/cart', '/dashboard', '/devices', '/profile']
  for (const path of [...pages, '/password', '/confirm', '/admin', '/sign-out', '/nowhere']) {
    const { text, headers } = await ada.get(path)
    expect(text, path).toContain('action="/sign-out"')
    expect(headers['cache-control'], path).toContain('no-store')
  }
})

test('sign-in leads on to the page that was asked for', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const { headers } = await ada.get('/devices')
  const page = await ada.get(String(headers.location))
  expect(page.text).toContain('name="return" value="/devices"')
  const { email, password } = DEMO
  const answer = await ada.submit('/sign-in', { email, password, return: '/devices' })
  expect(answer.headers.location).toBe('/devices')
})

test.each([
  '//evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/.//evil.example',
  '/..//evil.example',
  '/%2e//evil.example',
  'https://evil.example',
  'https:evil.example',
  'javascript:alert(1)',
  '',
  'dashboard',
  `/${'a'.repeat(600)}`,
  undefined,
  ['/cart', '/devices'],
])('%j is no place to return to', (value) => {
  expect(safeReturnPath(value)).toBe('/dashboard')
})

test('two hundred hostile places to return to lead to the dashboard, or to a page of this site', async () => {
  const hosts = ['evil.example', 'evil.example:443', 'me@evil.example', '[::1]', '0x7f000001']
  const shapes = [
    (host: string) => `//${host}`,
    (host: string) => `///${host}`,
    (host: string) => `////${host}/%2f..`,
    (host: string) => `/\\${host}`,
    (host: string) => `\\\\${host}`,
    (host: string) => `/\\/${host}`,
    (host: string) => `\\/${host}`,
    (host: string) => `/\t/${host}`,
    (host: string) => `/\r\n/${host}`,
    (host: string) => `/\r\nLocation: https://${host}`,
    (host: string) => `/%0d%0aLocation:%20https://${host}`,
    (host: string) => `/%09/${host}`,
    (host: string) => `/%5c${host}`,
    (host: string) => `/%2f${host}`,
    (host: string) => `/.//${host}`,
    (host: string) => `/./\\${host}`,
    (host: string) => `/..//${host}`,
    (host: string) => `/%2e%2e//${host}`,
    (host: string) => `/a/..//${host}`,
    (host: string) => `/a/../..//${host}`,
    (host: string) => `http:${host}`,
    (host: string) => `http:/${host}`,
    (host: string) => `https://${host}`,
    (host: string) => `HTTPS://${host}`,
    (host: string) => `ftp://${host}`,
    (host: string) => `//${host}\\@here`,
    (host: string) => `javascript://${host}/%0aalert(1)`,
    (host: string) => `java\nscript:alert('${host}')`,
    (host: string) => `data:text/html,<script>location='//${host}'</script>`,
    (host: string) => `vbscript:${host}`,
    (host: string) => ` //${host}`,
    (host: string) => `\u0000//${host}`,
    (host: string) => `/\u00a0/${host}`,
    (host: string) => `\uff0f\uff0f${host}`,
    (host: string) => `/\uff0f${host}`,
    (host: string) => `/\u2215${host}`,
    (host: string) => `@${host}`,
    (host: string) => `.${host}`,
    (host: string) => `:80@${host}`,
    (host: string) => `?//${host}`,
    (host: string) => `#//${host}`,
  ]
  const payloads = shapes.flatMap((shape) => hosts.map(shape))
  expect(payloads.length).toBeGreaterThan(200)
  const shop = await openTestShop()
  const robin = visitor(shop)
  await robin.signIn()
  for (const payload of payloads) {
    // Signed in already: the page sends on at once.
    const answer = await robin.get(`/sign-in?${new URLSearchParams({ return: payload })}`)
    const { status, headers } = answer
    const landed = new URL(headers.location!, `${shop.url}/sign-in`)
    expect([status, landed.origin], JSON.stringify(payload)).toEqual([303, shop.url])
    expect(headers.location, JSON.stringify(payload)).toMatch(/^\/(?![/\\])/)
  }
  const { email, password } = DEMO
  for (const payload of payloads.slice(0, 4)) {
    const answer = await visitor(shop).submit('/sign-in', { email, password, return: payload })
    expect(answer.headers.location).toBe('/dashboard')
  }
})

test.each(['/', '/cart', '/products/moon-jar?from=cart', '/a/../cart', '/%2F%2Fevil.example'])(
  '%s is a place to return to, on this site',
  (path) => {
    const result = safeReturnPath(path)
    expect(new URL(result, 'https://shop.example').origin).toBe('https://shop.example')
    expect(result).not.toBe('/dashboard')
  },
)

test.each([
  ['no name', { name: '' }, ['name']],
  ['a name of 81 characters', { name: 'a'.repeat(81) }, ['name']],
  ['a control character in the name', { name: 'A\u0007da' }, ['name']],
  ['no address', { email: '' }, ['email']],
  ['half an address', { email: 'ada@' }, ['email']],
  ['no password', { password: '' }, ['password']],
  ['14 characters', { password: 'abcdefgh ijklm' }, ['password']],
  ['15 characters', { password: 'abcdefgh ijklmn' }, []],
  ['64 words', { password: 'quiet teapot '.repeat(64) }, []],
  ['more than 1,024 bytes', { password: 'quiet teapot '.repeat(80) }, ['password']],
  ['one character over and over', { password: 'a'.repeat(20) }, ['password']],
  ['a common password twice', { password: 'passwordpassword1' }, ['password']],
  ['the own address', { password: 'ada@example.com1' }, ['password']],
])('registering with %s', (_, change, wrong) => {
  expect(Object.keys(registrationProblems({ ...ADA, ...change }))).toEqual(wrong)
})

test('a form that is wrong comes back with what was typed, but never the password', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const answer = await ada.submit('/register', {
    ...ADA,
    name: '<b>Ada</b>',
    password: 'secretive',
  })
  expect(answer.status).toBe(422)
  expect(answer.text).toContain('value="&lt;b&gt;Ada&lt;/b&gt;"')
  expect(answer.text).toContain('aria-invalid="true"')
  expect(answer.text).not.toContain('secretive')
})

test('an account that is gone takes its sessions along', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.signIn()
  const db = openDatabase(`${shop.dataDir}/shop.db`)
  db.exec('DELETE FROM accounts')
  db.close()
  expect((await ada.get('/dashboard')).status).toBe(303)
  expect(ada.jar.get('sid')).toBeUndefined()
})
