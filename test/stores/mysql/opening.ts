import { createRequire } from 'node:module'
import { onTestFinished } from 'vitest'
import type { SessionStore } from '../../../src/core/store.js'
import { type MysqlStoreOptions, mysqlStore } from '../../../src/stores/mysql.js'
import { type Login, newDatabase, newHome } from './databases.js'

const { openPool } = createRequire(import.meta.url)('../mysql.open.cjs')

export const CLIENTS: readonly string[] = ['mysql2', 'mysql2/promise', 'mariadb']

export interface Opening extends Omit<Partial<MysqlStoreOptions>, 'pool'> {
  readonly login: Login
  readonly client?: string
  /** Options of the pool: `{ connectionLimit: 1 }`. */
  readonly settings?: object
}

/** A store on a pool of its own, which ends with the test. */
export function openStore({
  login,
  client = 'mysql2',
  settings,
  ...options
}: Opening): Required<SessionStore> {
  const { pool, close } = openPool({ ...login, ...settings, client })
  onTestFinished(close)
  return mysqlStore({ pool, ...options }) as Required<SessionStore>
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
