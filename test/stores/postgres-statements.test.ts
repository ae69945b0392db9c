import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { postgresStore } from '../../src/stores/postgres.js'
import { openSite } from '../promises/harness.js'
import * as bouncer from '../servers/pgbouncer.js'
import { ask, countStatements, login, missing } from '../servers/postgres.js'
import { sharedServer } from '../servers/shared.js'
import { gatedPool, openGate } from './postgres/hooks.js'
import { emptySchema, HOUR, KINDS, key, NOW, openStore, record } from './postgres/opening.js'

describe.skipIf(missing() !== undefined)('statements', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('postgres')).port
    await countStatements(port)
  })

  describe('counted by the server', () => {
    test.each(KINDS)('a request costs few of them: with %s', async (kind) => {
      const schema = await emptySchema(port)
      const site = await openSite(openStore({ port, schema, kind }))
      const user = site.browser()
      const cost = async (request: () => Promise<unknown>) => {
        const before = await countsIn(schema)
        await request()
        return (await countsIn(schema)).map((count, index) => count - (before[index] ?? 0))
      }
      await user.do((session) => session.signIn('ada', { data: { n: 1 } }))
      // SELECT, INSERT, UPDATE, DELETE
      expect(await cost(() => site.browser().do((session) => session.n))).toEqual([0, 0, 0, 0])
      const forged = site.browser()
      forged.jar.store(`${user.jar.header().replace(/.$/, 'x')}; Path=/`)
      expect(await cost(() => forged.do((session) => session.n))).toEqual([0, 0, 0, 0])
      expect(await cost(() => user.do((session) => session.n))).toEqual([1, 0, 0, 0])
      expect(await cost(() => user.do((session) => void Object.assign(session, { n: 2 })))).toEqual(
        [1, 0, 1, 0],
      )
      // The session, and then the mark.
      const signIn = () => site.browser().do((session) => session.signIn('grace'))
      expect(await cost(signIn)).toEqual([1, 1, 0, 0])
      expect(await cost(() => site.sessions.listByUser('ada'))).toEqual([1, 0, 0, 0])
      // The mark, and the sessions.
      expect(await cost(() => site.sessions.revokeByUser('ada'))).toEqual([0, 1, 0, 1])
    })

    test('fifty reads in one moment are one, and each gets its own record', async () => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema })
      const names = Array.from({ length: 50 }, (_, index) => `k${index}`)
      await Promise.all(
        names.map((name) => store.create(key(name), record({ payload: name }), NOW)),
      )
      const before = await countsIn(schema)
      const loaded = await Promise.all(names.map((name) => store.load(key(name), NOW)))
      expect(loaded.map((one) => one?.payload)).toEqual(names)
      expect((await countsIn(schema))[0]).toBe((before[0] ?? 0) + 1)
    })

    test('fifty changes in one moment are two, and each lands', async () => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema })
      const names = Array.from({ length: 50 }, (_, index) => `k${index}`)
      await store.load(key('a'), NOW)
      const before = await countsIn(schema)
      const made = names.map((name) => store.create(key(name), record({ payload: name }), NOW))
      expect(await Promise.all(made)).toEqual(Array(50).fill(true))
      const changed = names.map((name) =>
        store.update(key(name), record({ version: 'w', payload: `of ${name}` }), 'v', NOW),
      )
      expect(await Promise.all(changed)).toEqual(Array(50).fill({ outcome: 'updated' }))
      const loaded = await Promise.all(names.map((name) => store.load(key(name), NOW)))
      expect(loaded.map((one) => one?.payload)).toEqual(names.map((name) => `of ${name}`))
      const cost = (await countsIn(schema)).map((count, index) => count - (before[index] ?? 0))
      expect(cost).toEqual([1, 2, 2, 0])
    })

    test('of two changes of one session in one moment one is made, and the other is shown it', async () => {
      const store = openStore({ port, schema: await emptySchema(port) })
      const creates = ['v', 'w'].map((version) => store.create(key('a'), record({ version }), NOW))
      expect((await Promise.all(creates)).sort()).toEqual([false, true])
      const { version: old = '' } = (await store.load(key('a'), NOW)) ?? {}
      const [x, y] = await Promise.all(
        ['x', 'y'].map((version) => store.update(key('a'), record({ version }), old, NOW)),
      )
      const [made, shown] = x?.outcome === 'updated' ? [x, y] : [y, x]
      expect(made).toEqual({ outcome: 'updated' })
      const version = x === made ? 'x' : 'y'
      expect(shown).toEqual({ outcome: 'conflict', record: record({ version }) })
    })

    test('one change that the server refuses takes none of the others with it', async () => {
      const store = openStore({ port, schema: await emptySchema(port) })
      const names = ['a', 'b', 'wrong', 'c']
      const payload = (name: string) => (name === 'wrong' ? '\0' : name)
      const made = await Promise.allSettled(
        names.map((name) => store.create(key(name), record({ payload: payload(name) }), NOW)),
      )
      expect(made.map(({ status }) => status)).toEqual([
        ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
      ])
      await store.create(key('wrong'), record(), NOW)
      const changed = await Promise.allSettled(
        names.map((name) => {
          const next = record({ version: 'w', payload: payload(name) })
          return store.update(key(name), next, 'v', NOW)
        }),
      )
      expect(changed.map(({ status }) => status)).toEqual(made.map(({ status }) => status))
      const left = await Promise.all(names.map((name) => store.load(key(name), NOW)))
      expect(left.map((one) => one?.version)).toEqual(['w', 'w', 'v', 'w'])
    })

    test('writes leave the rows where they are: no index hears of them', async () => {
      const schema = await emptySchema(port)
      const pool = new pg.Pool(login(port))
      const store = postgresStore({ pool, schema })
      const names = Array.from({ length: 200 }, (_, index) => `k${index}`)
      const payload = 'x'.repeat(300)
      const make = (name: string) => store.create(key(name), record({ payload, userId: name }), NOW)
      await Promise.all(names.map(make))
      for (let turn = 1; turn <= 5; turn += 1) {
        const version = `v${turn}`
        const old = turn === 1 ? 'v' : `v${turn - 1}`
        for (const name of names) {
          const next = record({ payload, version, userId: name, lastSeenAt: NOW + turn })
          await store.update(key(name), next, old, NOW)
          await store.touch(key(name), version, NOW + turn + 0.5, NOW + HOUR + turn, NOW)
        }
      }
      // A connection tells the server's statistics what it did when it ends.
      await pool.end()
      const written = async () => {
        const [row] = await ask(
          port,
          `SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables
          WHERE relid = '${schema}.staykept_sessions'::regclass`,
        )
        return { all: Number(row?.all), hot: Number(row?.hot) }
      }
      await expect.poll(async () => (await written()).all, { timeout: 5000 }).toBe(2000)
      expect((await written()).hot).toBeGreaterThan(1800)
    })

    /** How many statements that touch the schema's tables were executed: SELECT, INSERT, UPDATE, DELETE. */
    async function countsIn(schema: string): Promise<number[]> {
      const rows = await ask(
        port,
        `SELECT query, calls FROM pg_stat_statements WHERE query LIKE '%"${schema}".%'`,
      )
      return [/^SELECT (key|user_id)/, /INSERT INTO/, /^UPDATE/, /^DELETE/].map((kind) =>
        rows
          .filter(({ query }) => kind.test(String(query)))
          .reduce((sum, { calls }) => sum + Number(calls), 0),
      )
    }
  })

  describe('that meet another', () => {
    test.each(KINDS)(
      'conflict with what it committed, not with what was there before: with %s',
      async (kind) => {
        const schema = await emptySchema(port)
        const store = openStore({ port, schema, kind })
        await store.create(key('a'), record(), NOW)
        const other = await transaction(schema)
        await other.query(`UPDATE staykept_sessions SET version = 'x', payload = 'of the other'`)
        const late = [
          store.update(key('a'), record({ version: 'w' }), 'v', NOW),
          store.touch(key('a'), 'v', NOW + 5, NOW + HOUR, NOW),
        ]
        await sleep(100)
        await other.query('COMMIT')
        const conflict = {
          outcome: 'conflict',
          record: record({ version: 'x', payload: 'of the other' }),
        }
        expect(await Promise.all(late)).toEqual([conflict, conflict])
      },
    )

    test('find nothing where it deleted the session', async () => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema })
      await store.create(key('a'), record(), NOW)
      const other = await transaction(schema)
      await other.query('DELETE FROM staykept_sessions')
      const late = store.update(key('a'), record({ version: 'w' }), 'v', NOW)
      await sleep(100)
      await other.query('COMMIT')
      expect(await late).toEqual({ outcome: 'missing' })
      expect(await store.load(key('a'), NOW)).toBe(undefined)
    })

    test('wait for it alone: changes of other sessions in the same moment go through', async () => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema })
      const names = ['a', 'b', 'c', 'd']
      for (const name of names) await store.create(key(name), record(), NOW)
      const other = await transaction(schema)
      await other.query(`SELECT FROM staykept_sessions WHERE key = 'b' FOR UPDATE`)
      const changes = names.map((name) =>
        store.update(key(name), record({ version: 'w' }), 'v', NOW),
      )
      const others = changes.filter((_, index) => names[index] !== 'b')
      expect(await Promise.all(others)).toEqual(Array(3).fill({ outcome: 'updated' }))
      await other.query('COMMIT')
      expect(await changes[1]).toEqual({ outcome: 'updated' })
    })

    test('of another process in the other order do not wait for one another for ever', async () => {
      const schema = await emptySchema(port)
      const stores = [1, 2].map(() => openStore({ port, schema }))
      const names = Array.from({ length: 20 }, (_, index) => `k${index}`)
      const versions = new Map<string, string>()
      for (const name of names) {
        versions.set(name, 'v')
        await stores[0]?.create(key(name), record(), NOW)
      }
      const [before] = await ask(port, DEADLOCKS)
      for (let round = 0; round < 20; round += 1) {
        const all = stores.flatMap((store, at) =>
          (at === 0 ? names : [...names].reverse()).map(async (name) => {
            const version = `${round} ${at}`
            const old = versions.get(name) ?? ''
            const answer = await store.update(key(name), record({ version }), old, NOW)
            return { name, version, outcome: answer.outcome }
          }),
        )
        for (const { name, version, outcome } of await Promise.all(all)) {
          if (outcome === 'updated') versions.set(name, version)
        }
      }
      const left = await Promise.all(names.map((name) => stores[0]?.load(key(name), NOW)))
      expect(left.map((one) => one?.version)).toEqual(names.map((name) => versions.get(name)))
      expect(await ask(port, DEADLOCKS)).toEqual([before])
    })

    const DEADLOCKS = 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'

    test.each(['repeatable read', 'serializable'])(
      'are sent once more where the database is %s',
      async (isolation) => {
        const schema = await emptySchema(port)
        const { store, sent } = watched(schema, { default_transaction_isolation: isolation })
        await store.create(key('a'), record(), NOW)
        sent.length = 0
        const other = await transaction(schema)
        await other.query(`UPDATE staykept_sessions SET version = 'x'`)
        const late = store.update(key('a'), record({ version: 'w' }), 'v', NOW)
        await sleep(100)
        await other.query('COMMIT')
        expect(await late).toMatchObject({ outcome: 'conflict', record: { version: 'x' } })
        // It was held, it was looked at, it was waited for: and that was undone, and sent once more.
        expect(sent.map((text) => text.slice(0, 6))).toEqual([
          ...['UPDATE', 'SELECT', 'UPDATE', 'UPDATE', 'SELECT'],
        ])
      },
    )

    test('in a deadlock are sent once more when they were the ones undone', async () => {
      const schema = await emptySchema(port)
      // Who has waited for so long looks for a deadlock, once, and gives way.
      const { store, sent } = watched(schema, { deadlock_timeout: '700ms' })
      for (const name of ['a', 'b']) await store.create(key(name), record({ userId: 'ada' }), NOW)
      const other = await transaction(schema)
      await other.query(`SET deadlock_timeout = '10s'`)
      await other.query(`SELECT FROM staykept_sessions WHERE key = 'b' FOR UPDATE`)
      sent.length = 0
      const mark = { value: 'm', expiresAt: NOW + HOUR }
      const ending = store.deleteByUser('ada', { except: [], mark, now: NOW })
      await vi.waitFor(
        async () => {
          const waiting = await other.query(
            'SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid',
          )
          expect(waiting.rowCount).toBe(1)
        },
        { interval: 5, timeout: 5000 },
      )
      await other.query(`SELECT FROM staykept_sessions WHERE key = 'a' FOR UPDATE`)
      await other.query('COMMIT')
      expect([...(await ending)].sort()).toEqual(['a', 'b'])
      expect(sent.map((text) => text.slice(0, 6))).toEqual(['INSERT', 'DELETE', 'DELETE'])
    })

    test('twice in a row are an error that says that nothing was changed', async () => {
      const schema = await emptySchema(port)
      const { store, sent, gate } = watched(schema)
      await store.create(key('a'), record(), NOW)
      gate.around = () => Promise.reject(Object.assign(new Error('deadlock'), { code: '40P01' }))
      sent.length = 0
      await expect(store.update(key('a'), record(), 'v', NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(/undid a change that met another, twice in a row/),
      })
      gate.around = (send) => send()
      expect(await store.load(key('a'), NOW)).toEqual(record())
    })

    test('that prune leave alone what it holds, at once, and hold up nobody', async () => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema })
      for (const name of ['a', 'b', 'c']) await store.create(key(name), record(), NOW)
      const other = await transaction(schema)
      await other.query(`SELECT FROM staykept_sessions WHERE key = 'b' FOR UPDATE`)
      const later = NOW + 2 * HOUR
      const started = performance.now()
      expect(await store.deleteExpired(10, later)).toBe(2)
      expect(performance.now() - started).toBeLessThan(1000)
      await other.query('COMMIT')
      expect(await store.deleteExpired(10, later)).toBe(1)
    })

    /** A transaction in which something was done to the sessions by somebody else. */
    async function transaction(schema: string): Promise<pg.Client> {
      const client = new pg.Client(login(port))
      await client.connect()
      onTestFinished(() => client.end())
      await client.query(`SET search_path = ${schema}`)
      await client.query('BEGIN')
      return client
    }

    /** A store, and what it sends. */
    function watched(schema: string, settings: Readonly<Record<string, string>> = {}) {
      const sent: string[] = []
      const gate = openGate()
      gate.onSend = (text) => void sent.push(text)
      const options = Object.entries(settings).map(
        ([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`,
      )
      const pool = new pg.Pool({ ...login(port), max: 5, options: options.join(' ') })
      onTestFinished(() => pool.end())
      return {
        sent,
        gate,
        store: postgresStore({ pool: gatedPool(pool, gate), schema }) as Required<
          ReturnType<typeof postgresStore>
        >,
      }
    }
  })

  describe('prepared', () => {
    test('are so under one name for one text, for several stores on one pool', async () => {
      const pool = new pg.Pool({ ...login(port), max: 1 })
      onTestFinished(() => pool.end())
      const schemas = [await emptySchema(port), await emptySchema(port)]
      for (const schema of schemas) {
        const store = postgresStore({ pool, schema })
        for (let turn = 0; turn < 3; turn += 1) await store.load(key('a'), NOW)
      }
      const { rows } = await pool.query(
        "SELECT statement FROM pg_prepared_statements WHERE name LIKE 'staykept_load_%'",
      )
      expect(rows).toHaveLength(2)
    })

    test('are not, where prepare is false', async () => {
      const pool = new pg.Pool({ ...login(port), max: 1 })
      onTestFinished(() => pool.end())
      const store = postgresStore({ pool, schema: await emptySchema(port), prepare: false })
      await store.create(key('a'), record(), NOW)
      await store.load(key('a'), NOW)
      const { rows } = await pool.query('SELECT FROM pg_prepared_statements')
      expect(rows).toHaveLength(0)
    })

    test('and forgotten by the server are sent once more, and no call fails', async () => {
      const pool = new pg.Pool({ ...login(port), max: 1 })
      onTestFinished(() => pool.end())
      const store = postgresStore({ pool, schema: await emptySchema(port) })
      await store.create(key('a'), record(), NOW)
      await store.load(key('a'), NOW)
      await pool.query('DEALLOCATE ALL')
      expect(await store.load(key('a'), NOW)).toEqual(record())
      expect(await store.update(key('a'), record({ version: 'w' }), 'v', NOW)).toEqual({
        outcome: 'updated',
      })
    })

    test.skipIf(bouncer.missing() !== undefined)(
      'are not behind PgBouncer, unless it is insisted on, and then no call of pg fails either',
      async () => {
        const { port: behind } = await sharedServer('pgbouncer')
        const schema = await emptySchema(behind)
        for (const prepare of [undefined, true]) {
          const stores = Array.from({ length: 3 }, () =>
            openStore({ port: behind, schema, table: `t_${prepare}`, prepare }),
          )
          const [first] = stores
          await first?.create(key('a'), record({ payload: '0' }), NOW)
          const work = async (index: number) => {
            const store = stores[index % 3]
            for (let turn = 0; turn < 20; turn += 1) {
              await store?.create(key(`${index}-${turn}`), record(), NOW)
              expect(await store?.load(key(`${index}-${turn}`), NOW)).toEqual(record())
            }
          }
          await Promise.all(Array.from({ length: 12 }, (_, index) => work(index)))
          const rows = await ask(behind, 'SELECT FROM pg_prepared_statements')
          if (prepare === undefined) expect(rows).toEqual([])
        }
      },
    )
  })

  describe('on a connection that broke', () => {
    test('while it was idle do not notice, and the process goes on', async () => {
      const schema = await emptySchema(port)
      const store = openStore({ port, schema, settings: { application_name: schema } })
      await store.create(key('a'), record(), NOW)
      const ended = await ask(
        port,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${schema}'`,
      )
      expect(ended.length).toBeGreaterThan(0)
      await sleep(50)
      expect(await store.load(key('a'), NOW)).toEqual(record())
    })
  })
})
