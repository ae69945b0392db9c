import type pg from 'pg'
import type postgres from 'postgres'
import type { Around, ChangingMethod } from '../../../src/conformance.js'
import type { PgClient, PgPool, PostgresJs } from '../../../src/stores/postgres.js'
import { ask } from '../../servers/postgres.js'
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

/** A pool of pg whose statements go through the gate. */
export function gatedPool(pool: pg.Pool, gate: Gate): PgPool {
  const clients = new Map<pg.PoolClient, PgClient>()

  function gatedClient(client: pg.PoolClient): PgClient {
    return {
      on: (event, listener) => client.on(event, listener),
      query(query, callback) {
        const send = () =>
          new Promise<pg.QueryArrayResult>((resolve, reject) => {
            gate.onSend(query.text)
            void client.query(query, (error, result) => (error ? reject(error) : resolve(result)))
          })
        gate.around(send).then(
          (result) => callback(undefined as never, result),
          (error: Error) => callback(error, undefined as never),
        )
      },
    }
  }

  return {
    totalCount: 1,
    get idleCount() {
      return pool.idleCount
    },
    on: (event, listener) => pool.on(event, listener),
    listenerCount: (event) => pool.listenerCount(event),
    connect(callback) {
      pool.connect((error, client, release) => {
        if (!client) return callback(error, undefined, release)
        const gated = clients.get(client) ?? gatedClient(client)
        clients.set(client, gated)
        callback(error, gated, release)
      })
    },
  }
}

/** The `sql` of postgres.js, its statements through the gate. */
export function gatedSql(sql: postgres.Sql, gate: Gate): PostgresJs {
  const unsafe: PostgresJs['unsafe'] = (text, values = [], options = {}) => ({
    cancel() {},
    values: () =>
      gate.around(async () => {
        gate.onSend(text)
        return sql.unsafe(text, values, options).values()
      }),
  })
  return Object.assign(() => {}, { unsafe, begin: sql.begin, end: sql.end })
}

/** Loses the reply of the next statement that makes this change. */
export function loseReplyOf(method: ChangingMethod, gate: Gate, proxy: TcpProxy): void {
  gate.onSend = (text) => {
    if (!CHANGES[method].test(text)) return
    gate.onSend = () => {}
    proxy.loseNextReply()
  }
}

/** How often the server itself executed the change, in one schema. */
export async function executionsOf(
  method: ChangingMethod,
  port: number,
  schema: string,
): Promise<number> {
  const rows = await ask(port, 'SELECT query, calls FROM pg_stat_statements WHERE query LIKE $1', [
    `%"${schema}".%`,
  ])
  return rows
    .filter(({ query }) => CHANGES[method].test(String(query)))
    .reduce((sum, { calls }) => sum + Number(calls), 0)
}

const CHANGES: Readonly<Record<ChangingMethod, RegExp>> = {
  create: /INSERT INTO .*sessions" AS stored/,
  update: /^UPDATE .* SET version/,
  touch: /^UPDATE .* SET last_seen_at/,
  delete: /^DELETE FROM .* WHERE key = /,
}
