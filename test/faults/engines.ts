import mysql from 'mysql2/promise'
import pg from 'pg'
import * as mariadbServer from '../servers/mariadb.js'
import * as postgresServer from '../servers/postgres.js'
import type { ServerProcess } from '../servers/process.js'
import { missing as noRedis, start as startRedis } from '../servers/redis.js'
import type { Settings } from '../stores/rig.js'

/** A server that tests treat badly. */
export interface Engine {
  readonly name: string
  /** Another client of a server that is among them already: what waits for long runs on it with everything only. */
  readonly isVariant?: boolean
  /** Why there is none here. */
  readonly missing: string | undefined
  /** It keeps what it acknowledged, whoever kills it. */
  start(port?: number): Promise<ServerProcess>
  /** A file as in `StoreRig`: it opens the store in another process, as an application would. */
  readonly opener: string
  settings(port: number): Settings
  /** Milliseconds between two resets of all its connections, and requests a second meanwhile: some connect slowly. */
  readonly resets: { readonly every: number; readonly perSecond: number }
  /** Processes that are killed while they write, in CI. */
  readonly kills: number
}

/** A database that others use too. */
export interface SqlEngine extends Engine {
  /** Makes a server refuse changes, or take them again. */
  refuseChanges(port: number, refuses: boolean): Promise<unknown>
  /** Locks the table of the sessions, for reads too, until the answer is called. */
  lockSessions(port: number): Promise<() => Promise<unknown>>
  /** What it says of a server that refuses changes. */
  readonly refusal: RegExp
}

const ON_DISK = ['--appendonly', 'yes', '--appendfsync', 'always']

export const redis: Engine = {
  name: 'Redis',
  missing: noRedis(),
  start: (port) => startRedis({ args: ON_DISK, ...(port === undefined ? {} : { port }) }),
  opener: '../faults/redis.open.cjs',
  settings: (port) => ({ port }),
  resets: { every: 200, perSecond: 300 },
  kills: 200,
}

export const postgres: SqlEngine = {
  name: 'PostgreSQL',
  missing: postgresServer.missing(),
  start: (port) => postgresServer.start(port === undefined ? {} : { port }),
  opener: '../faults/postgres.open.cjs',
  settings: (port) => ({ port }),
  resets: { every: 1000, perSecond: 100 },
  kills: 200,
  refusal: /takes no changes here, as a standby/,
  async refuseChanges(port, refuses) {
    const value = refuses ? 'on' : 'off'
    await postgresServer.ask(port, `ALTER SYSTEM SET default_transaction_read_only = ${value}`)
    await postgresServer.ask(port, 'SELECT pg_reload_conf()')
  },
  async lockSessions(port) {
    const lock = new pg.Client(postgresServer.login(port))
    await lock.connect()
    await lock.query('BEGIN; LOCK TABLE staykept_sessions IN ACCESS EXCLUSIVE MODE')
    return () => lock.end()
  },
}

export const mariadb: SqlEngine = onMariadb('MariaDB', 'mysql2')

export const sqlEngines: readonly SqlEngine[] = [
  postgres,
  mariadb,
  { ...onMariadb('MariaDB, with mariadb', 'mariadb'), isVariant: true },
]

export const engines: readonly Engine[] = [redis, ...sqlEngines]

/** One for each server, and all where everything is asked for: `npm run test:large`. */
export const oneOfEach: readonly Engine[] = engines.filter(
  ({ isVariant }) => isVariant !== true || process.env.STAYKEPT_LARGE === '1',
)

function onMariadb(name: string, client: string): SqlEngine {
  return {
    name,
    missing: mariadbServer.missing(),
    start: (port) => mariadbServer.start(port === undefined ? {} : { port }),
    opener: '../faults/mysql.open.cjs',
    settings: (port) => ({ port, client }),
    resets: { every: 1000, perSecond: 100 },
    kills: 100,
    refusal: /takes no changes here, as a replica/,
    refuseChanges: (port, refuses) =>
      mariadbServer.ask(port, `SET GLOBAL read_only = ${refuses ? 'ON' : 'OFF'}`),
    async lockSessions(port) {
      const lock = await mysql.createConnection(mariadbServer.administrator(port))
      await lock.query('LOCK TABLES s_app.staykept_sessions WRITE')
      return () => lock.end()
    },
  }
}
