import { createRequire } from 'node:module'
import type { Pool as MariadbPool } from 'mariadb'
import type { Pool } from 'mysql2'
import { onTestFinished } from 'vitest'
import type { SessionStore } from '../../../src/core/store.js'
import { type MysqlPool, type MysqlStoreOptions, mysqlStore } from '../../../src/stores/mysql.js'
import { type Login, newDatabase, newHome } from './databases.js'
import { type Gate, gatedMariadb, gatedMysql2 } from './hooks.js'

const { openPool } = createRequire(import.meta.url)('../mysql.open.cjs')

export const CLIENTS: readonly string[] = ['mysql2', 'mysql2/promise', 'mariadb']

export interface Opening extends Omit<Partial<MysqlStoreOptions>, 'pool'> {
  readonly login: Login
  readonly client?: string
  /** Options of the pool: `{ connectionLimit: 1 }`. */
  readonly settings?: object
  /** In the way of every statement. */
  readonly gate?: Gate
}

/** A store on a pool of its own, which ends with the test. */
export function openStore({
  login,
  client = 'mysql2',
  settings,
  gate,
  ...options
}: Opening): Required<SessionStore> {
  const { pool, close } = openPool({ ...login, ...settings, client })
  onTestFinished(close)
  const reached = gate === undefined ? pool : gated(client, pool, gate)
  return mysqlStore({ pool: reached, ...options }) as Required<SessionStore>
}

export function gated(client: string, pool: unknown, gate: Gate): MysqlPool {
  if (client === 'mariadb') return gatedMariadb(pool as MariadbPool, gate)
  if (client === 'mysql2') return gatedMysql2(pool as Pool, gate)
  return { pool: gatedMysql2((pool as { pool: Pool }).pool, gate) }
}

/** A new database without tables, which goes with the test: in the shared server, or in that of `port`. */
export async function emptyDatabase(port?: number): Promise<Login> {
  const { login, remove } = await newDatabase(port)
  onTestFinished(remove)
  return login
}

/** A new database with the tables. */
export async function home(port?: number): Promise<Login> {
  const { login, remove } = await newHome(port)
  onTestFinished(remove)
  return login
}
