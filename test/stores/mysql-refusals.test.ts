import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { SessionStore } from '../../src/core/store.js'
import { notRun } from '../not-run.js'
import { openSite } from '../promises/harness.js'
import { ask, login as loginOf, missing, start } from '../servers/mariadb.js'
import type { ServerProcess } from '../servers/process.js'
import { sharedServer } from '../servers/shared.js'
import { CLIENTS, emptyDatabase, home, openStore } from './mysql/opening.js'
import { key, NOW, record } from './sql/records.js'

describe.skipIf(missing() !== undefined)('refused', () => {
  describe('data', () => {
    let port: number
    beforeAll(async () => {
      port = (await sharedServer('mariadb')).port
    })

    test.each(CLIENTS)(
      'U+0000 and halves of characters in a session come back as they were: with %s',
      async (client) => {
        const site = await openSite(openStore({ login: await home(port), client }))
        const browser = site.browser()
        const text = 'a\0b \ud83d c \udc00 \uffff'
        await browser.do((session) => void Object.assign(session, { text }))
        const { body } = await browser.do((session) => session.text === text)
        expect(body).toBe(true)
      },
    )

    test.each(CLIENTS)(
      'a session over the limit is refused before it is sent, and what was there stays: with %s',
      async (client) => {
        const site = await openSite(openStore({ login: await home(port), client }))
        const browser = site.browser()
        await browser.do((session) => void Object.assign(session, { n: 1 }))
        const { status } = await browser.do((session) => {
          Object.assign(session, { n: 2, big: 'x'.repeat(300_000) })
        })
        expect(status).toBe(413)
        expect((await browser.do((session) => session.n)).body).toBe(1)
      },
    )
  })

  describe('by a server that takes no changes', () => {
    let server: ServerProcess
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server.close())

    test.each(CLIENTS)(
      'a change is an error that says why, and reads go on: with %s',
      async (client) => {
        const login = await home(server.port)
        const empty = await emptyDatabase(server.port)
        await openStore({ login, client }).create(key('a'), record(), NOW)
        await ask(server.port, 'SET GLOBAL read_only = ON')
        const store = openStore({ login, client })
        expect(await store.load(key('a'), NOW)).toEqual(record())
        const failed = {
          code: 'ERR_SESSION_STORE',
          message: expect.stringMatching(/takes no changes here, as a replica or with read_only/),
        }
        await expect(store.create(key('b'), record(), NOW)).rejects.toMatchObject(failed)
        await expect(store.update(key('a'), record(), 'v', NOW)).rejects.toMatchObject(failed)
        await expect(store.delete(key('a'), NOW)).rejects.toMatchObject(failed)
        expect((await store.ping()).concerns).toMatchObject([{ code: 'WARN_SESSION_READ_ONLY' }])
        // Without tables there is nothing to read either.
        const without = openStore({ login: empty, client })
        await expect(without.load(key('a'), NOW)).rejects.toMatchObject(failed)
        expect((await without.ping()).concerns).toMatchObject([{ code: 'WARN_SESSION_READ_ONLY' }])
        await ask(server.port, 'SET GLOBAL read_only = OFF')
        expect(await store.load(key('b'), NOW)).toBe(undefined)
        expect(await store.create(key('b'), record(), NOW)).toBe(true)
      },
    )
  })

  describe('by a server that is out of', () => {
    test('connections: the error says what to make smaller, with each client', async () => {
      const server = await start()
      onTestFinished(() => server.close())
      const login = await home(server.port)
      const others = await Promise.all(
        Array.from({ length: 10 }, () => createConnection({ ...login, connectTimeout: 5000 })),
      )
      onTestFinished(() => {
        for (const one of others) one.destroy()
      })
      await ask(server.port, 'SET GLOBAL max_connections = 10')
      for (const client of CLIENTS) {
        const store = openStore({
          login,
          client,
          timeout: 1000,
          settings: TOLD_AT_ONCE[client] ?? {},
        })
        await expect(store.create(key('a'), record(), NOW), client).rejects.toMatchObject({
          code: 'ERR_SESSION_STORE',
          message: expect.stringMatching(/has no connection left: make the pools of all/),
        })
      }
    })

    test.each(['mysql2', 'mariadb'])(
      'room for its tables: nothing is stored, it is told as full, and goes on by itself: with %s',
      async (client) => {
        const server = await start({
          settings: {
            'innodb-file-per-table': 0,
            'innodb-data-file-path': 'ibdata1:12M:autoextend:max:16M',
          },
        })
        onTestFinished(() => server.close())
        const store = openStore({ login: await home(server.port), client })
        const { stored, failure } = await fill(store)
        expect(failure).toMatchObject({
          code: 'ERR_SESSION_STORE_FULL',
          message: expect.stringMatching(/has no room left for the sessions: free some on its/),
        })
        expect(await store.load(key(`k${stored.length}`), NOW)).toBe(undefined)
        for (const name of stored) expect(await store.load(key(name), NOW)).toBeDefined()
        for (const name of stored.slice(0, 20)) await store.delete(key(name), NOW)
        // Their room is free when InnoDB has purged them.
        await expect
          .poll(() => outcome(store.create(key('b'), record(), NOW)), { timeout: 10_000 })
          .toBe(true)
      },
    )

    test('room on its disk: MariaDB tries again and again and says nothing, so the outcome is unknown; it goes on by itself', async (context) => {
      const server = await start()
      onTestFinished(() => server.close())
      const login = { ...loginOf(server.port), database: 's_small' }
      const disk = join(server.folder, 'data', login.database)
      mkdirSync(disk)
      const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk])
      if (status !== 0) notRun('mysqlStore on a full disk', String(stderr), context)
      onTestFinished(() => void spawnSync('umount', ['-l', disk]))
      const store = openStore({ login, timeout: 500 })
      await store.load(key('a'), NOW)
      const { stored, failure } = await fill(store)
      expect(failure).toMatchObject({ code: 'ERR_SESSION_OUTCOME_UNKNOWN' })
      for (const name of stored) expect(await store.load(key(name), NOW)).toBeDefined()
      spawnSync('mount', ['-o', 'remount,size=64m', disk])
      await expect
        .poll(() => outcome(store.create(key('b'), record(), NOW)), { timeout: 5000 })
        .toBe(true)
    })

    /** Stores until something is refused. */
    async function fill(store: Required<SessionStore>) {
      const stored: string[] = []
      const payload = 'x'.repeat(10_000)
      for (let n = 0; n < 2000; n += 1) {
        const failure = await outcome(store.create(key(`k${n}`), record({ payload }), NOW))
        if (failure !== true) {
          expect(stored.length).toBeGreaterThan(20)
          return { stored, failure }
        }
        stored.push(`k${n}`)
      }
      throw new Error('it is never full')
    }
  })
})

/** A pool of mariadb tries to connect for as long as this before it says why it could not. */
const TOLD_AT_ONCE: Readonly<Record<string, object>> = {
  mariadb: { initializationTimeout: 300, acquireTimeout: 300 },
}

/** What came of a call: its answer, or its error. */
async function outcome(call: unknown): Promise<unknown> {
  try {
    return await call
  } catch (error) {
    return error
  }
}
