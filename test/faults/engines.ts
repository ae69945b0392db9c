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
}

/** A database that others use too. */
export interface SqlEngine extends Engine {
  /** Makes a server refuse changes, or take them again. */
  refuseChanges(port: number, refuses: boolean): Promise<unknown>
  /** Locks the table of the sessions, for reads too, until the answer is called. */
  lockSessions(port: number): Promise<() => Promise<unknown>>
  /** A transaction of somebody else; in a deadlock with the store, the server undoes what the store sent. */
  transaction(port: number): Promise<Transaction>
  /** How many deadlocks the server has broken. */
  deadlocks(server: ServerProcess): Promise<number>
  /** What it says of a server that refuses changes. */
  readonly refusal: RegExp
}

export interface Transaction {
  lock(session: string): Promise<unknown>
  /** Whether the store waits for it. */
  isWaitedFor(): Promise<boolean>
  commit(): Promise<unknown>
}

const ON_DISK = ['--appendonly', 'yes', '--appendfsync', 'always']

export const redis: Engine = {
  name: 'Redis',
  missing: noRedis(),
  start: (port) => startRedis({ args: ON_DISK, ...(port === undefined ? {} : { port }) }),
  opener: '../faults/redis.open.cjs',
  settings: (port) => ({ port }),
  resets: { every: 200, perSecond: 300 },
}

export const postgres: SqlEngine = {
  name: 'PostgreSQL',
  missing: postgresServer.missing(),
  start: (port) => postgresServer.start(port === undefined ? {} : { port }),
  opener: '../faults/postgres.open.cjs',
  settings: (port) => ({ port }),
  resets: { every: 1000, perSecond: 100 },
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
  async transaction(port) {
    // Who has waited for so long looks for a deadlock, and gives way.
    await postgresServer.ask(port, "ALTER SYSTEM SET deadlock_timeout = '500ms'")
    await postgresServer.ask(port, 'SELECT pg_reload_conf()')
    const other = new pg.Client(postgresServer.login(port))
    await other.connect()
    await other.query("BEGIN; SET deadlock_timeout = '10s'")
    return {
      lock: (session) =>
        other.query('SELECT FROM staykept_sessions WHERE key = $1 FOR UPDATE', [session]),
      isWaitedFor: async () =>
        (await other.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount !== 0,
      commit: () => other.query('COMMIT').finally(() => other.end()),
    }
  },
  async deadlocks(server) {
    return server.output().split('deadlock detected').length - 1
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

const WAITING = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"

function onMariadb(name: string, client: string): SqlEngine {
  return {
    name,
    missing: mariadbServer.missing(),
    start: (port) => mariadbServer.start(port === undefined ? {} : { port }),
    opener: '../faults/mysql.open.cjs',
    settings: (port) => ({ port, client }),
    resets: { every: 1000, perSecond: 100 },
    refusal: /takes no changes here, as a replica/,
    refuseChanges: (port, refuses) =>
      mariadbServer.ask(port, `SET GLOBAL read_only = ${refuses ? 'ON' : 'OFF'}`),
    async lockSessions(port) {
      const lock = await mysql.createConnection(mariadbServer.administrator(port))
      await lock.query('LOCK TABLES s_app.staykept_sessions WRITE')
      return () => lock.end()
    },
    async transaction(port) {
      const login = { ...mariadbServer.login(port), database: 's_app' }
      const other = await mysql.createConnection(login)
      await other.query('START TRANSACTION')
      // Who has changed more is not the one undone.
      await other.query(
        "INSERT INTO staykept_sessions_marks SELECT CONCAT('other', seq), 'm', 1 FROM seq_1_to_50",
      )
      return {
        lock: (session) =>
          other.query('SELECT id FROM staykept_sessions WHERE session_key = ? FOR UPDATE', [
            session,
          ]),
        async isWaitedFor() {
          const [[row]] = await other.query<mysql.RowDataPacket[]>(WAITING)
          return row?.Value !== '0'
        },
        commit: () => other.query('COMMIT').finally(() => other.end()),
      }
    },
    async deadlocks({ port }) {
      const [row] = await mariadbServer.ask(port, "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
      return Number(row?.Value)
    },
  }
}
