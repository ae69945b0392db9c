import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OpenedStore } from '../../src/conformance.js'
import { testSessionStore } from '../../src/conformance.js'
import type { SessionStore, StoreKey } from '../../src/core/store.js'
import { mysqlStore } from '../../src/stores/mysql.js'
import { notRun } from '../not-run.js'
import * as mariadb from '../servers/mariadb.js'
import type { ServerProcess } from '../servers/process.js'
import { startProxy } from '../servers/proxy.js'
import { missing, newDatabase, newHome } from './mysql/databases.js'
import { executionsOf, forgetExecutions, loseReplyOf, openGate } from './mysql/hooks.js'
import { gated } from './mysql/opening.js'

const { openPool } = createRequire(import.meta.url)('./mysql.open.cjs')

const why = missing() ?? mariadb.missing()
if (why !== undefined) notRun('mysql', why)

describe.skipIf(missing() !== undefined)('a MySQL or MariaDB', () => {
  describe.each(['mysql2', 'mysql2/promise', 'mariadb'])('with a pool of %s', (client) => {
    testSessionStore({ test, open: () => openIn(client) })
  })

  test('keeps sessions the same where the pool is set up in the most unusual way', async () => {
    const { login, remove } = await newDatabase()
    for (const client of ['mysql2', 'mariadb']) {
      const { pool, close } = openPool({ ...login, ...UNUSUAL[client], client })
      const store = mysqlStore({ pool })
      const key = `unusual-${client}` as StoreKey
      const record = {
        version: 'v1',
        payload: '{"text":"é 😀 李"}',
        userId: 'é 😀',
        lastSeenAt: 1_700_000_000_000.5,
        expiresAt: 1_800_000_000_000,
        absoluteExpiresAt: 1_900_000_000_000,
      }
      const now = record.lastSeenAt
      expect(await store.create(key, record, now)).toBe(true)
      expect(await store.load(key, now)).toEqual(record)
      expect(await store.listByUser?.('é 😀', now)).toEqual([{ key, record }])
      // Nothing to change: with foundRows off, MySQL counts no row for it.
      const same = [key, 'v1', record.lastSeenAt, record.expiresAt, now] as const
      expect(await store.touch(...same)).toEqual({ outcome: 'updated' })
      expect(await store.touch(...same)).toEqual({ outcome: 'updated' })
      const mark = { value: 'm', expiresAt: now + 1000 }
      expect(await store.deleteByUser?.('é 😀', { except: [], mark, now })).toEqual([key])
      await close()
    }
    await remove()
  })
})

describe.skipIf(mariadb.missing() !== undefined)('a hand on each statement', () => {
  let server: ServerProcess
  beforeAll(async () => {
    server = await mariadb.start({ settings: { 'general-log': 1, 'log-output': 'TABLE' } })
  })
  afterAll(() => server.close())

  describe.each(['mysql2', 'mariadb'])('of %s', (client) => {
    // The other groups ran above.
    const stepwise: typeof test = ((title: string, run: () => Promise<void>) => {
      if (/steps:|replies:|^groups:/.test(title)) test(title, run)
    }) as never
    testSessionStore({ test: stepwise, open: () => openHeld(server.port, client) })
  })
})

const UNUSUAL: Readonly<Record<string, object>> = {
  mysql2: {
    flags: ['-FOUND_ROWS'],
    charset: 'latin1',
    rowsAsArray: false,
    nestTables: true,
    typeCast: false,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    namedPlaceholders: true,
    resetOnRelease: true,
  },
  mariadb: {
    foundRows: false,
    charset: 'latin1',
    nestTables: true,
    typeCast: () => 'nonsense',
    namedPlaceholders: true,
    metaAsArray: true,
    resetAfterUse: true,
    prepareCacheLength: 0,
  },
}

async function openIn(client: string): Promise<OpenedStore> {
  const { login, remove } = await newHome()
  const { pool, close } = openPool({ ...login, connectionLimit: 10, client })
  const reopen = (): SessionStore => mysqlStore({ pool })
  return {
    store: reopen(),
    reopen,
    async done() {
      await close()
      await remove()
    },
  }
}

/** A store on one connection, every statement of which can be held, and the reply to it lost. */
async function openHeld(port: number, client: string): Promise<OpenedStore> {
  const { login, remove } = await newHome(port)
  const proxy = await startProxy(port)
  const gate = openGate()
  const one = openPool({ ...login, port: proxy.port, connectionLimit: 1, client })
  const store = mysqlStore({ pool: gated(client, one.pool, gate) })
  const others = openPool({ ...login, client })
  // What a lost reply is about is prepared: one trip.
  await prepareAll(store)
  await forgetExecutions(port)
  return {
    store,
    intercept(around) {
      gate.around = around
      return () => {
        gate.around = (send) => send()
      }
    },
    reopen: () => mysqlStore({ pool: others.pool }),
    cutReply: (method) => loseReplyOf(method, gate, proxy),
    executions: (method) => executionsOf(method, port),
    async done() {
      await one.close()
      await others.close()
      await proxy.close()
      await remove()
    },
  }
}

async function prepareAll(store: SessionStore): Promise<void> {
  const key = 'prepares' as StoreKey
  const record = { version: 'v', payload: '{}', lastSeenAt: 1, expiresAt: 9, absoluteExpiresAt: 9 }
  await store.create(key, record, 1)
  await store.update(key, { ...record, version: 'w' }, 'v', 1)
  await store.touch(key, 'w', 2, 9, 1)
  await store.delete(key, 1)
}
