import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openShop } from '../../examples/shop/src/app.js'
import { readConfig } from '../../examples/shop/src/config.js'
import { createClient, serve } from '../http.js'
import { notRun } from '../not-run.js'
import { root } from '../run.js'
import { until } from '../servers/cluster.js'
import * as mariadb from '../servers/mariadb.js'
import * as mongodb from '../servers/mongodb.js'
import * as postgres from '../servers/postgres.js'
import { freePort, type ServerProcess } from '../servers/process.js'
import { ask, missing, type RedisSettings, start } from '../servers/redis.js'
import { newDatabase } from '../stores/mysql/databases.js'
import { type Running, startServer } from './server.js'
import { scratch, visitor } from './shop.js'
import { isSignedIn } from './to-and-fro.js'

interface Case {
  readonly name: string
  missing(): string | undefined
  start(port?: number): Promise<ServerProcess>
  address(port: number): string | Promise<string>
  /** How many clients are connected, but for the one that asks. */
  clients?(port: number): Promise<number>
}

const redisCase: Case = {
  name: 'Redis',
  missing,
  start: (port) =>
    start({
      ...(port === undefined ? {} : { port }),
      args: ['--appendonly', 'yes', '--appendfsync', 'always'],
    }),
  address: (port) => `redis://127.0.0.1:${port}`,
  clients: async (port) =>
    (await ask(port, 'CLIENT', 'LIST')).match(/ cmd=(?!client)/g)?.length ?? 0,
}

const early: readonly Case[] = [
  redisCase,
  {
    name: 'Redis Cluster',
    missing,
    async start(port) {
      const bus = await freePort()
      const args = ['--cluster-enabled', 'yes', '--cluster-port', String(bus)]
      const server = await start({ port: port as number, args })
      await ask(server.port, 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      await until(async () => /cluster_state:ok/.test(await ask(server.port, 'CLUSTER', 'INFO')))
      return server
    },
    address: (port) => `redis+cluster://127.0.0.1:${port}`,
  },
  {
    name: 'MongoDB, the double',
    missing: () => undefined,
    start: (port) => mongodb.start('replica-set', port),
    address: (port) => `${mongodb.urlOf(port)}stillware`,
  },
]

describe.each(early.filter(isThere))('with $name', ({ start, address }) => {
  test('the shop starts first, serves who has no session, and is ready soon after its store is there', async () => {
    const port = await freePort()
    const shop = await startServer(scratch(), { SESSION_STORE: await address(port) })
    const robin = visitor(shop)

    const { status, json } = await robin.get('/readyz')
    expect([status, json()]).toMatchObject([503, { data: true, sessions: false }])
    expect((await robin.get('/healthz')).status).toBe(200)
    expect((await robin.get('/')).status).toBe(200)
    const refused = await robin.signIn()
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1'])
    expect(refused.text).toContain('Back in a moment')
    expect(refused.cookies).toEqual([])
    expect(refused.text).not.toMatch(/redis|mongo|127\.0\.0\.1|ECONN/i)
    await until(async () => /WARN_SESSION_STORE.* ECONNREFUSED/.test(shop.printed()))

    const server = await start(port)
    onTestFinished(() => server.close())
    expect(await readyAfter(shop)).toBeLessThan(4000)
    expect((await robin.signIn()).status).toBe(303)
    expect(await isSignedIn(robin)).toBe(true)
  })
})

const late: readonly Case[] = [
  redisCase,
  {
    name: 'PostgreSQL',
    missing: postgres.missing,
    start: () => postgres.start(),
    address: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    async clients(port) {
      const others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
      return (await postgres.ask(port, `SELECT FROM pg_stat_activity WHERE ${others}`)).length
    },
  },
  {
    name: 'MariaDB',
    missing: mariadb.missing,
    start: () => mariadb.start(),
    async address(port) {
      const { login } = await newDatabase(port)
      return `mariadb://${login.user}:${login.password}@127.0.0.1:${port}/${login.database}`
    },
    clients: async (port) =>
      (await mariadb.ask(port, 'SHOW PROCESSLIST')).filter(({ User }) => User === 'application')
        .length,
  },
]

describe.each(late.filter(isThere))('with $name', ({ start, address, clients }) => {
  test('a closed shop has no connection to its store left', async () => {
    const server = await start()
    onTestFinished(() => server.close())
    const connected = async () => (await clients?.(server.port)) as number
    const SESSION_STORE = await address(server.port)
    const env = { DATA_DIR: scratch(), LOG_LEVEL: 'silent', SESSION_STORE }
    const shop = await openShop(readConfig(env))
    await visitor(await serve(shop.app)).signIn()
    expect(await connected()).toBeGreaterThan(0)
    await shop.close()
    await until(async () => (await connected()) === 0, 2000)
  })

  test('a store that hangs does not hold up the stop', async () => {
    const server = await start()
    onTestFinished(() => server.close())
    const shop = await startServer(scratch(), { SESSION_STORE: await address(server.port) })
    const robin = visitor(shop)
    await robin.signIn()
    server.pause()
    const page = robin.get('/dashboard')
    await pause(100)
    const started = Date.now()
    shop.child.kill('SIGTERM')
    expect((await page).status).toBe(503)
    expect(await shop.ended).toBe(0)
    expect(Date.now() - started).toBeLessThan(8000)
  })

  test('while the store is gone a page of a session is 503, and afterwards nobody is signed out', async () => {
    const server = await start()
    onTestFinished(() => server.close())
    const env = { SESSION_STORE: await address(server.port), LOG_LEVEL: 'warn' }
    const shop = await startServer(scratch(), env)
    const robin = visitor(shop)
    await robin.signIn()
    await robin.add('moon-jar')

    await server.kill()
    const page = await robin.get('/products/moon-jar?from=home')
    expect([page.status, page.headers['retry-after']]).toEqual([503, '1'])
    expect(page.text).toContain('Back in a moment')
    expect(page.text).toContain('href="/products/moon-jar?from=home">Open the page again')
    expect(page.cookies).toEqual([])
    const change = await robin.post('/api/cart', {
      headers: { origin: shop.url },
      body: { product: 'desk-mug' },
    })
    expect([change.status, change.json().error.status]).toEqual([503, 503])
    expect((await visitor(shop).get('/')).status).toBe(200)
    expect((await robin.get('/healthz')).status).toBe(200)
    expect((await robin.get('/readyz')).status).toBe(503)
    await until(async () => {
      await robin.get('/cart')
      return /"level":50,[^\n]*"session store: [^\n"]+"/.test(shop.printed())
    })

    await server.restart()
    expect(await readyAfter(shop)).toBeLessThan(4000)
    await until(async () => shop.printed().includes('"session store: answers again"'))
    expect(await isSignedIn(robin)).toBe(true)
    expect(await robin.cart()).toEqual({ 'moon-jar': 1 })
    expect(shop.child.exitCode).toBe(null)
  })
})

describe.skipIf(missing() !== undefined)('with Redis', () => {
  test('a wrong password for Redis is told, and not quoted', async () => {
    const server = await redis({ args: ['--requirepass', 'three-brown-bears'] })
    const shop = await startServer(scratch(), {
      SESSION_STORE: `redis://:hunter2@127.0.0.1:${server.port}`,
      LOG_LEVEL: 'trace',
    })
    await createClient(shop.url).get('/readyz')
    expect((await visitor(shop).signIn()).status).toBe(503)
    expect(shop.printed()).toMatch(/WRONGPASS/)
    expect(shop.printed()).not.toContain('hunter2')
  })
})

test('a new role says so where the sessions of its account could not be ended', async () => {
  const port = await freePort()
  const dataDir = scratch()
  await startServer(dataDir)
  const env = { DATA_DIR: dataDir, SESSION_STORE: `redis://127.0.0.1:${port}` }
  const grant = promisify(execFile)(
    process.execPath,
    [join(root, 'examples/shop/dist/grant.js'), 'robin@stillware.example', 'admin'],
    { env },
  )
  await expect(grant).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^robin@stillware\.example has the role admin, but its sessions go on: .*ECONNREFUSED.* Run this again\.\n$/,
    ),
  })
})

function isThere({ name, missing }: Case): boolean {
  const why = missing()
  if (why !== undefined) notRun(`outages of ${name} in the shop`, why)
  return why === undefined
}

/** A server of this test alone: it is stopped, or asked who is connected. */
async function redis(settings?: RedisSettings): Promise<ServerProcess> {
  const server = await start(settings)
  onTestFinished(() => server.close())
  return server
}

/** Milliseconds. */
async function readyAfter({ url }: Running): Promise<number> {
  const started = Date.now()
  while ((await createClient(url).get('/readyz')).status !== 200) {
    if (Date.now() - started > 20_000) throw new Error('the shop does not get ready')
    await pause(50)
  }
  return Date.now() - started
}
