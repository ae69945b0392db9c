import { connections, type Held } from './connections.js'
import { ended } from './mysql2.js'
import type { Client } from './statement.js'

/** What the store needs of a pool of the package mariadb. */
export interface MariadbPool {
  getConnection(): PromiseLike<MariadbConnection>
  /** Tells it from a pool of other libraries. */
  taskQueueSize(): number
}

export interface MariadbConnection {
  // biome-ignore lint/suspicious/noExplicitAny: rows, or what became of a change
  execute(options: MariadbQuery, values: unknown[]): PromiseLike<any>
  // biome-ignore lint/suspicious/noExplicitAny: rows, or what became of a change
  query(options: MariadbQuery, values: unknown[]): PromiseLike<any>
  release(): PromiseLike<void>
  destroy(): void
}

interface MariadbQuery {
  readonly sql: string
  readonly rowsAsArray: true
  readonly namedPlaceholders: false
  readonly metaAsArray: false
  readonly nestTables: false
}

/** A client on a pool of the package mariadb; `undefined` where this is none. */
export function asMariadbPool(value: unknown, timeout: number): Client | undefined {
  const pool = (value ?? {}) as MariadbPool & { readonly closed?: unknown }
  if (typeof pool.taskQueueSize !== 'function' || typeof pool.getConnection !== 'function') {
    return undefined
  }
  // The one of mariadb/callback has the same methods, and wants a function.
  if (pool.getConnection.length > 0) return undefined
  if (pool.closed === true) throw ended()

  return connections(timeout, {
    take(taken, failed) {
      pool.getConnection().then((connection) => taken(held(connection)), failed)
    },
  })
}

function held(connection: MariadbConnection): Held {
  return {
    // Idle ones are tried by their pool before it hands them out, and each time in a new wrapping.
    identity: undefined,
    // It prepares in the trip in which it executes.
    afterwards: undefined,
    send({ text, isPrepared }, values, answered, failed) {
      const run = isPrepared ? connection.execute : connection.query
      const options = { ...SETTINGS, sql: text }
      run.call(connection, options, [...values]).then((result) => {
        if (Array.isArray(result)) answered({ rows: result, count: result.length })
        else answered({ rows: [], count: result.affectedRows })
      }, failed)
    },
    onFirstUse() {},
    release() {
      connection.release().then(undefined, ignore)
    },
    destroy() {
      connection.destroy()
    },
  }
}

/** The settings of the pool that change what a row looks like do not count here. */
const SETTINGS = {
  rowsAsArray: true,
  namedPlaceholders: false,
  metaAsArray: false,
  nestTables: false,
  typeCast: undefined,
} as const

function ignore(): void {}
