import pg from 'pg'
import postgres from 'postgres'
import { beforeAll, describe, test } from 'vitest'
import type { EngineHooks, OpenedStore } from '../../src/conformance.js'
import { testSessionStore } from '../../src/conformance.js'
import type { SessionStore, StoreKey } from '../../src/core/store.js'
import { type PostgresPool, postgresStore } from '../../src/stores/postgres.js'
import { notRun } from '../not-run.js'
import * as bouncer from '../servers/pgbouncer.js'
import { countStatements, login, missing } from '../servers/postgres.js'
import { startProxy } from '../servers/proxy.js'
import { sharedServer } from '../servers/shared.js'
import {
  executionsOf,
  type Gate,
  gatedPool,
  gatedSql,
  loseReplyOf,
  openGate,
} from './postgres/hooks.js'
import { killListeners } from './postgres/listeners.js'
import { KINDS, type Kind } from './postgres/opening.js'
import { newSchema } from './postgres/schemas.js'

for (const why of [missing(), bouncer.missing()]) if (why !== undefined) notRun('postgres', why)

describe.skipIf(missing() !== undefined)('postgres', () => {
  let port: number
  beforeAll(async () => {
    port = (await sharedServer('postgres')).port
    await countStatements(port)
  })

  describe.each(KINDS)('with a pool of %s', (kind) => {
    testSessionStore({ test, open: () => openIn(port, kind, { feed: true }) })
  })

  describe.each(KINDS)('with a hand on each statement of %s', (kind) => {
    testSessionStore({ test, open: () => openHeld(port, kind) })
  })
})

describe.skipIf(bouncer.missing() !== undefined)('postgres behind PgBouncer', () => {
  describe.each(KINDS)('with %s', (kind) => {
    testSessionStore({
      test,
      open: async () => openIn((await sharedServer('pgbouncer')).port, kind),
    })
  })
})

/** A store on ten connections, in a schema of its own. */
async function openIn(port: number, kind: Kind, { feed = false } = {}): Promise<OpenedStore> {
  const { schema, remove } = await newSchema(port)
  const { pool, end } = openPool(kind, port, 10, { name: schema })
  const reopen = (): SessionStore => postgresStore({ pool, schema, feed })
  return {
    store: reopen(),
    reopen,
    cutFeed: () => killListeners(port, schema),
    async done() {
      await end()
      await remove()
    },
  }
}

/** A store on one connection, every statement of which can be held, and the reply to it lost. */
async function openHeld(port: number, kind: Kind): Promise<OpenedStore> {
  const { schema, remove } = await newSchema(port)
  const proxy = await startProxy(port)
  const gate = openGate()
  const held = openPool(kind, proxy.port, 1, { gate })
  const others = openPool(kind, port, 5)
  const store = postgresStore({ pool: held.pool, schema })
  const intercept: EngineHooks['intercept'] = (around) => {
    gate.around = around
    return () => {
      gate.around = (send) => send()
    }
  }
  // The tables are there before the first statement is held, and what a lost reply is about is prepared: one trip.
  await prepareAll(store)
  return {
    store,
    intercept,
    reopen: () => postgresStore({ pool: others.pool, schema }),
    cutReply: (method) => loseReplyOf(method, gate, proxy),
    executions: (method) => executionsOf(method, port, schema),
    async done() {
      await held.end()
      await others.end()
      await proxy.close()
      await remove()
    },
  }
}

async function prepareAll(store: SessionStore): Promise<void> {
  const key = 'prepares' as StoreKey
  const record = { version: 'v', payload: '{}', lastSeenAt: 1, expiresAt: 9, absoluteExpiresAt: 9 }
  await store.create(key, record, 1)
  await store.update(key, record, 'v', 1)
  await store.touch(key, 'v', 2, 9, 1)
  await store.delete(key, 1)
}

function openPool(
  kind: Kind,
  port: number,
  max: number,
  { gate, name = '' }: { gate?: Gate; name?: string } = {},
): { pool: PostgresPool; end: () => Promise<void> } {
  if (kind === 'pg') {
    const pool = new pg.Pool({ ...login(port), max, application_name: name })
    return { pool: gate ? gatedPool(pool, gate) : pool, end: () => pool.end() }
  }
  const sql = postgres({ ...login(port), max, connection: { application_name: name } })
  return { pool: gate ? gatedSql(sql, gate) : sql, end: () => sql.end({ timeout: 1 }) }
}
