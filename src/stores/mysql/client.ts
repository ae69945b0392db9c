import { asMariadbPool, type MariadbPool } from './mariadb.js'
import { asMysql2Pool, type Mysql2Pool, type Mysql2PromisePool } from './mysql2.js'
import type { Client } from './statement.js'

export type MysqlPool = Mysql2Pool | Mysql2PromisePool | MariadbPool

/** Throws a `TypeError` for anything but a pool of a known kind. */
export function toClient(pool: unknown, timeout: number): Client {
  const client = asMysql2Pool(pool, timeout) ?? asMariadbPool(pool, timeout)
  if (client !== undefined) return client
  throw new TypeError(
    `mysqlStore needs a pool of mysql2 or mariadb, such as mysql2.createPool(url), as pool, not ${whatItIs(pool)}`,
  )
}

function whatItIs(pool: unknown): string {
  if (typeof pool === 'string') return 'a connection string'
  if ((typeof pool !== 'object' && typeof pool !== 'function') || pool === null) return String(pool)
  const has = (...names: readonly string[]): boolean =>
    names.every((name) => typeof (pool as Record<string, unknown>)[name] === 'function')
  if (has('then')) return 'a promise: await it first'
  if (has('createPool')) return 'the module itself'
  if (has('raw', 'transaction')) return 'a knex: hand in a pool beside it'
  if (has('getConnection', 'add', 'of')) return 'a pool cluster: hand in the pool of its primary'
  if (has('getConnection', 'taskQueueSize')) {
    return "a pool of mariadb/callback: take createPool of 'mariadb'"
  }
  if (has('getConnection', 'escapeId')) return 'a pool of mysql, which cannot prepare: take mysql2'
  if (has('connect', 'query') && 'totalCount' in pool) {
    return 'a pool of pg: that goes to staykept/postgres'
  }
  if (has('query', 'beginTransaction')) {
    return 'a single connection: it does not come back when it has broken'
  }
  if (typeof pool === 'function') return `the class or function ${pool.name || 'without a name'}`
  return `an object of another kind (${pool.constructor?.name ?? 'Object'})`
}
