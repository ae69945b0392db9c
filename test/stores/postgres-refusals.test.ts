import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import postgres from 'postgres'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { StoreConcern } from '../../src/core/store.js'
import { concernsOf } from '../../src/stores/postgres/concerns.js'
import type { Findings } from '../../src/stores/postgres/tables.js'
import { postgresStore } from '../../src/stores/postgres.js'
import { notRun } from '../not-run.js'
import { openSite } from '../promises/harness.js'
import { accountOf, ask, login, missing, start } from '../servers/postgres.js'
import { freePort } from '../servers/process.js'
import { sharedServer } from '../servers/shared.js'
import { emptySchema, KINDS, key, NOW, openStore, record } from './postgres/opening.js'

describe.skipIf(missing() !== undefined)('refused', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('postgres')).port
  })

  describe('data', () => {
    test.each(KINDS)(
      'U+0000 and halves of characters in a session come back as they were: with %s',
      async (kind) => {
        const site = await openSite(openStore({ port, kind, schema: await emptySchema(port) }))
        const browser = site.browser()
        const text = 'a\0b \ud83d c \udc00 \uffff'
        await browser.do((session) => void Object.assign(session, { text }))
        const { body } = await browser.do((session) => session.text === text)
        expect(body).toBe(true)
      },
    )

    test.each(KINDS)('U+0000 in a payload is refused whole: with %s', async (kind) => {
      const store = openStore({ port, schema: await emptySchema(port), kind })
      await store.create(key('a'), record(), NOW)
      const wrong = record({ payload: '{"a":"\0"}', version: 'w' })
      const failed = { code: 'ERR_SESSION_STORE', message: expect.stringMatching(CHARACTER) }
      await expect(store.create(key('b'), wrong, NOW)).rejects.toMatchObject(failed)
      await expect(store.update(key('a'), wrong, 'v', NOW)).rejects.toMatchObject(failed)
      expect(await store.load(key('b'), NOW)).toBe(undefined)
      expect(await store.load(key('a'), NOW)).toEqual(record())
    })

    test('a character that the encoding of the database lacks is refused whole', async () => {
      const database = `latin_${Math.random().toString(36).slice(2)}`
      await ask(port, `CREATE DATABASE ${database} ENCODING LATIN1 LOCALE 'C' TEMPLATE template0`)
      const store = openStore({ port, database })
      onTestFinished(async () => {
        await ask(port, `DROP DATABASE ${database} WITH (FORCE)`)
      })
      expect(await store.create(key('a'), record({ payload: 'é' }), NOW)).toBe(true)
      const wrong = record({ payload: '😀', version: 'w' })
      await expect(store.update(key('a'), wrong, 'v', NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(CHARACTER),
      })
      expect((await store.load(key('a'), NOW))?.payload).toBe('é')
    })

    test.each(KINDS)(
      'a session over the limit is refused before it is sent, and what was there stays: with %s',
      async (kind) => {
        const site = await openSite(openStore({ port, kind, schema: await emptySchema(port) }))
        const browser = site.browser()
        await browser.do((session) => void Object.assign(session, { n: 1 }))
        const { status } = await browser.do((session) => {
          Object.assign(session, { n: 2, big: 'x'.repeat(300_000) })
        })
        expect(status).toBe(413)
        expect((await browser.do((session) => session.n)).body).toBe(1)
      },
    )

    const CHARACTER =
      /cannot store a character of this session: the database needs the encoding UTF8/
  })

  describe('by a server that takes no changes', () => {
    test.each(KINDS)(
      'a change is an error that says why, and reads go on: with %s',
      async (kind) => {
        const schema = await emptySchema(port)
        await openStore({ port, schema }).create(key('a'), record(), NOW)
        const settings = { default_transaction_read_only: 'on' }
        const store = openStore({ port, schema, kind, settings })
        expect(await store.load(key('a'), NOW)).toEqual(record())
        const told =
          /takes no changes here, as a standby or a read-only database: let the pool connect/
        const failed = { code: 'ERR_SESSION_STORE', message: expect.stringMatching(told) }
        await expect(store.create(key('b'), record(), NOW)).rejects.toMatchObject(failed)
        await expect(store.delete(key('a'), NOW)).rejects.toMatchObject(failed)
        expect(said(await store.ping())).toEqual(['WARN_SESSION_READ_ONLY'])
        // Without tables there is nothing to read either.
        const empty = openStore({ port, schema: await emptySchema(port), settings })
        await expect(empty.load(key('a'), NOW)).rejects.toMatchObject(failed)
        expect(said(await empty.ping())).toEqual(['WARN_SESSION_READ_ONLY'])
      },
    )
  })

  describe('by a server that is out of', () => {
    test('connections: the error says what to make smaller', async () => {
      const server = await start({
        settings: { max_connections: 4, superuser_reserved_connections: 0, max_wal_senders: 0 },
      })
      onTestFinished(() => server.close())
      const others = new pg.Pool({ ...login(server.port), max: 4 })
      onTestFinished(() => others.end())
      const store = openStore({ port: server.port })
      const held = await Promise.all([1, 2, 3, 4].map(() => others.connect()))
      await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(
          /has no connection left: make the pools .* smaller than max_/,
        ),
      })
      for (const client of held) client.release(true)
      await expect.poll(() => outcome(store.create(key('a'), record(), NOW))).toBe(true)
    })

    test('room on its disk: nothing is stored, it is told as full, and goes on by itself', async (context) => {
      const server = await start()
      onTestFinished(() => server.close())
      const disk = join(server.folder, 'disk')
      mkdirSync(disk)
      const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk])
      if (status !== 0) notRun('postgresStore on a full disk', String(stderr), context)
      onTestFinished(() => void spawnSync('umount', ['-l', disk]))
      const { uid, gid } = accountOf('postgres')
      chownSync(disk, uid, gid)
      await ask(server.port, `CREATE TABLESPACE small LOCATION '${disk}'`)
      const store = openStore({ port: server.port, settings: { default_tablespace: 'small' } })
      await store.create(key('first'), record(), NOW)
      const stored: string[] = []
      let failure: unknown
      for (let n = 0; n < 500 && failure === undefined; n += 1) {
        const payload = Array.from({ length: 800 }, Math.random).join('')
        const told = await outcome(store.create(key(`k${n}`), record({ payload }), NOW))
        if (told === true) stored.push(`k${n}`)
        else failure = told
      }
      expect(failure).toMatchObject({
        code: 'ERR_SESSION_STORE_FULL',
        message: expect.stringMatching(
          /has no room left on its disk: free some\. Nothing was changed/,
        ),
      })
      expect(stored.length).toBeGreaterThan(20)
      expect(await store.load(key(`k${stored.length}`), NOW)).toBe(undefined)
      for (const name of stored) expect(await store.load(key(name), NOW)).toBeDefined()
      spawnSync('mount', ['-o', 'remount,size=64m', disk])
      expect(await store.create(key(`k${stored.length}`), record(), NOW)).toBe(true)
    })
  })

  describe('while a statement is under way', () => {
    test('by a server that ends the connection: nobody knows whether it was executed', async () => {
      const { store, schema, held } = await blocked()
      const change = store.update(key('a'), record({ version: 'w' }), 'v', NOW)
      const failed = expect(change).rejects.toMatchObject({
        code: 'ERR_SESSION_OUTCOME_UNKNOWN',
        message: 'PostgreSQL shut down while a statement was under way; it goes on by itself',
      })
      await sleep(100)
      await ask(
        port,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%"${schema}"%'`,
      )
      await failed
      await held.query('ROLLBACK')
      expect(await store.load(key('a'), NOW)).toEqual(record())
    })

    test.each([
      ['statement_timeout', /cancelled a statement \(statement_timeout, or an operator\)/],
      ['lock_timeout', /waited too long for a lock \(lock_timeout\): look for who holds it/],
    ])('by its %s: nothing was changed', async (setting, message) => {
      const { store, held } = await blocked({ [setting]: '50ms' })
      await expect(
        store.update(key('a'), record({ version: 'w' }), 'v', NOW),
      ).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(message),
      })
      await held.query('ROLLBACK')
      expect(await store.load(key('a'), NOW)).toEqual(record())
    })

    test('by the store itself after its timeout: the connection is closed, and another takes its place', async () => {
      const { store, held } = await blocked({}, { timeout: 300, max: 1 })
      const started = performance.now()
      await expect(
        store.update(key('a'), record({ version: 'w' }), 'v', NOW),
      ).rejects.toMatchObject({
        code: 'ERR_SESSION_OUTCOME_UNKNOWN',
        message: 'PostgreSQL did not answer within 300 ms',
      })
      expect(performance.now() - started).toBeLessThan(2 * 300)
      // The one connection of the pool is new, though the lock is held and the old one still waits for it.
      expect(await store.load(key('a'), NOW)).toEqual(record())
      await held.query('ROLLBACK')
      await expect
        .poll(() => store.load(key('a'), NOW), { timeout: 2000 })
        .toMatchObject({ version: 'w' })
    })

    test.each(KINDS)(
      'by others in the pool: what is not sent in time is never sent, with %s',
      async (kind) => {
        const schema = await emptySchema(port)
        await openStore({ port, schema }).create(key('a'), record(), NOW)
        const taken = kind === 'pg' ? await takenPool() : await takenSql()
        const store = postgresStore({ pool: taken.pool, schema, timeout: 300 })
        const failed = {
          code: 'ERR_SESSION_STORE',
          message: expect.stringMatching(/no connection of the pool was free within 300 ms: raise/),
        }
        await expect(store.delete(key('a'), NOW)).rejects.toMatchObject(failed)
        taken.giveBack()
        await sleep(100)
        expect(await store.load(key('a'), NOW)).toEqual(record())
      },
    )

    /** The application has the only connection. */
    async function takenPool() {
      const pool = new pg.Pool({ ...login(port), max: 1 })
      onTestFinished(() => pool.end())
      const client = await pool.connect()
      return { pool, giveBack: () => client.release() }
    }

    async function takenSql() {
      const pool = postgres({ ...login(port), max: 1 })
      onTestFinished(() => pool.end({ timeout: 1 }))
      const reserved = await pool.reserve()
      return { pool, giveBack: () => reserved.release() }
    }

    /** A store, and a transaction that holds the row of its one session. */
    async function blocked(
      settings: Readonly<Record<string, string>> = {},
      options: { timeout?: number; max?: number } = {},
    ) {
      const schema = await emptySchema(port)
      await openStore({ port, schema }).create(key('a'), record(), NOW)
      const store = openStore({ port, schema, settings, ...options })
      await store.load(key('a'), NOW)
      const held = new pg.Client(login(port))
      await held.connect()
      onTestFinished(() => held.end())
      await held.query('BEGIN')
      await held.query(`SELECT FROM ${schema}.staykept_sessions FOR UPDATE`)
      return { store, schema, held }
    }
  })

  describe('by what is between', () => {
    test.each(KINDS)('a pool that was ended says so: with %s', async (kind) => {
      const schema = await emptySchema(port)
      const pool = kind === 'pg' ? new pg.Pool(login(port)) : postgres(login(port))
      const store = postgresStore({ pool, schema })
      await store.create(key('a'), record(), NOW)
      await pool.end()
      const failed = {
        code: 'ERR_SESSION_STORE',
        message: 'the pool was ended: close the sessions before it',
      }
      await expect(store.load(key('a'), NOW)).rejects.toMatchObject(failed)
      await expect(store.delete(key('a'), NOW)).rejects.toMatchObject(failed)
      await expect(store.ping?.()).rejects.toMatchObject(failed)
    })

    test('a closed store says so, and leaves the pool as it is', async () => {
      const pool = new pg.Pool(login(port))
      onTestFinished(() => pool.end())
      const schema = await emptySchema(port)
      const [closed, open] = [postgresStore({ pool, schema }), postgresStore({ pool, schema })]
      await closed.create(key('a'), record(), NOW)
      await closed.close?.()
      await closed.close?.()
      const failed = { code: 'ERR_SESSION_STORE', message: 'the store was closed' }
      await expect(closed.load(key('a'), NOW)).rejects.toMatchObject(failed)
      await expect(closed.ping?.()).rejects.toMatchObject(failed)
      expect(await open.load(key('a'), NOW)).toEqual(record())
    })

    test.each<[string, Partial<ReturnType<typeof login>>, RegExp]>([
      ['no server', { port: 1 }, /cannot be reached: see that it runs, and that host and port/],
      ['no host', { host: 'nowhere.invalid' }, /cannot be found: check the host of the pool/],
      [
        'no such user',
        { user: 'nobody' },
        /refused the login: check user and password of the pool/,
      ],
      ['no such database', { database: 'nothing' }, /has no such database: check the database of/],
    ])('%s is an error that says what to check', async (_, wrong, message) => {
      for (const kind of KINDS) {
        const place = { ...login(port), ...wrong }
        const pool = kind === 'pg' ? new pg.Pool(place) : postgres(place)
        onTestFinished(() => pool.end())
        const store = postgresStore({ pool })
        for (const call of [
          () => store.load(key('a'), NOW),
          () => store.create(key('a'), record(), NOW),
        ]) {
          await expect(call(), kind).rejects.toMatchObject({
            code: 'ERR_SESSION_STORE',
            message: expect.stringMatching(message),
          })
        }
      }
    })

    test('a server that comes later is found', async () => {
      const later = await freePort()
      const stores = KINDS.map((kind) => openStore({ port: later, kind }))
      for (const store of stores) {
        await expect(store.create(key('a'), record(), NOW)).rejects.toMatchObject({
          code: 'ERR_SESSION_STORE',
        })
      }
      const server = await start({ port: later })
      onTestFinished(() => server.close())
      for (const store of stores) {
        await expect
          .poll(() => outcome(store.load(key('a'), NOW)), { timeout: 3000 })
          .toBe(undefined)
      }
    })
  })
})

describe('what an operator has to know', () => {
  const fine: Findings = {
    now: NOW,
    serverVersion: 150_006,
    isReadOnly: false,
    isSynced: true,
    isAwaited: true,
    persistence: 'p',
    comment: 'Sessions of staykept, schema 1',
    mayWrite: true,
    pid: 1,
  }
  const tables = { sessions: '"s"', marks: '"s_marks"', unlogged: false }

  test('is nothing where all is well', () => {
    expect(concernsOf(fine, tables)).toEqual([])
    expect(concernsOf({ ...fine, persistence: 'u' }, { ...tables, unlogged: true })).toEqual([])
  })

  test.each<[Partial<Findings>, StoreConcern['code'], RegExp]>([
    [{ serverVersion: 130_014 }, 'WARN_SESSION_STORE_VERSION', /PostgreSQL 13 is too old.* update/],
    [{ isReadOnly: true }, 'WARN_SESSION_READ_ONLY', /takes no changes here.* primary/],
    [{ mayWrite: false }, 'WARN_SESSION_PERMISSION', /GRANT SELECT.* ON "s", "s_marks"$/],
    [{ isSynced: false }, 'WARN_SESSION_NO_PERSISTENCE', /fsync is off.* postgresql\.conf/],
    [{ isAwaited: false }, 'WARN_SESSION_NO_PERSISTENCE', /synchronous_commit is off.*turn it on/],
    [{ persistence: 'u' }, 'WARN_SESSION_NO_PERSISTENCE', /is unlogged.* SET LOGGED, or say/],
    [{ comment: undefined }, 'WARN_SESSION_STORE_VERSION', /does not say that staykept made it/],
  ])('%j is told with what to do about it', (found, code, message) => {
    expect(concernsOf({ ...fine, ...found }, tables)).toEqual([
      { code, message: expect.stringMatching(message) },
    ])
  })
})

/** What came of a call: its answer, or its error. */
async function outcome(call: unknown): Promise<unknown> {
  try {
    return await call
  } catch (error) {
    return error
  }
}

/** The codes of what a ping has to say, without what is so for all servers of these tests. */
function said({ concerns = [] }: { concerns?: readonly StoreConcern[] | undefined }): string[] {
  return concerns.filter(({ message }) => !message.startsWith('fsync')).map(({ code }) => code)
}
