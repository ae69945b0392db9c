import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { SessionStore, StoreEvent, StoreFeed } from '../../src/core/store.js'
import { postgresStore } from '../../src/stores/postgres.js'
import { dist } from '../dist.js'
import { openSite } from '../promises/harness.js'
import { root, run } from '../run.js'
import * as bouncer from '../servers/pgbouncer.js'
import { ask, countStatements, login, missing, start } from '../servers/postgres.js'
import { startProxy } from '../servers/proxy.js'
import { sharedServer } from '../servers/shared.js'
import { gatedPool, openGate } from './postgres/hooks.js'
import { killListeners, listenersOf } from './postgres/listeners.js'
import { emptySchema, KINDS, key, NOW, openStore, record } from './postgres/opening.js'

const MARK = { value: 'm', expiresAt: NOW + 1e6 }

describe.skipIf(missing() !== undefined)('the feed of postgres', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('postgres')).port
    await countStatements(port)
  })

  test('is there only where it is asked for, and where the pool can', async () => {
    const schema = await emptySchema(port)
    expect(openStore({ port, schema }).watch).toBe(undefined)
    expect(openStore({ port, schema, feed: true }).watch).toBeTypeOf('function')
    const pool = gatedPool(new pg.Pool(), openGate())
    expect(() => postgresStore({ pool, feed: true })).toThrow(/cannot listen with this pool, which/)
    expect(() => openStore({ port, feed: 'yes' as never })).toThrow(/needs true or false as feed/)
  })

  test.each(KINDS)(
    'each change is told once, in the statement that makes it: with %s',
    async (kind) => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema, kind, feed: true })
      const names = Array.from({ length: 40 }, (_, index) => `k${index}`)
      await store.load(key('a'), NOW)
      const { told, close } = await listenTo(`staykept ${schema}.staykept_sessions`)
      const before = await statementsIn(schema)
      await Promise.all(
        names.map((name) => store.create(key(name), record({ userId: 'ada' }), NOW)),
      )
      await Promise.all(
        names.map((name) =>
          store.update(key(name), record({ version: 'w', userId: 'ada' }), 'v', NOW),
        ),
      )
      await store.update(key('k0'), record({ version: 'x' }), 'w', NOW, 'signIn')
      await store.touch(key('k1'), 'w', NOW + 1, NOW + 1000, NOW)
      await store.update(key('k1'), record(), 'other', NOW, 'signIn')
      await store.delete(key('k1'), NOW, 'signOut')
      await store.delete(key('k2'), NOW)
      await store.delete(key('k2'), NOW, 'signOut')
      await store.deleteByUser('ada', { except: [key('k3')], mark: MARK, now: NOW })
      await store.deleteExpired(100, NOW + 1e9)
      await close()
      const kept = names.slice(4)
      expect(told.sort()).toEqual(
        [
          ...names.map((name) => `c ${name} v`),
          ...names.map((name) => `c ${name} w`),
          ...['e k0 signIn', 'e k1 signOut', 'e k2'],
          ...kept.map((name) => `e ${name} revokeByUser`),
        ].sort(),
      )
      // 2 + 2 batches, then one each; the conflict is one more read, the end of a user a mark, a prune two.
      expect((await statementsIn(schema)) - before).toBe(4 + 1 + 1 + 2 + 3 + 2 + 2)
    },
  )

  test('a store that names its schema and one that finds it by its search_path hear each other', async () => {
    const schema = await emptySchema(port)
    const settings = { search_path: schema }
    const [named, found] = [{ schema }, { settings }].map((place) =>
      openStore({ port, feed: true, ...place }),
    ) as [SessionStore, SessionStore]
    for (const [one, other] of [
      [named, found],
      [found, named],
    ] as const) {
      const { events, feed } = watch(one)
      await feed.check()
      await other.create(key(other === named ? 'named' : 'found'), record(), NOW)
      await feed.check()
      expect(events.at(-1)).toMatchObject({ type: 'changed', version: 'v' })
      feed.stop()
    }
  })

  test.each(KINDS)(
    'a store that was closed refuses every check, and holds nobody up: with %s',
    async (kind) => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema, kind, feed: true })
      const before = store.watch?.(() => {}) as StoreFeed
      await before.check()
      await store.close?.()
      const after = store.watch?.(() => {}) as StoreFeed
      for (const feed of [before, after]) {
        await expect(Promise.resolve(feed.check())).rejects.toThrow('the store was closed')
      }
      await sleep(10)
    },
  )

  test('with pg, one connection beside the pool serves all watchers and is closed with the last', async () => {
    const schema = await emptySchema(port)
    const pool = new pg.Pool({ ...login(port), max: 1, application_name: schema })
    onTestFinished(() => pool.end())
    const store = postgresStore({ pool, schema, feed: true }) as Required<SessionStore>
    const [one, two] = [watch(store), watch(store)]
    await Promise.all([one.feed.check(), two.feed.check()])
    expect(await listenersOf(port, schema)).toHaveLength(1)
    one.feed.stop()
    await store.create(key('a'), record(), NOW)
    await two.feed.check()
    expect(one.events.map(({ type }) => type)).toEqual(['reset'])
    expect(two.events).toEqual([{ type: 'reset' }, { type: 'changed', key: 'a', version: 'v' }])
    await expect(one.feed.check()).rejects.toThrow('this feed was stopped')
    two.feed.stop()
    await expect.poll(() => listenersOf(port, schema)).toEqual([])
    watch(store)
    await expect.poll(() => listenersOf(port, schema)).toHaveLength(1)
    await store.close()
    await expect.poll(() => listenersOf(port, schema)).toEqual([])
  })

  test('with pg, a connection that is ended is told at once, and another takes its place', async () => {
    const schema = await emptySchema(port)
    const pool = new pg.Pool({ ...login(port), application_name: schema })
    onTestFinished(() => pool.end())
    const store = postgresStore({ pool, schema, feed: true }) as Required<SessionStore>
    const { events, feed } = watch(store)
    await feed.check()
    for (let round = 1; round <= 3; round += 1) {
      await killListeners(port, schema)
      await expect.poll(() => events.length).toBeGreaterThanOrEqual(1 + 2 * round - 1)
      await feed.check()
      expect(events.map(({ type }) => type)).toEqual(Array(1 + 2 * round).fill('reset'))
    }
    await store.create(key('a'), record(), NOW)
    await feed.check()
    expect(events.at(-1)).toEqual({ type: 'changed', key: 'a', version: 'v' })
    feed.stop()
  })

  test('with pg, a network that is silent leaves a check unanswered until another connection stands', async () => {
    const schema = await emptySchema(port)
    const proxy = await startProxy(port)
    onTestFinished(() => proxy.close())
    const store = openStore({ port: proxy.port, schema, feed: true })
    const one = watch(store)
    await one.feed.check()
    proxy.silence()
    const late = one.feed.check()
    expect(await Promise.race([late, sleep(300, 'unanswered')])).toBe('unanswered')
    // Who does not wait has a new one at once. The pool's own connections are silent, too.
    one.feed.stop()
    await store.reconnect()
    const two = watch(store)
    expect(await Promise.race([two.feed.check(), sleep(1900, 'unanswered')])).toBe(undefined)
    proxy.silence()
    await store.reconnect()
    const before = two.events.length
    await two.feed.check()
    expect(two.events.slice(before).map(({ type }) => type)).toEqual(['reset', 'reset'])
    two.feed.stop()
  })

  test('while the server is away a check is unanswered, and then there is a reset', async () => {
    const server = await start()
    onTestFinished(() => server.close())
    for (const kind of KINDS) {
      const store = openStore({ port: server.port, kind, feed: true })
      const { events, feed } = watch(store)
      await feed.check()
      await server.kill()
      const late = feed.check()
      expect(await Promise.race([late, sleep(200, 'unanswered')])).toBe('unanswered')
      await server.restart()
      await late
      expect(events.filter(({ type }) => type === 'reset').length).toBeGreaterThan(1)
      await store.create(key(kind), record(), NOW)
      await feed.check()
      expect(events.at(-1)).toEqual({ type: 'changed', key: kind, version: 'v' })
      feed.stop()
    }
    // A standby cannot listen.
    await server.kill()
    writeFileSync(join(server.folder, 'data', 'standby.signal'), '')
    await server.restart()
    for (const kind of KINDS) {
      const { feed } = watch(openStore({ port: server.port, kind, feed: true }))
      await expect(feed.check()).rejects.toThrow(/takes no changes here, as a standby/)
      feed.stop()
    }
  }, 30_000)

  test('a role that may not notify is told what to grant, by a check as by a change', async () => {
    const database = await emptySchema(port)
    await ask(port, `CREATE DATABASE ${database}`)
    const admin = new pg.Pool({ ...login(port), database })
    await admin.query('REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC')
    await admin.query(`CREATE ROLE ${database} LOGIN; GRANT ALL ON SCHEMA public TO ${database}`)
    onTestFinished(async () => {
      await admin.query(`DROP OWNED BY ${database}; DROP ROLE ${database}`)
      await admin.end()
      await ask(port, `DROP DATABASE ${database} WITH (FORCE)`)
    })
    const store = openStore({ port, database, user: database, feed: true })
    const { feed } = watch(store)
    const why = /does not let this role tell the feed .*: GRANT EXECUTE ON FUNCTION pg_notify/
    await expect(feed.check()).rejects.toThrow(why)
    await expect(store.create(key('a'), record(), NOW)).rejects.toThrow(why)
    feed.stop()
  })

  test.each(KINDS)('an open feed keeps no process alive: with %s', async (kind) => {
    const schema = await emptySchema(port)
    const script = `
      const { postgresStore } = require(process.env.STAYKEPT_DIST + '/postgres.cjs')
      const { openPool } = require('./test/stores/postgres.open.cjs')
      const { pool, close } = openPool({ port: ${port}, client: '${kind === 'pg' ? 'pg' : 'postgres'}' })
      const store = postgresStore({ pool, schema: '${schema}', feed: true })
      const feed = store.watch(() => {})
      const held = setInterval(() => {}, 1000)
      // Several at a time, and several times.
      const checks = () => Promise.all(Array.from({ length: 20 }, () => feed.check()))
      checks().then(checks).then(close).then(() => clearInterval(held)).then(() => console.log('ended'))`
    const env = { ...process.env, STAYKEPT_DIST: await dist() }
    const { code, stdout, stderr } = await run(process.execPath, ['-e', script], {
      cwd: root,
      env,
      timeout: 5000,
    })
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'ended\n', stderr: '' })
  })

  /** What a connection of the test's own hears on a channel. */
  async function listenTo(channel: string) {
    const client = new pg.Client(login(port))
    const told: string[] = []
    client.on('notification', ({ payload = '' }) => told.push(payload))
    await client.connect()
    await client.query(`LISTEN "${channel}"`)
    return {
      told,
      async close() {
        await client.query('SELECT 1')
        await client.end()
      },
    }
  }

  /** How many statements that touch the schema's tables were executed. */
  async function statementsIn(schema: string): Promise<number> {
    const [row] = await ask(
      port,
      `SELECT sum(calls)::int AS calls FROM pg_stat_statements WHERE query LIKE '%"${schema}".%'`,
    )
    return Number(row?.calls)
  }
})

describe.skipIf(bouncer.missing() !== undefined)('behind PgBouncer in transaction mode', () => {
  test.each(KINDS)('a check says why the feed cannot work: with %s', async (kind) => {
    const { port } = await sharedServer('pgbouncer')
    const schema = await emptySchema(port)
    const store = openStore({ port, schema, kind, feed: true })
    const { events, feed } = watch(store)
    const started = performance.now()
    const why = /does not hear what was told through the pool: .* PgBouncer in transaction mode/
    await expect(feed.check()).rejects.toThrow(why)
    // The core gives a feed up that says nothing for so long.
    expect(performance.now() - started).toBeLessThan(2000)
    await expect(feed.check()).rejects.toThrow(why)
    // Sessions do not suffer from it.
    expect(await store.create(key('a'), record(), NOW)).toBe(true)
    expect(events.every(({ type }) => type === 'reset')).toBe(true)
    feed.stop()
  })

  test('one warning says so where a near cache was wanted, and sessions work without it', async () => {
    const { port } = await sharedServer('pgbouncer')
    const store = openStore({ port, schema: await emptySchema(port), feed: true })
    const site = await openSite(store, { nearCache: true })
    const warnings: string[] = []
    site.sessions.on('warning', ({ code, message }) => {
      if (code === 'WARN_SESSION_FEED') warnings.push(message)
    })
    const user = site.browser()
    await user.do((session) => void Object.assign(session, { n: 1 }))
    await expect.poll(() => warnings, { timeout: 3000 }).toHaveLength(1)
    expect(warnings[0]).toMatch(/does not hear what was told through the pool: .*PgBouncer/)
    expect((await user.do((session) => session.n)).body).toBe(1)
    await site.sessions.close()
  })
})

function watch(store: SessionStore): { events: StoreEvent[]; feed: StoreFeed } {
  const events: StoreEvent[] = []
  const feed = (store as Required<SessionStore>).watch((event) => void events.push(event))
  return { events, feed }
}
