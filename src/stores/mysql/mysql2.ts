import { connections, type Held } from './connections.js'
import { withValues } from './literals.js'
import type { Client, Statement } from './statement.js'

/** What the store needs of a pool of mysql2. */
export interface Mysql2Pool {
  // biome-ignore lint/suspicious/noExplicitAny: mysql2 takes null for no error
  getConnection(callback: (error: any, connection: Mysql2Connection) => void): void
  /** Tells it from a pool of other libraries. */
  promise(): unknown
}

/** What the store needs of a pool of mysql2/promise. */
export interface Mysql2PromisePool {
  readonly pool: Mysql2Pool
}

export interface Mysql2Connection {
  execute(options: Mysql2Query, values: Mysql2Values, callback: Mysql2Callback): unknown
  query(options: Mysql2Query, values: Mysql2Values, callback: Mysql2Callback): unknown
  prepare(options: Mysql2Values, callback: Mysql2Callback): unknown
  release(): void
  destroy(): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

// biome-ignore lint/suspicious/noExplicitAny: mysql2 has a type of its own for values, for rows, and for what to prepare
type Mysql2Values = any
// biome-ignore lint/suspicious/noExplicitAny: mysql2 takes null for no error
type Mysql2Callback = (error: any, result: any) => void

interface Mysql2Query {
  readonly sql: string
  readonly rowsAsArray: true
  readonly typeCast: true
  readonly nestTables: false
  readonly namedPlaceholders: false
}

/** A client on a pool of mysql2, of callbacks or of promises; `undefined` where this is none. */
export function asMysql2Pool(value: unknown, timeout: number): Client | undefined {
  const pool = corePool(value)
  if (pool === undefined) return undefined
  if (pool._closed === true) throw ended()
  const options = new Map<string, Mysql2Query>()

  function optionsFor({ text, isPrepared }: Statement): Mysql2Query {
    const known = options.get(text)
    if (known !== undefined) return known
    const made: Mysql2Query = { ...SETTINGS, sql: text }
    if (isPrepared) options.set(text, made)
    return made
  }

  return connections(timeout, {
    take(taken, failed) {
      pool.getConnection((error, connection) => {
        if (error) failed(error)
        else taken(held(connection))
      })
    },
  })

  function held(connection: Mysql2Connection): Held {
    const prepared = preparedOn(connection)

    const one: Held = {
      identity: connection,
      afterwards: undefined,
      send(statement, values, answered, failed) {
        const callback: Mysql2Callback = (error, result) => {
          if (error) failed(error)
          else if (Array.isArray(result)) answered({ rows: result, count: result.length })
          else answered({ rows: [], count: result.affectedRows })
        }
        const { text, isPrepared } = statement
        if (!isPrepared) return void connection.query(optionsFor(statement), values, callback)
        if (!prepared.has(text)) {
          const sql = withValues(text, values)
          if (sql !== undefined) {
            // Preparing is a trip of its own: nobody waits for it.
            one.afterwards = (done) => prepare(statement, done)
            return void connection.query({ ...SETTINGS, sql }, [], callback)
          }
          prepared.add(text)
        }
        connection.execute(optionsFor(statement), values, callback)
      },
      onFirstUse() {
        if (heard.has(connection)) return
        heard.add(connection)
        connection.on('error', ignore)
      },
      release() {
        connection.release()
      },
      destroy() {
        connection.destroy()
        // mysql2 only ends its side, and waits for the other for as long as it takes.
        ;(connection as { stream?: { destroy?(): void } }).stream?.destroy?.()
      },
    }
    return one

    function prepare(statement: Statement, done: (error: unknown) => void): void {
      connection.prepare(optionsFor(statement), (error) => {
        if (!error) prepared.add(statement.text)
        done(error)
      })
    }
  }
}

type CorePool = Mysql2Pool & { readonly _closed?: unknown }

function corePool(value: unknown): CorePool | undefined {
  const { pool = value } = (value ?? {}) as { pool?: unknown }
  const { getConnection, promise, execute } = (pool ?? {}) as Record<string, unknown>
  return [getConnection, promise, execute].every((part) => typeof part === 'function')
    ? (pool as CorePool)
    : undefined
}

export function ended(): TypeError {
  return new TypeError('mysqlStore was handed a pool that was ended: end it after the store')
}

function preparedOn(connection: Mysql2Connection): Set<string> {
  let prepared = known.get(connection)
  if (prepared === undefined) {
    prepared = new Set()
    known.set(connection, prepared)
  }
  return prepared
}

/** The texts that each connection has prepared. */
const known = new WeakMap<Mysql2Connection, Set<string>>()

/** A connection that breaks tells its statement, and is an 'error' besides, which ends the process where nobody listens. */
const heard = new WeakSet<Mysql2Connection>()

/** The settings of the pool that change what a row looks like do not count here. */
const SETTINGS = {
  rowsAsArray: true,
  typeCast: true,
  nestTables: false,
  namedPlaceholders: false,
} as const

function ignore(): void {}
