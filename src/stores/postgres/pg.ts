import { pgListen } from './pg-listening.js'
import type { Answer, Client, Failure } from './statement.js'
import { givenUp, isBroken } from './trouble.js'

/** What the store needs of a `Pool` of pg. */
export interface PgPool {
  connect(
    callback: (
      error: Error | undefined,
      client: PgClient | undefined,
      // biome-ignore lint/suspicious/noExplicitAny: pg takes an error or a boolean
      release: (error?: any) => void,
    ) => void,
  ): void
  on(event: 'error', listener: (error: Error) => void): unknown
  listenerCount(event: 'error'): number
  /** Tells a pool from a single client. */
  readonly totalCount: number
  readonly idleCount: number
}

export interface PgClient {
  readonly processID?: number | undefined
  query(
    query: {
      readonly text: string
      readonly values?: unknown[]
      readonly name?: string
      readonly rowMode: 'array'
    },
    callback: (error: Error, result: { rows: unknown[][]; rowCount: number | null }) => void,
  ): void
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** A client on a `Pool` of pg; `undefined` where this is none. Throws a `TypeError` for one that was ended. */
export function asPgPool(value: unknown, timeout: number): Client | undefined {
  const pool = value as PgPool & { readonly ending?: unknown }
  if (typeof pool !== 'object' || typeof pool?.connect !== 'function') return undefined
  if (typeof pool.totalCount !== 'number' || typeof pool.listenerCount !== 'function')
    return undefined
  if (pool.ending === true) {
    throw new TypeError('postgresStore was handed a pool that was ended: end it after the store')
  }
  // An idle connection that breaks is an 'error' of the pool, and ends the process where nobody listens. The pool has
  // put it away by then, and opens another at the next call.
  if (pool.listenerCount('error') === 0) pool.on('error', ignore)

  return {
    listen: pgListen(pool, timeout),

    send({ text, name }, values) {
      return new Promise<Answer | Failure>((resolve) => {
        let release: ((error?: unknown) => void) | undefined
        let isOver = false
        const timer = setTimeout(giveUp, timeout)

        function end(outcome: Answer | Failure, broken?: unknown): void {
          isOver = true
          clearTimeout(timer)
          release?.(broken)
          resolve(outcome)
        }

        /** A connection that hangs must not take its place in the pool for ever: with an error, the pool closes it. */
        function giveUp(): void {
          const error = givenUp()
          end({ error, isSent: release !== undefined }, error)
        }

        pool.connect((failed, client, giveBack) => {
          if (isOver) return giveBack?.()
          if (failed || client === undefined) return end({ error: failed, isSent: false })
          release = giveBack
          if (!met.has(client)) {
            met.add(client)
            client.on('error', ignore)
          }
          const prepared = name === undefined ? {} : { name }
          // Without values pg speaks the simple protocol, in which one text may hold several statements.
          const bound = values.length === 0 ? {} : { values: [...values] }
          client.query({ text, rowMode: 'array', ...prepared, ...bound }, (error, result) => {
            if (isOver) return
            if (error) end({ error, isSent: !isStale(error) }, isBroken(error) ? error : undefined)
            else end({ rows: result.rows, count: result.rowCount ?? 0, pid: client.processID })
          })
        })
      })
    },

    renew() {
      for (let left = pool.idleCount; left > 0; left -= 1) {
        pool.connect((_error, _client, release) => release?.(new Error('may be dead')))
      }
    },
  }
}

/** The pool had not noticed yet that the connection was gone. pg says it before it sends, and gives no code. */
function isStale(error: Error): boolean {
  return /is not queryable/.test(error.message)
}

/** Connections that have a listener of ours: one that breaks while it is in use is heard of through its statement. */
const met = new WeakSet<PgClient>()

function ignore(): void {}
