import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Database from 'libsql'
import { expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../examples/shop/src/config.js'
import { createClient } from '../http.js'
import { node24 } from '../node24.js'
import { notRun } from '../not-run.js'
import { root } from '../run.js'
import { spawnServer, startServer } from './server.js'
import { openTestShop, scratch, visitor } from './shop.js'

const SECRET = 'a secret of more than thirty-two characters'

test('in development a secret is made once, kept for the next start, and readable by nobody else', () => {
  const DATA_DIR = scratch()
  const { secrets } = readConfig({ DATA_DIR })
  expect(secrets[0]!.length).toBeGreaterThanOrEqual(32)
  expect(readConfig({ DATA_DIR }).secrets).toEqual(secrets)
  expect(readdirSync(DATA_DIR)).toEqual(['session-secret'])
  const file = join(DATA_DIR, 'session-secret')
  expect(readFileSync(file, 'utf8')).toBe(secrets[0])
  if (process.platform !== 'win32') expect(statSync(file).mode & 0o077).toBe(0)
})

test.each([
  ['no secret in production', { NODE_ENV: 'production' }, /SESSION_SECRET is missing.*openssl/],
  ['a short secret', { SESSION_SECRET: 'keyboard_cat' }, /at least 32 characters/],
  ['a stray comma', { SESSION_SECRET: `${SECRET},` }, /at least 32 characters/],
  ['a port that is none', { PORT: 'http' }, /PORT must be a number.*"http"/],
  ['a port too high', { PORT: '65536' }, /PORT must be a number/],
  ['trust in everybody', { TRUST_PROXY: 'true' }, /how many proxies/],
  [
    'the demo account in production',
    { NODE_ENV: 'production', SESSION_SECRET: SECRET, DEMO_ACCOUNT: 'on' },
    /DEMO_ACCOUNT is for development/,
  ],
  ['every origin', { ALLOWED_ORIGINS: '*' }, /"\*" is no origin/],
  ['the origin null', { ALLOWED_ORIGINS: 'null' }, /"null" is no origin/],
  ['an origin with a path', { ALLOWED_ORIGINS: 'https://a.example/' }, /is no origin/],
  ['an empty origin', { ALLOWED_ORIGINS: 'https://a.example,' }, /"" is no origin/],
  ['an origin that is a script', { ALLOWED_ORIGINS: 'javascript:alert(1)' }, /is no origin/],
])('%s is refused with the mend', (_, env, message) => {
  expect(() => readConfig({ DATA_DIR: scratch(), ...env })).toThrow(message)
})

test.each([
  ['sqlite:', 'sessions.db', true],
  ['sqlite:elsewhere/s.db', 'elsewhere/s.db', true],
  ['memory:', 'sessions.db', false],
])(
  'with SESSION_STORE=%s sessions are kept in %s after a restart: %s',
  async (store, file, kept) => {
    const dataDir = scratch()
    const env = { SESSION_SECRET: SECRET, SESSION_STORE: store }
    const before = await openTestShop(env, dataDir)
    const robin = visitor(before)
    await robin.signIn()
    expect((await robin.get('/dashboard')).status).toBe(200)
    expect(existsSync(join(dataDir, file))).toBe(kept)
    await before.close()
    const after = await openTestShop(env, dataDir)
    const { status } = await createClient(after.url, robin.jar).get('/dashboard')
    expect(status).toBe(kept ? 200 : 303)
  },
)

test('an account becomes admin by a command, which signs it out', async () => {
  const dataDir = scratch()
  const server = await startServer(dataDir)
  const robin = visitor(server)
  await robin.signIn()
  const grant = (...args: string[]) =>
    promisify(execFile)(process.execPath, [join(root, 'examples/shop/dist/grant.js'), ...args], {
      env: { DATA_DIR: dataDir },
    })
  const { stdout } = await grant('ROBIN@stillware.example', 'admin')
  expect(stdout).toBe('robin@stillware.example has the role admin. Sessions ended: 1.\n')
  expect((await robin.get('/admin')).status).toBe(303)
  await robin.signIn()
  expect((await robin.get('/admin')).status).toBe(200)
  await expect(grant('nobody@stillware.example', 'admin')).rejects.toMatchObject({ code: 1 })
  await expect(grant('robin@stillware.example', 'owner')).rejects.toMatchObject({ code: 2 })
})

test('the data folder does not depend on where the shop is started', () => {
  expect(readConfig({}).dataDir).toBe(join(root, 'examples/shop/.data'))
})

test('a rotated secret signs nobody out', async () => {
  const dataDir = scratch()
  const before = await openTestShop({ SESSION_SECRET: SECRET }, dataDir)
  const ada = visitor(before)
  await ada.signIn()
  await before.close()

  const after = await openTestShop({ SESSION_SECRET: `a new ${SECRET},${SECRET}` }, dataDir)
  expect((await createClient(after.url, ada.jar).get('/dashboard')).status).toBe(200)
})

test('a demo account in a database that came to production is nobody', async () => {
  const dataDir = scratch()
  const env = { SESSION_SECRET: SECRET }
  const before = await openTestShop(env, dataDir)
  const robin = visitor(before)
  await robin.signIn()
  await before.close()

  const after = await openTestShop({ ...env, NODE_ENV: 'production', TRUST_PROXY: '1' }, dataDir)
  const again = visitor(after, createClient(after.url, robin.jar))
  expect((await again.get('/dashboard')).status).toBe(303)
  expect((await visitor(after).signIn()).status).toBe(401)
})

test('behind a proxy that speaks HTTPS the cookie is Secure and has the __Host- prefix', async () => {
  const shop = await openTestShop({ TRUST_PROXY: '1' })
  const answer = await createClient(shop.url).post('/cart', {
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-forwarded-proto': 'https',
      'sec-fetch-site': 'same-origin',
    },
    body: 'product=moon-jar',
  })
  expect(answer.cookies).toHaveLength(1)
  expect(answer.cookies[0]).toMatch(/^__Host-sid=.*; Path=\/;.*HttpOnly.*Secure.*SameSite=Lax/)
  expect(answer.headers['cache-control']).toContain('no-store')
})

test('while the session database is locked, a change is refused with 503 and a time to come back', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  await ada.add('moon-jar')
  const other = new Database(join(shop.dataDir, 'sessions.db'))
  other.exec('BEGIN IMMEDIATE')

  const page = await ada.add('desk-mug')
  const json = await ada.post('/api/cart', {
    headers: { origin: shop.url },
    body: { product: 'desk-mug' },
  })

  expect([page.status, json.status]).toEqual([503, 503])
  expect(page.headers['retry-after']).toBe('1')
  expect(page.text).toContain('Back in a moment')
  expect(json.json().error.status).toBe(503)
  expect((await ada.get('/healthz')).status).toBe(200)

  other.exec('ROLLBACK')
  other.close()
  expect(await ada.cart()).toEqual({ 'moon-jar': 1 })
  expect((await ada.add('desk-mug')).status).toBe(303)
})

test('ready while the databases answer, not ready on the way out', async () => {
  const shop = await openTestShop()
  const ada = visitor(shop)
  const ready = await ada.get('/readyz')
  expect([ready.status, ready.json()]).toEqual([
    200,
    { ok: true, data: true, sessions: true, draining: false },
  ])
  shop.drain()
  const leaving = await ada.get('/readyz')
  expect([leaving.status, leaving.headers['retry-after']]).toEqual([503, '5'])
  expect((await ada.get('/healthz')).status).toBe(200)
})

test('SIGTERM ends with 0, tears no answer, and keeps every session', async () => {
  const dataDir = scratch()
  const first = await startServer(dataDir)
  const ada = visitor(first)
  await ada.signIn()
  await ada.add('moon-jar')
  const csrf = await ada.token()
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 })
  const additions = Array.from({ length: 60 }, () =>
    ada
      .post('/cart', {
        agent,
        headers: { origin: first.url, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ product: 'salt-pot', csrf }).toString(),
      })
      .then(
        ({ status, isWhole }) => (isWhole ? status : 'torn'),
        // Asked on a connection that the server had not taken up, or no longer did.
        () => 'never taken',
      ),
  )
  await Promise.race(additions)
  const started = Date.now()
  first.child.kill('SIGTERM')
  const results = await Promise.all(additions)

  expect(await first.ended).toBe(0)
  expect(Date.now() - started).toBeLessThan(10_000)
  const stored = results.filter((result) => result === 303).length
  expect(results.filter((result) => result !== 303 && result !== 'never taken')).toEqual([])
  expect(stored).toBeGreaterThan(0)

  const second = await startServer(dataDir)
  const later = visitor(second, createClient(second.url, ada.jar))
  expect((await later.get('/dashboard')).status).toBe(200)
  const cart = await later.cart()
  expect(cart['moon-jar']).toBe(1)
  expect(cart['salt-pot']).toBe(stored)
})

test('an open keep-alive connection does not hold up the stop', async () => {
  const server = await startServer(scratch())
  const agent = new http.Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  await createClient(server.url).get('/', { agent })
  const started = Date.now()
  server.child.kill('SIGTERM')
  expect(await server.ended).toBe(0)
  expect(Date.now() - started).toBeLessThan(2_000)
})

test('the start says where the shop is and its sessions are, and in development who can sign in', async () => {
  const dataDir = scratch()
  const development = await startServer(dataDir)
  expect(development.printed()).toMatch(
    /open at http:\/\/localhost:\d+\nSessions are kept in (.*)\nNear cache: off.*\n.*\n.*robin@stillware\.example/,
  )
  expect(development.printed()).toContain(
    `Sessions are kept in SQLite, in ${join(dataDir, 'sessions.db')}\n`,
  )
  const production = await startServer(scratch(), {
    NODE_ENV: 'production',
    SESSION_SECRET: SECRET,
  })
  expect(production.printed()).not.toContain('@stillware')
})

test('a shop that starts while another makes the database waits for it', async () => {
  const dataDir = scratch()
  const making = `
    const db = new (require('libsql'))(process.argv[1])
    db.exec('CREATE TABLE another (x); BEGIN EXCLUSIVE')
    console.log('locked')
    process.stdin.once('data', () => setTimeout(() => db.exec('COMMIT'), 3000))
    process.stdin.once('end', () => process.exit())`
  const other = spawn(process.execPath, ['-e', making, join(dataDir, 'shop.db')], { cwd: root })
  onTestFinished(() => void other.kill('SIGKILL'))
  await once(other.stdout, 'data')
  const shop = await spawnServer(dataDir)
  other.stdin.write('go')
  await Promise.race([shop.ended, once(shop.child.stdout!, 'data')])
  expect(shop.printed()).toMatch(/is open at/)
})

test('a wrong setting ends the start with one sentence and no stack', async () => {
  const server = await spawnServer(scratch(), { NODE_ENV: 'production' })
  expect(await server.ended).toBe(1)
  expect(server.printed()).toMatch(/^SESSION_SECRET is missing\. [^\n]+\n$/)
})

test('a port that is taken ends the start with another to try', async () => {
  const first = await startServer(scratch())
  const { port } = new URL(first.url)
  const second = await spawnServer(scratch(), { PORT: port })
  expect(await second.ended).toBe(1)
  expect(second.printed()).toBe(
    `Port ${port} is taken. Choose another: PORT=${Number(port) + 1} npm start\n`,
  )
})

test('an account and its session move from this Node to Node 24 and back', async (context) => {
  const newer = await node24().catch((error) => notRun('Node 24', error.message, context))
  const dataDir = scratch()
  const here = await startServer(dataDir)
  const ada = visitor(here)
  const account = { name: 'Ada', email: 'ada@example.com', password: 'seven green buttons' }
  await ada.submit('/register', account)
  await ada.signIn(account.email, account.password)
  here.child.kill('SIGTERM')
  await here.ended

  const there = await startServer(dataDir, {}, newer)
  const moved = visitor(there, createClient(there.url, ada.jar))
  expect((await moved.get('/dashboard')).text).toContain('Hello, Ada')
  // Hashed by @node-rs/argon2, verified by the argon2 of Node itself, and the other way round.
  expect((await visitor(there).signIn(account.email, account.password)).status).toBe(303)
  const bob = { name: 'Bob', email: 'bob@example.com', password: 'nine purple ladders' }
  await visitor(there).submit('/register', bob)
  there.child.kill('SIGTERM')
  await there.ended

  const back = await startServer(dataDir)
  expect((await visitor(back).signIn(bob.email, bob.password)).status).toBe(303)
})
