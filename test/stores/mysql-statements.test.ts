import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import mysql from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { mysqlStore } from '../../src/stores/mysql.js'
import { openSite } from '../promises/harness.js'
import { ask, missing, start } from '../servers/mariadb.js'
import type { ServerProcess } from '../servers/process.js'
import { startProxy } from '../servers/proxy.js'
import { sharedServer } from '../servers/shared.js'
import { openGate } from './mysql/hooks.js'
import { CLIENTS, emptyDatabase, gated, home, openStore } from './mysql/opening.js'
import { HOUR, key, NOW, record } from './sql/records.js'

const { openPool } = createRequire(import.meta.url)('./mysql.open.cjs')

/** How far away a server is, in milliseconds there and back. */
const TRIP = 200
const MARK = { value: 'm', expiresAt: NOW + HOUR }

describe.skipIf(missing() !== undefined)('statements', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('mariadb')).port
  })

  describe('counted by a server that nobody else uses', () => {
    let server: ServerProcess
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server.close())

    test.each(CLIENTS)('a request costs few of them: with %s', async (client) => {
      const site = await openSite(openStore({ login: await home(server.port), client }))
      const user = site.browser()
      const cost = async (request: () => Promise<unknown>) => {
        const before = await counts()
        await request()
        return (await counts()).map((count, index) => count - (before[index] ?? 0))
      }
      await user.do((session) => session.signIn('ada', { data: { n: 1 } }))
      // The look at the set-up that begins with the process has come to its end.
      await site.sessions.check()
      await site.sessions.check()
      // SELECT, INSERT, UPDATE, DELETE
      expect(await cost(() => site.browser().do((session) => session.n))).toEqual([0, 0, 0, 0])
      const forged = site.browser()
      forged.jar.store(`${user.jar.header().replace(/.{3}$/, 'xxx')}; Path=/`)
      expect(await cost(() => forged.do((session) => session.n))).toEqual([0, 0, 0, 0])
      expect(await cost(() => user.do((session) => session.n))).toEqual([1, 0, 0, 0])
      expect(await cost(() => user.do((session) => void Object.assign(session, { n: 2 })))).toEqual(
        [1, 0, 1, 0],
      )
      // The session, and then the mark.
      const signIn = () => site.browser().do((session) => session.signIn('grace'))
      expect(await cost(signIn)).toEqual([1, 1, 0, 0])
      expect(await cost(() => site.sessions.listByUser('ada'))).toEqual([1, 0, 0, 0])
      // The mark; the sessions claimed, read and removed.
      expect(await cost(() => site.sessions.revokeByUser('ada'))).toEqual([1, 1, 1, 1])
    })

    test('fifty reads in one moment are one, and each gets its own record', async () => {
      const store = openStore({ login: await home(server.port) })
      const names = Array.from({ length: 50 }, (_, index) => `k${index}`)
      await Promise.all(
        names.map((name) => store.create(key(name), record({ payload: name }), NOW)),
      )
      const [before] = await counts()
      const loaded = await Promise.all(names.map((name) => store.load(key(name), NOW)))
      expect(loaded.map((one) => one?.payload)).toEqual(names)
      expect((await counts())[0]).toBe((before ?? 0) + 1)
    })

    test('few are prepared, however many reads come together', async () => {
      const store = openStore({ login: await home(server.port), settings: { connectionLimit: 1 } })
      // The second waits until the first is prepared.
      for (let turn = 0; turn < 2; turn += 1) await store.load(key('a'), NOW)
      const before = await prepared()
      for (let size = 1; size <= 60; size += 1) {
        await Promise.all(Array.from({ length: size }, (_, one) => store.load(key(`${one}`), NOW)))
      }
      expect((await prepared()) - before).toBe(6)
    })

    test('are no errors where the server prepares no more of them: with mysql2', async () => {
      await ask(server.port, 'SET GLOBAL max_prepared_stmt_count = 0')
      onTestFinished(
        async () => void (await ask(server.port, 'SET GLOBAL max_prepared_stmt_count = DEFAULT')),
      )
      const store = openStore({ login: await home(server.port) })
      expect(await store.create(key('a'), record(), NOW)).toBe(true)
      const next = record({ version: 'w' })
      expect(await store.update(key('a'), next, 'v', NOW)).toEqual({ outcome: 'updated' })
      for (let turn = 0; turn < 3; turn += 1) {
        expect(await store.load(key('a'), NOW)).toEqual(next)
      }
    })

    async function counts(): Promise<number[]> {
      const rows = await ask(
        server.port,
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_select', 'Com_insert', 'Com_update', 'Com_delete')",
      )
      const count = (name: string): number =>
        Number(rows.find((row) => row.Variable_name === `Com_${name}`)?.Value)
      return ['select', 'insert', 'update', 'delete'].map(count)
    }

    async function prepared(): Promise<number> {
      const [row] = await ask(server.port, "SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'")
      return Number(row?.Value)
    }
  })

  test.each(CLIENTS)(
    'take one trip each, also those that come for the first time: with %s',
    async (client) => {
      const proxy = await startProxy(port)
      onTestFinished(() => proxy.close())
      const login = { ...(await home(port)), port: proxy.port }
      const store = openStore({ login, client, settings: { connectionLimit: 1 } })
      await store.revocationMark('ada', NOW)
      await sleep(100)
      proxy.delay(TRIP / 2)
      const firsts = [
        () => store.create(key('a'), record(), NOW),
        () => store.load(key('a'), NOW),
        () => store.update(key('a'), record({ version: 'w' }), 'v', NOW),
        () => store.load(key('a'), NOW),
      ]
      for (const first of firsts) {
        const sent = performance.now()
        await first()
        expect(performance.now() - sent).toBeLessThan(TRIP * 1.75)
        // Preparing it, for the next time, is a trip that nobody waits for.
        await sleep(TRIP * 1.5)
      }
      expect(await store.load(key('a'), NOW)).toEqual(record({ version: 'w' }))
    },
  )

  describe('that meet another', () => {
    test.each(CLIENTS)(
      'conflict with what it committed, not with what was there before: with %s',
      async (client) => {
        const login = await home(port)
        const store = openStore({ login, client })
        await store.create(key('a'), record(), NOW)
        const other = await transaction(login)
        await other.query("UPDATE staykept_sessions SET version = 'x', payload = 'of the other'")
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
      const login = await home(port)
      const store = openStore({ login })
      await store.create(key('a'), record(), NOW)
      const other = await transaction(login)
      await other.query('DELETE FROM staykept_sessions')
      const late = store.update(key('a'), record({ version: 'w' }), 'v', NOW)
      await sleep(100)
      await other.query('COMMIT')
      expect(await late).toEqual({ outcome: 'missing' })
      expect(await store.load(key('a'), NOW)).toBe(undefined)
    })

    test('create at the tenth attempt, where a session of the key came and went nine times', async () => {
      const { create, others, load } = await amongOthers(9)
      expect(await create()).toBe(true)
      expect(others).toEqual({ created: 9, deleted: 9 })
      expect(await load()).toEqual(record({ version: 'w' }))
    })

    test('without end are an error that says that nothing was stored', async () => {
      const { create, others, load } = await amongOthers(Number.POSITIVE_INFINITY)
      await expect(create()).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(/came and went .* Nothing was stored$/),
      })
      expect(others).toEqual({ created: 10, deleted: 10 })
      expect(await load()).toBe(undefined)
    })

    /** A create before whose INSERT there comes a session of its key, and goes again before the dead one is replaced. */
    async function amongOthers(times: number) {
      const login = await home(port)
      const { store, gate, sent } = watched(login)
      const other = openStore({ login })
      const others = { created: 0, deleted: 0 }
      await store.load(key('a'), NOW)
      sent.length = 0
      gate.around = async (send) => {
        // INSERT, UPDATE of a dead one, SELECT.
        const [attempt, step] = [Math.floor(sent.length / 3), sent.length % 3]
        if (attempt < times && step === 0) {
          others.created += Number(await other.create(key('a'), record(), NOW))
        }
        if (attempt < times && step === 1) {
          others.deleted += Number(await other.delete(key('a'), NOW))
        }
        return send()
      }
      const create = () => store.create(key('a'), record({ version: 'w' }), NOW)
      return { create, others, load: () => other.load(key('a'), NOW) }
    }

    test.each(CLIENTS)(
      'in a deadlock are sent once more when they were the ones undone: with %s',
      async (client) => {
        const login = await home(port)
        const { store, sent } = watched(login, client)
        for (const name of ['a', 'b']) await store.create(key(name), record({ userId: 'ada' }), NOW)
        const other = await transaction(login)
        // Who has changed more is not the one undone.
        for (let turn = 0; turn < 20; turn += 1) {
          await other.query(`INSERT INTO staykept_sessions_marks VALUES ('u${turn}', 'm', 1)`)
        }
        await other.query("SELECT id FROM staykept_sessions WHERE session_key = 'b' FOR UPDATE")
        sent.length = 0
        const ending = store.deleteByUser('ada', { except: [], mark: MARK, now: NOW })
        await expect.poll(() => sent.length).toBe(2)
        await sleep(50)
        await other.query("SELECT id FROM staykept_sessions WHERE session_key = 'a' FOR UPDATE")
        await other.query('COMMIT')
        expect([...(await ending)].sort()).toEqual(['a', 'b'])
        expect(sent.map((text) => text.slice(0, 6))).toEqual([
          ...['INSERT', 'UPDATE', 'UPDATE', 'SELECT', 'DELETE'],
        ])
        expect(await store.listByUser('ada', NOW)).toEqual([])
      },
    )

    test('twice in a row are an error that says that nothing was changed', async () => {
      const login = await home(port)
      const { store, gate } = watched(login)
      await store.create(key('a'), record(), NOW)
      let tries = 0
      gate.around = () => {
        tries += 1
        return Promise.reject(Object.assign(new Error('deadlock'), { errno: 1213 }))
      }
      await expect(store.update(key('a'), record(), 'v', NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(/undid a change that met another, twice in a row/),
      })
      expect(tries).toBe(2)
      gate.around = (send) => send()
      expect(await store.load(key('a'), NOW)).toEqual(record())
    })

    test('for as long as a lock may be waited for are an error, not executed late', async () => {
      const login = await home(port)
      const store = openStore({ login, timeout: 300 })
      await store.create(key('a'), record(), NOW)
      const other = await transaction(login)
      await other.query("SELECT id FROM staykept_sessions WHERE session_key = 'a' FOR UPDATE")
      const started = performance.now()
      await expect(store.touch(key('a'), 'v', NOW + 1, NOW + HOUR, NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_OUTCOME_UNKNOWN',
        message: 'MySQL did not answer within 300 ms',
      })
      expect(performance.now() - started).toBeLessThan(1000)
      // A read waits for no lock.
      expect(await store.load(key('a'), NOW)).toEqual(record())
      await other.query('COMMIT')
    })

    test('for longer than the server waits for a lock are sent once more, and land when it is free by then', async () => {
      const { store, sent, gate, other } = await held('innodb_lock_wait_timeout = 0')
      gate.around = async (send) => {
        if (sent.length === 1) await other.query('COMMIT')
        return send()
      }
      const answer = await store.update(key('a'), record({ version: 'w' }), 'v', NOW)
      expect(answer).toEqual({ outcome: 'updated' })
      expect(sent).toHaveLength(2)
    })

    test('for longer than that twice are an error, in time, and nothing was changed', async () => {
      const { store, sent, other } = await held('innodb_lock_wait_timeout = 0')
      const started = performance.now()
      await expect(
        store.update(key('a'), record({ version: 'w' }), 'v', NOW),
      ).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(/waited too long for a lock .* Nothing was changed$/),
      })
      expect(performance.now() - started).toBeLessThan(1000)
      expect(sent).toHaveLength(2)
      await other.query('COMMIT')
      expect(await store.load(key('a'), NOW)).toEqual(record())
    })

    test.each(['innodb_snapshot_isolation = ON', 'TRANSACTION ISOLATION LEVEL SERIALIZABLE'])(
      'conflict with what it committed where connections have %s, too',
      async (setting) => {
        const { store, other } = await held(setting)
        await other.query("UPDATE staykept_sessions SET version = 'x'")
        const late = store.update(key('a'), record({ version: 'w' }), 'v', NOW)
        await sleep(100)
        await other.query('COMMIT')
        const conflict = { outcome: 'conflict', record: record({ version: 'x' }) }
        expect(await late).toEqual(conflict)
      },
    )

    /** A store whose connections have a setting, and a transaction that holds its one session. */
    async function held(setting: string) {
      const login = await home(port)
      const { pool, close } = openPool({ ...login, client: 'mysql2' })
      onTestFinished(close)
      pool.on('connection', (one: CoreConnection) => one.query(`SET SESSION ${setting}`))
      const sent: string[] = []
      const gate = openGate()
      gate.onSend = (text) => void sent.push(text)
      const store = mysqlStore({ pool: gated('mysql2', pool, gate) })
      await store.create(key('a'), record(), NOW)
      const other = await transaction(login)
      await other.query("SELECT id FROM staykept_sessions WHERE session_key = 'a' FOR UPDATE")
      sent.length = 0
      return { store, sent, gate, other }
    }

    test('that prune hold up no read, no sign-in, and no write of what is not due', async () => {
      const login = await home(port)
      const store = openStore({ login })
      for (const name of ['a', 'b', 'c']) await store.create(key(name), record(), NOW)
      const alive = { expiresAt: NOW + 10 * HOUR }
      await store.create(key('alive'), record(alive), NOW)
      // Enough rows to look for three of them by their number.
      const names = Array.from({ length: 200 }, (_, index) => key(`other${index}`))
      await Promise.all(names.map((name) => store.create(name, record(alive), NOW)))
      const other = await transaction(login)
      // What a prune does, held in the middle of it.
      await other.query(
        'DELETE FROM staykept_sessions WHERE id IN (1, 2, 3) AND expires_at < ? AND (expires_at > 0 OR last_seen_at < ?)',
        [NOW + 2 * HOUR, NOW + 2 * HOUR],
      )
      const started = performance.now()
      expect(await store.load(key('a'), NOW)).toEqual(record())
      expect(await store.load(key('alive'), NOW)).toEqual(record(alive))
      const touched = await store.touch(key('alive'), 'v', NOW + 1, NOW + 10 * HOUR, NOW)
      expect(touched).toEqual({ outcome: 'updated' })
      expect(await store.create(key('new'), record({ userId: 'ada' }), NOW)).toBe(true)
      expect(performance.now() - started).toBeLessThan(1000)
      await other.query('ROLLBACK')
      expect(await store.deleteExpired(10, NOW + 2 * HOUR)).toBe(4)
    })

    test('half done by a process that stopped leave sessions that are ended, and go with the next prune', async () => {
      const login = await home(port)
      const { store, gate } = watched(login)
      const later = openStore({ login })
      await store.create(key('a'), record({ userId: 'ada' }), NOW)
      let steps = 0
      gate.around = (send) => {
        steps += 1
        return steps < 3 ? send() : Promise.reject(Object.assign(new Error(), { fatal: true }))
      }
      await expect(
        store.deleteByUser('ada', { except: [], mark: MARK, now: NOW }),
      ).rejects.toMatchObject({ code: 'ERR_SESSION_OUTCOME_UNKNOWN' })
      expect(await later.load(key('a'), 0)).toBe(undefined)
      expect(await later.listByUser('ada', 0)).toEqual([])
      const revived = await later.touch(key('a'), 'v', NOW, NOW + HOUR, 0)
      expect(revived).toEqual({ outcome: 'missing' })
      expect(await later.deleteExpired(10, NOW + 600_000)).toBe(0)
      expect(await later.deleteExpired(10, NOW + 600_001)).toBe(1)
    })

    /** A transaction in which something was done to the sessions by somebody else. */
    async function transaction(login: mysql.ConnectionOptions): Promise<mysql.Connection> {
      const connection = await mysql.createConnection(login)
      onTestFinished(() => connection.destroy())
      await connection.query('START TRANSACTION')
      return connection
    }
  })

  describe('on a server that cuts what is too long', () => {
    let server: ServerProcess
    beforeAll(async () => {
      server = await start({ settings: { 'sql-mode': '', 'max-allowed-packet': '1M' } })
    })
    afterAll(() => server.close())

    test('lose nothing: what no column holds is refused before it is sent', async () => {
      const { store, sent } = watched(await home(server.port))
      const long = record({ payload: 'x'.repeat(300_000), userId: '李'.repeat(256) })
      expect(await store.create(key('a'), long, NOW)).toBe(true)
      expect(await store.load(key('a'), NOW)).toEqual(long)
      sent.length = 0
      for (const [name, changes] of Object.entries({
        version: { version: 'v'.repeat(33) },
        userId: { userId: '李'.repeat(342) },
        payload: { payload: 'x'.repeat(8 * 1024 * 1024 + 1) },
      })) {
        const refused = {
          code: 'ERR_SESSION_STORE',
          message: expect.stringMatching(new RegExp(`keeps at most \\d+ bytes as ${name}, not`)),
        }
        const next = record(changes)
        await expect(store.create(key('b'), next, NOW)).rejects.toMatchObject(refused)
        await expect(store.update(key('a'), next, 'v', NOW)).rejects.toMatchObject(refused)
      }
      expect(sent).toEqual([])
      expect(await store.load(key('a'), NOW)).toEqual(long)
    })

    test.each(CLIENTS)(
      'with %s say what to raise for a session that max_allowed_packet refuses',
      async (client) => {
        const store = openStore({ login: await home(server.port), client })
        await store.create(key('a'), record(), NOW)
        const large = record({ version: 'w', payload: 'x'.repeat(2_000_000) })
        // The server may hang up while it is still being sent to, and then nobody can read why.
        const reason =
          /refuses a session this large: raise max_allowed_packet|connection to MySQL broke/
        const refused = { name: 'SessionError', message: expect.stringMatching(reason) }
        await expect(store.update(key('a'), large, 'v', NOW)).rejects.toMatchObject(refused)
        await expect(store.create(key('b'), large, NOW)).rejects.toMatchObject(refused)
        expect(await store.load(key('a'), NOW)).toEqual(record())
        expect(await store.load(key('b'), NOW)).toBe(undefined)
      },
    )
  })

  test('keep data of all kinds to the letter, through a whole request', async () => {
    const site = await openSite(openStore({ login: await emptyDatabase(port) }))
    const user = site.browser()
    const data = { nul: 'a\u0000b', lone: '\ud800', pair: '😀', text: '\'"\\`%_\u001a\r\n' }
    await user.do((session) => void Object.assign(session, { data }))
    expect((await user.do((session) => session.data)).body).toEqual(data)
  })

  test('go on where the server forgot what was prepared', async () => {
    const login = await home(port)
    const pool = mysql.createPool({ ...login, connectionLimit: 1 })
    onTestFinished(() => pool.end())
    const store = mysqlStore({ pool })
    await store.create(key('a'), record(), NOW)
    await store.load(key('a'), NOW)
    const connection = await pool.getConnection()
    // Behind the back of the client, as a proxy that hands connections around would.
    await new Promise((resolve) => {
      const { connection: core } = connection as unknown as { connection: CoreConnection }
      for (const statement of core._statements.values()) statement.close()
      setTimeout(resolve, 50)
    })
    connection.release()
    const next = record({ version: 'w' })
    expect(await store.update(key('a'), next, 'v', NOW)).toEqual({ outcome: 'updated' })
    expect(await store.load(key('a'), NOW)).toEqual(next)
  })
})

interface CoreConnection {
  query(text: string): unknown
  readonly _statements: { values(): Iterable<{ close(): void }> }
}

/** A store, and what it sends. */
function watched(login: Parameters<typeof openStore>[0]['login'], client = 'mysql2') {
  const sent: string[] = []
  const gate = openGate()
  gate.onSend = (text) => void sent.push(text)
  const store = openStore({ login, client, gate })
  return { sent, gate, store }
}
