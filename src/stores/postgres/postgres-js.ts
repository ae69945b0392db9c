import { postgresJsListen } from './postgres-js-listening.js'
import type { Answer, Client, Failure } from './statement.js'
import { givenUp, wasNotSent } from './trouble.js'

/** What the store needs of the `sql` function of postgres.js. */
export interface PostgresJs {
  unsafe(
    text: string,
    // biome-ignore lint/suspicious/noExplicitAny: postgres.js has a type of its own for values
    values?: any[],
    options?: { prepare?: boolean },
  ): PostgresJsQuery
  // biome-ignore lint/suspicious/noExplicitAny: only looked for: a transaction and a reserved connection have none
  begin: (...args: any[]) => unknown
  // biome-ignore lint/suspicious/noExplicitAny: only looked for
  end: (...args: any[]) => unknown
}

export interface PostgresJsQuery {
  values(): PromiseLike<
    ArrayLike<unknown[]> & {
      readonly count: number
      readonly state?: { readonly pid: number } | undefined
    }
  >
  cancel(): void
}

/** A client on the `sql` of postgres.js; `undefined` where this is none. */
export function asPostgresJs(value: unknown, timeout: number): Client | undefined {
  if (typeof value !== 'function') return undefined
  const sql = value as unknown as PostgresJs
  const { unsafe, begin, end } = sql
  if (![unsafe, begin, end].every((part) => typeof part === 'function')) return undefined

  return {
    listen: postgresJsListen(sql),

    send({ text, name }, values) {
      return new Promise<Answer | Failure>((resolve) => {
        const query = sql.unsafe(text, [...values], { prepare: name !== undefined })
        const timer = setTimeout(giveUp, timeout)

        function finish(outcome: Answer | Failure): void {
          clearTimeout(timer)
          resolve(outcome)
        }

        /**
         * One that still waits for a connection is taken back. One that was sent is left alone: its connection cannot
         * be closed from here, and cancelling it opens another, whose failure nobody could catch.
         */
        function giveUp(): void {
          const isSent = (query as { state?: unknown }).state !== null
          finish({ error: givenUp(), isSent })
          if (!isSent) query.cancel()
        }

        query.values().then(
          (rows) => finish({ rows: Array.from(rows), count: rows.count, pid: rows.state?.pid }),
          (error: unknown) => finish({ error, isSent: !wasNotSent(error) }),
        )
      })
    },
  }
}
