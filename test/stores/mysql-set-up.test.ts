import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import mariadbClient from 'mariadb'
import mariadbCallback from 'mariadb/callback'
import mysql2 from 'mysql2'
import mysql2Promise from 'mysql2/promise'
import pg from 'pg'
import { session } from 'staykept'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type MysqlStoreOptions, mysqlSchema, mysqlStore } from '../../src/stores/mysql.js'
import { root } from '../run.js'
import { login as applicationLogin, ask, missing } from '../servers/mariadb.js'
import { freePort } from '../servers/process.js'
import { sharedServer } from '../servers/shared.js'
import { processWorld, SECRET } from '../worlds.js'
import { newDatabase } from './mysql/databases.js'
import { CLIENTS, emptyDatabase, home, openStore } from './mysql/opening.js'
import { expectUndisturbed } from './sql/migrating.js'
import { HOUR, key, NOW, record } from './sql/records.js'

const { openPool } = createRequire(import.meta.url)('./mysql.open.cjs')

describe('options', () => {
  const pool = () => mysql2.createPool({ host: '127.0.0.1' })
  const anywhere = { host: '127.0.0.1', port: 1, connectTimeout: 100 }

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /takes an object: mysqlStore\(\{ pool \}\)/],
    ['a URL alone', 'mysql://localhost/app', /takes an object/],
    ['no pool', {}, /needs a pool of mysql2 or mariadb.* as pool, not undefined/],
    ['a URL', { pool: 'mysql://ada:secret@db/app' }, /as pool, not a connection string/],
    ['a promise', { pool: Promise.resolve() }, /as pool, not a promise: await it first/],
    ['a connection', { pool: connection() }, /as pool, not a single connection: it does not/],
    ['a module', { pool: mysql2 }, /as pool, not the module itself/],
    ['a cluster', { pool: mysql2.createPoolCluster() }, /not a pool cluster: hand in the pool of/],
    ['mariadb/callback', { pool: mariadbCallback.createPool(anywhere) }, /a pool of mariadb\/call/],
    ['the old mysql', { pool: { getConnection() {}, query() {}, escapeId() {} } }, /take mysql2/],
    ['a pool of pg', { pool: new pg.Pool() }, /not a pool of pg: that goes to staykept\/postgres/],
    ['a knex', { pool: Object.assign(() => {}, { raw() {}, transaction() {} }) }, /not a knex/],
    ['a class', { pool: class Pool {} }, /as pool, not the class or function Pool/],
    ['an object', { pool: { query() {} } }, /as pool, not an object of another kind \(Object\)/],
    ['another option', { pool: pool(), ttl: 1 }, /has no option "ttl": it takes pool, table/],
    ['SQL', { pool: pool(), table: 'x`; drop table users; --' }, /a name of 1 to 58 .* as table/],
    ['a dot', { pool: pool(), table: 'app.sessions' }, /needs a name of 1 to 58 .* as table/],
    ['a long name', { pool: pool(), table: 'x'.repeat(59) }, /needs a name of 1 to 58 .* as table/],
    ['no number', { pool: pool(), timeout: '2s' }, /needs milliseconds as timeout, .* not '2s'/],
    ['for ever', { pool: pool(), timeout: Infinity }, /needs milliseconds as timeout/],
    ['a word', { pool: pool(), createTable: 'yes' }, /true or false as createTable, not 'yes'/],
  ])('%s is refused with what to write instead', (_what, options, message) => {
    const refused = () => mysqlStore(options as MysqlStoreOptions)
    expect(refused).toThrow(TypeError)
    expect(refused).toThrow(message)
    expect(refused).not.toThrow(/secret/)
  })

  test.each(CLIENTS)('an ended pool of %s is refused', async (client) => {
    const { pool: ended, close } = openPool({ ...anywhere, client })
    await close()
    expect(() => mysqlStore({ pool: ended })).toThrow(/a pool that was ended: end it after the/)
  })

  test('the types take the pools of the libraries as they are', () => {
    const pools: (() => MysqlStoreOptions['pool'])[] = [
      () => mysql2.createPool({}),
      () => mysql2Promise.createPool({}),
      () => mariadbClient.createPool({}),
    ]
    expect(pools).toHaveLength(3)
  })

  function connection(): unknown {
    const one = mysql2.createConnection(anywhere)
    one.on('error', () => {})
    return one
  }
})

test('docs/sql/mysql.sql is what mysqlSchema answers', () => {
  const shipped = readFileSync(join(root, 'docs/sql/mysql.sql'), 'utf8')
  expect(shipped).toBe(mysqlSchema())
  expect(mysqlSchema({ table: 'Visits' })).toContain('CREATE TABLE IF NOT EXISTS `Visits` (')
  expect(() => mysqlSchema({ table: 'a b' })).toThrow(TypeError)
})

describe.skipIf(missing() !== undefined)('the tables', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('mariadb')).port
  })

  test('are made with the first call, and not before', async () => {
    const login = await emptyDatabase(port)
    const store = openStore({ login })
    expect(await tablesOf(login)).toEqual([])
    expect(await store.load(key('a'), NOW)).toBe(undefined)
    expect(await tablesOf(login)).toEqual([
      ['staykept_sessions', 'InnoDB', 'Sessions of staykept, schema 1'],
      ['staykept_sessions_marks', 'InnoDB', ''],
    ])
    expect((await store.ping()).concerns).toEqual([])
  })

  test('have the longest name, with capitals', async () => {
    const login = await emptyDatabase(port)
    const table = `Visits_${'x'.repeat(51)}`
    const store = openStore({ login, table })
    expect(await store.create(key('a'), record({ userId: 'ada' }), NOW)).toBe(true)
    expect(await store.deleteByUser('ada', ended())).toEqual(['a'])
    expect((await tablesOf(login)).map(([name]) => name)).toEqual([table, `${table}_marks`])
  })

  test('of two stores in one database, one name apart, share nothing', async () => {
    const login = await emptyDatabase(port)
    const [one, two] = ['a', 'b'].map((table) => openStore({ login, table }))
    await one?.create(key('k'), record({ userId: 'ada' }), NOW)
    expect(await two?.load(key('k'), NOW)).toBe(undefined)
    expect(await two?.listByUser('ada', NOW)).toEqual([])
  })

  test.each(CLIENTS)('can be made by ten stores of %s in one instant', async (client) => {
    for (let round = 0; round < 3; round += 1) {
      const login = await emptyDatabase(port)
      const settings = { connectionLimit: 2 }
      const stores = Array.from({ length: 10 }, () => openStore({ login, client, settings }))
      const made = stores.map((store, index) => store.create(key(`k${index}`), record(), NOW))
      expect(await Promise.all(made)).toEqual(Array(10).fill(true))
      const [store] = stores
      for (let index = 0; index < 10; index += 1) {
        expect(await store?.load(key(`k${index}`), NOW)).toEqual(record())
      }
    }
  })

  test('are there for everybody when ten processes find them missing in one instant', async () => {
    const { login, remove } = await newDatabase(port)
    const rig = {
      name: 'mysql, without tables',
      opener: 'mysql.open.cjs',
      prepare: async () => ({ settings: { login, client: 'mysql2' }, remove }),
      open: () => {
        throw new Error('only in processes of their own')
      },
    }
    const options = { storeBudget: 10_000 }
    const world = await processWorld(rig, Array(10).fill({ options }))
    onTestFinished(() => world.close())
    // The first to come up made them, before the others were there.
    await inDatabase(login, 'DROP TABLE staykept_sessions, staykept_sessions_marks')
    const answers = world.urls.map((_, index) => world.browser().at(index).post('/login'))
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(10).fill(200))
  }, 60_000)

  test('that were dropped while the store is at work are made again', async () => {
    const login = await emptyDatabase(port)
    const store = openStore({ login })
    await store.create(key('a'), record(), NOW)
    await inDatabase(login, 'DROP TABLE staykept_sessions')
    expect(await store.load(key('a'), NOW)).toBe(undefined)
    await inDatabase(login, 'DROP TABLE staykept_sessions_marks')
    expect(await store.revocationMark('ada', NOW)).toBe(undefined)
    expect(await store.create(key('a'), record(), NOW)).toBe(true)
  })

  test('that were changed under prepared statements are found changed, and no call fails', async () => {
    const login = await emptyDatabase(port)
    for (const client of ['mysql2', 'mariadb']) {
      const store = openStore({ login, client, settings: { connectionLimit: 1 } })
      await store.create(key(client), record(), NOW)
      for (let turn = 0; turn < 3; turn += 1) await store.load(key(client), NOW)
      await inDatabase(login, `ALTER TABLE staykept_sessions ADD of_${client} INT FIRST`)
      expect(await store.load(key(client), NOW)).toEqual(record())
    }
  })

  test.each(CLIENTS)(
    'missing with createTable: false are an error that says what to run: with %s',
    async (client) => {
      const login = await emptyDatabase(port)
      const store = openStore({ login, client, createTable: false })
      const told =
        'MySQL shows this user no table `staykept_sessions`: run docs/sql/mysql.sql of staykept, or what mysqlSchema() answers, as a user who may, and GRANT SELECT, INSERT, UPDATE, DELETE ON both tables; or set createTable: true'
      const failed = { code: 'ERR_SESSION_STORE', message: told }
      await expect(store.load(key('a'), NOW)).rejects.toMatchObject(failed)
      await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject(failed)
      expect(await store.ping()).toMatchObject({
        concerns: [{ code: 'WARN_SESSION_PERMISSION', message: told }],
      })
      await inDatabase(login, mysqlSchema())
      expect(await store.create(key('a'), record(), NOW)).toBe(true)
      expect((await openStore({ login, client, createTable: false }).ping()).concerns).toEqual([])
    },
  )

  test.each(CLIENTS)('of somebody else are left alone: with %s', async (client) => {
    const login = await emptyDatabase(port)
    await inDatabase(login, 'CREATE TABLE staykept_sessions (id INT PRIMARY KEY, data TEXT)')
    const store = openStore({ login, client })
    await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/does not say that staykept made it: choose another name/),
    })
    expect(codesOf(await store.ping())).toEqual(['WARN_SESSION_STORE_VERSION'])
    expect((await tablesOf(login)).map(([name]) => name)).toEqual(['staykept_sessions'])
  })

  test.each(CLIENTS)(
    'of a newer version that older ones can use are used, together with it: with %s',
    async (client) => {
      const login = await emptyDatabase(port)
      const [before, after] = [openStore({ login, client }), openStore({ login, client })]
      await before.create(key('a'), record({ userId: 'ada' }), NOW)
      // What a later version may do while this one is at work: nothing that is asked for here changes its meaning.
      await inDatabase(
        login,
        `ALTER TABLE staykept_sessions ADD device VARBINARY(100), ADD seen INT NOT NULL DEFAULT 0,
      COMMENT = 'Sessions of staykept, schema 2, for 1 and later'`,
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

  test.each(CLIENTS)(
    'are changed by a newer version while older ones work, and none of them notices: with %s',
    async (client) => {
      const login = await home(port)
      const stores = Array.from({ length: 6 }, () => openStore({ login, client }))
      await expectUndisturbed(stores, () =>
        inDatabase(
          login,
          `ALTER TABLE staykept_sessions ADD device VARBINARY(100) FIRST, ADD KEY by_device (device),
        COMMENT = 'Sessions of staykept, schema 2, for 1 and later'`,
        ),
      )
    },
  )

  test.each(CLIENTS)(
    'of a newer version that older ones cannot use are refused, and left as they are: with %s',
    async (client) => {
      const login = await emptyDatabase(port)
      await openStore({ login, client }).create(key('a'), record(), NOW)
      const comment = 'Sessions of staykept, schema 7, for 4 and later'
      await inDatabase(login, `ALTER TABLE staykept_sessions COMMENT = '${comment}'`)
      const store = openStore({ login, client })
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
      expect((await tablesOf(login))[0]).toEqual(['staykept_sessions', 'InnoDB', comment])
    },
  )

  test.each(CLIENTS)(
    'that lack a column are an error that says what to compare: with %s',
    async (client) => {
      const login = await home(port)
      await inDatabase(login, 'ALTER TABLE staykept_sessions DROP absolute_expires_at')
      await expect(openStore({ login, client }).load(key('a'), NOW)).rejects.toThrow(
        /finds a column missing .* compare it with docs\/sql\/mysql\.sql/,
      )
    },
  )

  test('of an engine that a crash damages are used, and warned of', async () => {
    const login = await home(port)
    await inDatabase(login, 'ALTER TABLE staykept_sessions ENGINE = MyISAM')
    const store = openStore({ login })
    expect(await store.create(key('a'), record(), NOW)).toBe(true)
    expect((await store.ping()).concerns).toEqual([
      {
        code: 'WARN_SESSION_NO_PERSISTENCE',
        message: expect.stringMatching(/is kept by MyISAM.* ENGINE = InnoDB$/),
      },
    ])
  })

  test('that a user cannot make or use are an error that says what to run, and work once that was done', async () => {
    const login = await emptyDatabase(port)
    const user = await newUser(login)
    const store = openStore({ login: { ...login, ...user } })
    const noTable =
      /shows this user no table .* and does not let it make one: run .* as a user who may, and GRANT/
    await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(noTable),
    })
    expect((await store.ping()).concerns).toEqual([
      { code: 'WARN_SESSION_PERMISSION', message: expect.stringMatching(noTable) },
    ])
    await inDatabase(login, mysqlSchema())
    await expect(store.create(key('a'), record(), NOW)).rejects.toThrow(noTable)
    for (const table of ['staykept_sessions', 'staykept_sessions_marks']) {
      const { database } = login
      await ask(
        port,
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ${database}.${table} TO ${user.user}@'127.0.0.1'`,
      )
    }
    const allowed = openStore({ login: { ...login, ...user } })
    expect(await allowed.create(key('a'), record({ userId: 'ada' }), NOW)).toBe(true)
    await allowed.update(key('a'), record({ userId: 'ada', version: 'w' }), 'v', NOW)
    await allowed.touch(key('a'), 'w', NOW + 1, NOW + 2, NOW)
    expect(await allowed.deleteByUser('ada', ended())).toEqual(['a'])
    expect(await allowed.revocationMark('ada', NOW)).toBe('m')
    expect(await allowed.deleteExpired(10, NOW + HOUR)).toBe(0)
    expect((await allowed.ping()).concerns).toEqual([])
  })

  test('that a user may read only are a concern', async () => {
    const login = await home(port)
    const user = await newUser(login)
    await ask(port, `GRANT SELECT ON ${login.database}.* TO ${user.user}@'127.0.0.1'`)
    const store = openStore({ login: { ...login, ...user } })
    expect(await store.load(key('a'), NOW)).toBe(undefined)
    expect(codesOf(await store.ping())).toEqual(['WARN_SESSION_PERMISSION'])
  })

  /** A user without rights but to the name of the database. */
  async function newUser({ database }: { database?: string }) {
    const user = `u_${Math.random().toString(36).slice(2)}`
    await ask(port, `CREATE USER ${user}@'127.0.0.1' IDENTIFIED BY 'pw'`)
    await ask(port, `GRANT EXECUTE ON ${database}.* TO ${user}@'127.0.0.1'`)
    onTestFinished(async () => void (await ask(port, `DROP USER ${user}@'127.0.0.1'`)))
    return { user, password: 'pw' }
  }

  /** Name, engine and comment of each. */
  async function tablesOf({ database }: { database?: string }): Promise<unknown[][]> {
    const rows = await ask(
      port,
      'SELECT TABLE_NAME, ENGINE, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY 1',
      [database],
    )
    return rows.map((row) => Object.values(row))
  }
})

describe.skipIf(missing() !== undefined)('a pool', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('mariadb')).port
  })

  test.each(CLIENTS)('of %s without a database is told so', async (client) => {
    const store = openStore({ login: applicationLogin(port), client })
    const message = 'the pool names no database: add database to its options'
    const failed = { code: 'ERR_SESSION_STORE', message }
    await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject(failed)
  })

  test('whose connections do not commit by themselves is refused', async () => {
    const login = await home(port)
    const { pool, close } = openPool({ ...login, client: 'mysql2' })
    onTestFinished(close)
    pool.on('connection', (one: mysql2.Connection) => one.query('SET autocommit = 0'))
    await expect(mysqlStore({ pool }).create(key('a'), record(), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/^autocommit is off .* leave it on/),
    })
  })

  test.each<[string, (port: number) => object, RegExp]>([
    [
      'a wrong password',
      () => ({ password: 'wrong' }),
      /refused the login: check user and password/,
    ],
    ['a wrong database', () => ({ database: 's_none' }), /has no such database: check the/],
    ['a wrong host', () => ({ host: 'nowhere.invalid' }), /cannot be found: check the host/],
  ])('with %s is told what to check', async (_what, changes, message) => {
    const login = { ...(await home(port)), ...changes(port) }
    const refused = openStore({ login }).update(key('a'), record(), 'v', NOW)
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(message),
    })
    await expect(refused).rejects.not.toThrow(/wrong|application|nowhere/)
  })

  test.each(CLIENTS)('of %s with no server behind it is told to look', async (client) => {
    const login = { ...applicationLogin(await freePort()), database: 's_x' }
    const store = openStore({ login, client, timeout: 300 })
    const failed = {
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/see that (it|MySQL) runs/),
    }
    await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject(failed)
    await expect(store.ping()).rejects.toMatchObject(failed)
  })

  test.each(CLIENTS)(
    'of %s that was ended under the store is told so, and nothing waits',
    async (client) => {
      const login = await home(port)
      const { pool, close } = openPool({ ...login, client })
      const store = mysqlStore({ pool })
      await store.create(key('a'), record(), NOW)
      await close()
      const started = performance.now()
      await expect(store.load(key('a'), NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: 'the pool was ended: close the sessions before it',
      })
      expect(performance.now() - started).toBeLessThan(500)
    },
  )

  test.each(CLIENTS)('of %s stays open when the store is closed', async (client) => {
    const login = await home(port)
    const { pool, close } = openPool({ ...login, client })
    onTestFinished(close)
    const [store, other] = [mysqlStore({ pool }), mysqlStore({ pool })]
    await store.create(key('a'), record(), NOW)
    await store.close?.()
    await store.close?.()
    expect(await other.load(key('a'), NOW)).toEqual(record())
    await expect(store.load(key('a'), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: 'the store was closed',
    })
  })
})

function ended() {
  return { except: [], mark: { value: 'm', expiresAt: NOW + HOUR }, now: NOW }
}

async function inDatabase(login: object, text: string): Promise<void> {
  const connection = await mysql2Promise.createConnection({ ...login, multipleStatements: true })
  await connection.query(text)
  await connection.end()
}

function codesOf({
  concerns = [],
}: {
  concerns?: readonly { code: string }[] | undefined
}): string[] {
  return concerns.map(({ code }) => code)
}
