import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2'
import pg from 'pg'
import postgres from 'postgres'
import { session } from 'staykept'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  type PostgresStoreOptions,
  postgresSchema,
  postgresStore,
} from '../../src/stores/postgres.js'
import { root } from '../run.js'
import { ask, missing } from '../servers/postgres.js'
import { sharedServer } from '../servers/shared.js'
import { processWorld, SECRET } from '../worlds.js'
import { emptySchema, KINDS, key, NOW, openStore, record } from './postgres/opening.js'
import { expectUndisturbed } from './sql/migrating.js'

describe('options', () => {
  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /takes an object: postgresStore\(\{ pool \}\)/],
    ['a URL alone', 'postgres://localhost/app', /takes an object/],
    ['no pool', {}, /needs a Pool of pg.* as pool, not undefined/],
    ['a URL', { pool: 'postgres://ada:secret@db/app' }, /as pool, not a connection string/],
    ['a promise', { pool: Promise.resolve() }, /as pool, not a promise: await it first/],
    ['a Client', { pool: new pg.Client() }, /as pool, not a Client: it does not come back/],
    ['the class', { pool: pg.Pool }, /as pool, not the class or function BoundPool/],
    ['the module pg', { pool: pg }, /as pool, not the module pg itself/],
    ['the module postgres', { pool: postgres }, /not the module postgres itself: call it with the/],
    ['a pool of MySQL', { pool: mysqlPool() }, /as pool, not a pool of MySQL: .*staykept\/mysql/],
    ['a knex', { pool: Object.assign(() => {}, { raw() {}, transaction() {} }) }, /not a knex/],
    ['an object', { pool: { query() {} } }, /as pool, not an object of another kind \(Object\)/],
    ['an ended pool', { pool: endedPool() }, /a pool that was ended: end it after the store/],
    [
      'another option',
      { pool: new pg.Pool(), ttl: 1 },
      /has no option "ttl": it takes pool, schema/,
    ],
    [
      'an injected table',
      { table: 'x"; drop table users; --' },
      /needs a name of 1 to 50 .* as table/,
    ],
    ['a table with a dot', { table: 'app.sessions' }, /needs a name of 1 to 50 letters.* as table/],
    ['a long table', { table: 'x'.repeat(51) }, /needs a name of 1 to 50 letters.* as table/],
    ['an empty schema', { schema: '' }, /needs a name of 1 to 63 letters.* as schema, not ''/],
    ['no number', { timeout: '2s' }, /needs milliseconds as timeout, such as 2000, not '2s'/],
    ['for ever', { timeout: Infinity }, /needs milliseconds as timeout/],
    ['a word for true', { createTable: 'yes' }, /needs true or false as createTable, not 'yes'/],
  ])('%s is refused with what to write instead', (what, options, message) => {
    const all = /table|schema|number|ever|true/.test(what)
      ? { pool: new pg.Pool(), ...(options as object) }
      : options
    const refused = () => postgresStore(all as PostgresStoreOptions)
    expect(refused).toThrow(TypeError)
    expect(refused).toThrow(message)
    expect(refused).not.toThrow(/secret/)
  })

  test('the sql of a transaction and a reserved connection are refused', () => {
    for (const [extra, message] of [
      ['savepoint', 'the sql of a transaction'],
      ['release', 'a reserved connection'],
    ] as const) {
      const sql = Object.assign(() => {}, { unsafe() {}, [extra]() {} })
      expect(() => postgresStore({ pool: sql as never })).toThrow(message)
    }
  })

  function mysqlPool(): unknown {
    return mysql.createPool({ host: '127.0.0.1' })
  }

  function endedPool(): unknown {
    const pool = new pg.Pool()
    void pool.end()
    return pool
  }
})

test('docs/sql/postgres.sql is what postgresSchema answers', () => {
  const shipped = readFileSync(join(root, 'docs/sql/postgres.sql'), 'utf8')
  expect(shipped).toBe(postgresSchema())
  expect(postgresSchema({ schema: 'App', table: 'Visits', unlogged: true })).toContain(
    'CREATE UNLOGGED TABLE "App"."Visits" (',
  )
  expect(() => postgresSchema({ table: 'a b' })).toThrow(TypeError)
})

describe.skipIf(missing() !== undefined)('the tables', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('postgres')).port
  })

  test('are made with the first call, and not before', async () => {
    const schema = await emptySchema(port)
    const store = openStore({ port, schema })
    expect(await tablesOf(schema)).toEqual([])
    expect(await store.load(key('a'), NOW)).toBe(undefined)
    expect(await tablesOf(schema)).toEqual([
      ['staykept_sessions', 'p', 'Sessions of staykept, schema 1'],
      ['staykept_sessions_marks', 'p', null],
    ])
  })

  test('have the longest name, capitals and no log where that is wanted', async () => {
    const schema = await emptySchema(port)
    const table = `Visits_${'x'.repeat(43)}`
    const store = openStore({ port, schema, table, unlogged: true })
    expect(await store.create(key('a'), record({ userId: 'ada' }), NOW)).toBe(true)
    await store.deleteByUser('ada', {
      except: [],
      mark: { value: 'm', expiresAt: NOW + 9 },
      now: NOW,
    })
    expect(await tablesOf(schema)).toEqual([
      [table, 'u', 'Sessions of staykept, schema 1'],
      [`${table}_marks`, 'u', null],
    ])
    expect((await store.ping()).concerns?.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^fsync is off/),
    ])
  })

  test('of two stores in one database, one name apart, share nothing', async () => {
    const schema = await emptySchema(port)
    const [one, two] = ['a', 'b'].map((table) => openStore({ port, schema, table }))
    await one?.create(key('k'), record({ userId: 'ada' }), NOW)
    expect(await two?.load(key('k'), NOW)).toBe(undefined)
    expect(await two?.listByUser('ada', NOW)).toEqual([])
  })

  test.each(KINDS)('can be made by ten stores of %s in one instant', async (kind) => {
    for (let round = 0; round < 5; round += 1) {
      const schema = await emptySchema(port)
      const stores = Array.from({ length: 10 }, () => openStore({ port, schema, kind, max: 2 }))
      const made = stores.map((store, index) => store.create(key(`k${index}`), record(), NOW))
      expect(await Promise.all(made)).toEqual(Array(10).fill(true))
      const [store] = stores
      for (let index = 0; index < 10; index += 1) {
        expect(await store?.load(key(`k${index}`), NOW)).toEqual(record())
      }
    }
  })

  test('are there for everybody when ten processes find them missing in one instant', async () => {
    const schema = await emptySchema(port)
    const rig = {
      name: 'postgres, without tables',
      opener: 'postgres.open.cjs',
      prepare: async () => ({ settings: { port, client: 'pg', schema } }),
      open: () => {
        throw new Error('only in processes of their own')
      },
    }
    const options = { storeBudget: 10_000 }
    const world = await processWorld(rig, Array(10).fill({ options }))
    onTestFinished(() => world.close())
    // The first to come up made them, before the others were there.
    await ask(port, `DROP TABLE ${schema}.staykept_sessions, ${schema}.staykept_sessions_marks`)
    const answers = world.urls.map((_, index) => world.browser().at(index).post('/login'))
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(10).fill(200))
  }, 60_000)

  test('that were dropped while the store is at work are made again', async () => {
    const schema = await emptySchema(port)
    const store = openStore({ port, schema })
    await store.create(key('a'), record(), NOW)
    await ask(port, `DROP TABLE ${schema}.staykept_sessions, ${schema}.staykept_sessions_marks`)
    expect(await store.load(key('a'), NOW)).toBe(undefined)
    expect(await store.create(key('a'), record(), NOW)).toBe(true)
  })

  test('that were changed under prepared statements are found changed, and no call fails', async () => {
    const schema = await emptySchema(port)
    const stores = KINDS.map((kind) => openStore({ port, schema, kind, max: 1 }))
    for (const store of stores) {
      await store.create(key(`of ${stores.indexOf(store)}`), record(), NOW)
      for (let turn = 0; turn < 7; turn += 1) await store.load(key('of 0'), NOW)
    }
    await ask(port, `ALTER TABLE ${schema}.staykept_sessions ALTER version TYPE varchar(32)`)
    for (const store of stores) expect(await store.load(key('of 0'), NOW)).toEqual(record())
  })

  test.each(KINDS)(
    'missing with createTable: false are an error that says what to run: with %s',
    async (kind) => {
      const schema = await emptySchema(port)
      const store = openStore({ port, kind, schema, createTable: false })
      const told = `PostgreSQL has no table "${schema}"."staykept_sessions": run docs/sql/postgres.sql of staykept, or what postgresSchema() answers, as a role that may; or set createTable: true`
      const failed = { code: 'ERR_SESSION_STORE', message: told }
      await expect(store.load(key('a'), NOW)).rejects.toMatchObject(failed)
      await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject(failed)
      expect(await store.ping()).toMatchObject({
        concerns: [{ code: 'WARN_SESSION_PERMISSION', message: told }],
      })
      await ask(port, postgresSchema({ schema }))
      expect(await store.create(key('a'), record(), NOW)).toBe(true)
      expect(codesOf(await store.ping())).toEqual([])
    },
  )

  test('in a schema that is not there are an error that says so', async () => {
    const store = openStore({ port, schema: 'nowhere' })
    const message =
      'PostgreSQL has no such schema: make it, or choose another with the option schema'
    await expect(store.load(key('a'), NOW)).rejects.toMatchObject({ message })
    expect((await store.ping()).concerns).toEqual([{ code: 'WARN_SESSION_PERMISSION', message }])
  })

  test.each(KINDS)('of somebody else are left alone: with %s', async (kind) => {
    const schema = await emptySchema(port)
    await ask(port, `CREATE TABLE ${schema}.staykept_sessions (key text PRIMARY KEY, data json)`)
    const store = openStore({ port, kind, schema })
    const told = /does not say that staykept made it: choose another name with the option table/
    await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(told),
    })
    expect(codesOf(await store.ping())).toEqual(['WARN_SESSION_STORE_VERSION'])
    expect(await ask(port, `SELECT * FROM ${schema}.staykept_sessions`)).toEqual([])
  })

  test.each(KINDS)(
    'of a newer version that older ones can use are used, together with it: with %s',
    async (kind) => {
      const schema = await emptySchema(port)
      const [before, after] = [openStore({ port, kind, schema }), openStore({ port, kind, schema })]
      await before.create(key('a'), record({ userId: 'ada' }), NOW)
      // What a later version may do while this one is at work: nothing that is asked for here changes its meaning.
      await ask(
        port,
        `ALTER TABLE ${schema}.staykept_sessions ADD device text, ADD seen int NOT NULL DEFAULT 0;
      COMMENT ON TABLE ${schema}.staykept_sessions IS 'Sessions of staykept, schema 2, for 1 and later'`,
      )
      for (const store of [before, after]) {
        const version = `of ${[before, after].indexOf(store)}`
        const { version: old = '' } = (await store.load(key('a'), NOW)) ?? {}
        const next = record({ userId: 'ada', version })
        expect(await store.update(key('a'), next, old, NOW)).toEqual({ outcome: 'updated' })
        expect(await store.listByUser('ada', NOW)).toEqual([{ key: 'a', record: next }])
        expect(codesOf(await store.ping())).toEqual([])
      }
    },
  )

  test.each(KINDS)(
    'are changed by a newer version while older ones work, and none of them notices: with %s',
    async (kind) => {
      const schema = await emptySchema(port)
      const stores = Array.from({ length: 6 }, () => openStore({ port, kind, schema }))
      await expectUndisturbed(stores, () =>
        ask(
          port,
          `ALTER TABLE ${schema}.staykept_sessions ADD device text;
        CREATE INDEX by_device ON ${schema}.staykept_sessions (device);
        COMMENT ON TABLE ${schema}.staykept_sessions IS 'Sessions of staykept, schema 2, for 1 and later'`,
        ),
      )
    },
  )

  test.each(KINDS)(
    'of a newer version that older ones cannot use are refused, and left as they are: with %s',
    async (kind) => {
      const schema = await emptySchema(port)
      await openStore({ port, kind, schema }).create(key('a'), record(), NOW)
      const comment = 'Sessions of staykept, schema 7, for 4 and later'
      await ask(port, `COMMENT ON TABLE ${schema}.staykept_sessions IS '${comment}'`)
      const store = openStore({ port, kind, schema })
      const failed = {
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(
          /by a newer staykept \(schema 7, this one knows 1\): update/,
        ),
      }
      await expect(store.load(key('a'), NOW)).rejects.toMatchObject(failed)
      await expect(store.delete(key('a'), NOW)).rejects.toMatchObject(failed)
      const sessions = session({ secret: SECRET, store })
      onTestFinished(() => sessions.close())
      sessions.on('warning', () => {})
      expect(await sessions.check()).toMatchObject({ ok: false })
      expect((await tablesOf(schema))[0]).toEqual(['staykept_sessions', 'p', comment])
    },
  )

  test.each(KINDS)(
    'that lack a column are an error that says what to compare: with %s',
    async (kind) => {
      const schema = await emptySchema(port)
      await openStore({ port, kind, schema }).load(key('a'), NOW)
      await ask(port, `ALTER TABLE ${schema}.staykept_sessions DROP absolute_expires_at`)
      await expect(openStore({ port, kind, schema }).load(key('a'), NOW)).rejects.toThrow(
        /finds a column missing .* compare it with docs\/sql\/postgres\.sql/,
      )
    },
  )

  describe('for a role without rights', () => {
    test('that it cannot make are an error that says what to run, and work once they are made', async () => {
      const schema = await emptySchema(port)
      const user = await newRole()
      await ask(port, `GRANT USAGE ON SCHEMA ${schema} TO ${user}`)
      const store = openStore({ port, schema, user })
      const told =
        /has no table .*, and does not let this role make it: run docs\/sql\/postgres\.sql .* as a role that may$/
      await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(told),
      })
      expect((await store.ping()).concerns).toEqual([
        { code: 'WARN_SESSION_PERMISSION', message: expect.stringMatching(told) },
      ])
      await ask(port, postgresSchema({ schema }))
      const grant = `GRANT SELECT, INSERT, UPDATE, DELETE ON "${schema}"."staykept_sessions", "${schema}"."staykept_sessions_marks"`
      await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringContaining(grant),
      })
      const [concern] = (await store.ping()).concerns ?? []
      expect(concern).toMatchObject({
        code: 'WARN_SESSION_PERMISSION',
        message: expect.stringContaining(grant),
      })
      await ask(port, `${grant} TO ${user}`)
      expect(await store.create(key('a'), record({ userId: 'ada' }), NOW)).toBe(true)
      await store.update(key('a'), record({ version: 'w' }), 'v', NOW)
      await store.touch(key('a'), 'w', NOW + 1, NOW + 2, NOW)
      await store.deleteByUser('ada', {
        except: [],
        mark: { value: 'm', expiresAt: NOW + 1 },
        now: NOW,
      })
      expect(await store.revocationMark('ada', NOW)).toBe('m')
      expect(await store.deleteExpired(10, NOW + 1_000_000)).toBe(1)
      expect(await store.delete(key('a'), NOW)).toBe(false)
      expect(codesOf(await store.ping())).toEqual([])
    })

    async function newRole(): Promise<string> {
      const user = `r_${Math.random().toString(36).slice(2)}`
      await ask(port, `CREATE ROLE ${user} LOGIN`)
      onTestFinished(async () => void (await ask(port, `DROP OWNED BY ${user}; DROP ROLE ${user}`)))
      return user
    }
  })

  /** Name, persistence and comment of each. */
  async function tablesOf(schema: string): Promise<unknown[][]> {
    const rows = await ask(
      port,
      `SELECT relname, relpersistence, obj_description(oid, 'pg_class') FROM pg_class
      WHERE relnamespace = '${schema}'::regnamespace AND relkind = 'r' ORDER BY relname`,
    )
    return rows.map((row) => Object.values(row))
  }
})

/** What a ping has to say beside the one thing that is so for all servers of these tests. */
function codesOf({
  concerns = [],
}: {
  concerns?: readonly { code: string; message: string }[] | undefined
}): string[] {
  return concerns.filter(({ message }) => !message.startsWith('fsync')).map(({ code }) => code)
}
