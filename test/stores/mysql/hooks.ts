import type { Pool as MariadbPool } from 'mariadb'
import type { Pool as Mysql2Pool, PoolConnection } from 'mysql2'
import type { Around, ChangingMethod } from '../../../src/conformance.js'
import type {
  MariadbConnection,
  Mysql2Connection,
  MariadbPool as StoresMariadbPool,
  Mysql2Pool as StoresMysql2Pool,
} from '../../../src/stores/mysql.js'
import { ask } from '../../servers/mariadb.js'
import type { TcpProxy } from '../../servers/proxy.js'

/** Something in the way of every statement of a pool. */
export interface Gate {
  /** Is told what is about to be sent, at the last moment. */
  onSend: (text: string) => void
  around: Around
}

export function openGate(): Gate {
  return { onSend: () => {}, around: (send) => send() }
}

/** A pool of mysql2 whose statements go through the gate. */
export function gatedMysql2(pool: Mysql2Pool, gate: Gate): StoresMysql2Pool {
  const known = new Map<PoolConnection, Mysql2Connection>()

  function gated(connection: PoolConnection): Mysql2Connection {
    const through =
      (method: 'execute' | 'query'): Mysql2Connection['execute'] =>
      (options, values, callback) => {
        const send = () =>
          new Promise((resolve, reject) => {
            gate.onSend(options.sql)
            connection[method]({ ...options, values }, (error, result) =>
              error ? reject(error) : resolve(result),
            )
          })
        gate.around(send).then((result) => callback(null, result), callback as never)
      }
    return {
      execute: through('execute'),
      query: through('query'),
      prepare: (options, callback) => connection.prepare(options, callback),
      release: () => connection.release(),
      destroy: () => connection.destroy(),
      on: (event, listener) => connection.on(event, listener),
    }
  }

  const gatedPool = {
    promise() {},
    execute() {},
    getConnection(callback: (error: unknown, connection: Mysql2Connection) => void) {
      pool.getConnection((error, connection) => {
        if (error) return callback(error, undefined as never)
        const one = known.get(connection) ?? gated(connection)
        known.set(connection, one)
        callback(null, one)
      })
    },
  }
  return gatedPool
}

/** A pool of mariadb, its statements through the gate. */
export function gatedMariadb(pool: MariadbPool, gate: Gate): StoresMariadbPool {
  return {
    taskQueueSize: () => pool.taskQueueSize(),
    async getConnection() {
      const connection = await pool.getConnection()
      const through =
        (method: 'execute' | 'query'): MariadbConnection['execute'] =>
        (options, values) =>
          gate.around(async () => {
            gate.onSend(options.sql)
            return connection[method](options as never, values)
          })
      return {
        execute: through('execute'),
        query: through('query'),
        release: () => connection.release(),
        destroy: () => connection.destroy(),
      }
    },
  }
}

/** Loses the reply of the next statement that makes this change. */
export function loseReplyOf(method: ChangingMethod, gate: Gate, proxy: TcpProxy): void {
  gate.onSend = (text) => {
    if (!CHANGES[method].test(text)) return
    gate.onSend = () => {}
    proxy.loseNextReply()
  }
}

/** How often the server itself executed the change, by its general log, since `forgetExecutions`. */
export async function executionsOf(method: ChangingMethod, port: number): Promise<number> {
  const rows = await ask(
    port,
    "SELECT CONVERT(argument USING utf8mb4) AS text FROM mysql.general_log WHERE command_type = 'Execute'",
  )
  return rows.filter(({ text }) => CHANGES[method].test(String(text))).length
}

export async function forgetExecutions(port: number): Promise<void> {
  await ask(port, 'TRUNCATE mysql.general_log')
}

const CHANGES: Readonly<Record<ChangingMethod, RegExp>> = {
  create: /^INSERT INTO `staykept_sessions` /,
  update: /^UPDATE `staykept_sessions` SET version = \S+, user_id/,
  touch: /^UPDATE `staykept_sessions` SET expires_at = IF/,
  delete: /^DELETE FROM `staykept_sessions` WHERE session_key = \S+ AND expires_at > \S+$/,
}
