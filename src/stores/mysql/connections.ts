import type { Answer, Client, Failure, Statement, Value } from './statement.js'
import { givenUp, isBroken } from './trouble.js'

/** A pool, as its library offers it. */
export interface Connections {
  take(taken: (connection: Held) => void, failed: (error: unknown) => void): void
}

/** A connection of a pool that is ours for now. */
export interface Held {
  /** The same for the same connection; `undefined` where the pool looks after idle ones itself. */
  readonly identity: object | undefined
  send(
    statement: Statement,
    values: readonly Value[],
    answered: (answer: Answer) => void,
    failed: (error: unknown) => void,
  ): void
  /** Called before the first statement on it. */
  onFirstUse(): void
  /** What is left to do before it is given back, though nobody waits for it. */
  afterwards: ((done: (error?: unknown) => void) => void) | undefined
  release(): void
  /** Closes it. The pool makes another. */
  destroy(): void
}

/**
 * Sends each statement on a connection of its own, and gives up on both when they take longer than `timeout`: a pool
 * waits for ever, for a free connection and for an answer. Nothing is ever sent twice here, nor by the libraries.
 */
export function connections(timeout: number, pool: Connections): Client {
  /** How to give up on each statement that was sent. */
  const underWay = new Set<() => void>()
  /** Counts up with every `reconnect`. */
  let generation = 0
  const known = new WeakMap<object, number>()

  /** Whether it was made, or used, since the last `reconnect`. */
  function isFresh({ identity, onFirstUse }: Held): boolean {
    if (identity === undefined) return true
    const since = known.get(identity)
    if (since === undefined) onFirstUse()
    known.set(identity, generation)
    return since === undefined || since === generation
  }

  function giveBack(connection: Held, afterwards: NonNullable<Held['afterwards']>): void {
    const timer = setTimeout(giveUp, timeout)
    underWay.add(giveUp)

    function isFirst(): boolean {
      clearTimeout(timer)
      return underWay.delete(giveUp)
    }

    function giveUp(): void {
      if (isFirst()) connection.destroy()
    }

    afterwards((error) => {
      if (!isFirst()) return
      if (error && isBroken(error)) connection.destroy()
      else connection.release()
    })
  }

  return {
    send(statement, values) {
      return new Promise<Answer | Failure>((resolve) => {
        let connection: Held | undefined
        let isOver = false
        const timer = setTimeout(giveUp, timeout)

        function finish(outcome: Answer | Failure): void {
          isOver = true
          clearTimeout(timer)
          underWay.delete(giveUp)
          resolve(outcome)
        }

        function giveUp(): void {
          if (isOver) return
          finish({ error: givenUp(), isSent: connection !== undefined })
          // One that hangs must not take its place in the pool for ever.
          connection?.destroy()
        }

        function succeed(answer: Answer): void {
          if (isOver) return
          finish(answer)
          if (connection?.afterwards === undefined) connection?.release()
          else giveBack(connection, connection.afterwards)
        }

        function fail(error: unknown): void {
          if (isOver) return
          finish({ error, isSent: connection !== undefined })
          if (isBroken(error)) connection?.destroy()
          else connection?.release()
        }

        function take(): void {
          pool.take((held) => {
            if (isOver) return held.release()
            if (!isFresh(held)) {
              held.destroy()
              return take()
            }
            connection = held
            underWay.add(giveUp)
            try {
              held.send(statement, values, succeed, fail)
            } catch (error) {
              fail(error)
            }
          }, fail)
        }

        take()
      })
    },

    reconnect() {
      generation += 1
      for (const giveUp of [...underWay]) giveUp()
    },
  }
}
