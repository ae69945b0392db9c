import { asPgPool, type PgPool } from './pg.js'
import { asPostgresJs, type PostgresJs } from './postgres-js.js'
import type { Client } from './statement.js'

/** Throws a `TypeError` for anything but a pool of a known kind. */
export function toClient(pool: unknown, timeout: number): Client {
  const client = asPgPool(pool, timeout) ?? asPostgresJs(pool, timeout)
  if (client !== undefined) return client
  throw new TypeError(
    `postgresStore needs a Pool of pg, new Pool({ connectionString }), or the function that postgres(url) answers, as pool, not ${whatItIs(pool)}`,
  )
}

export type PostgresPool = PgPool | PostgresJs

function whatItIs(pool: unknown): string {
  if (typeof pool === 'string') return 'a connection string'
  if ((typeof pool !== 'object' && typeof pool !== 'function') || pool === null) return String(pool)
  const has = (...names: readonly string[]): boolean =>
    names.every((name) => typeof (pool as Record<string, unknown>)[name] === 'function')
  if (has('then')) return 'a promise: await it first'
  if (has('connect', 'query') && 'processID' in pool) {
    return 'a Client: it does not come back when its connection has broken'
  }
  if (has('unsafe', 'savepoint')) return 'the sql of a transaction'
  if (has('unsafe', 'release')) return 'a reserved connection'
  if (has('raw', 'transaction')) return 'a knex: hand in a pool of pg beside it'
  if (has('getConnection')) return 'a pool of MySQL: that goes to staykept/mysql'
  if (has('Pool', 'Client')) return 'the module pg itself'
  if ('PostgresError' in pool) return 'the module postgres itself: call it with the URL'
  if (typeof pool === 'function') return `the class or function ${pool.name || 'without a name'}`
  return `an object of another kind (${pool.constructor?.name ?? 'Object'})`
}
