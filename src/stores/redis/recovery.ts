import type { Connection, Primary } from './connection.js'
import { isRefusal } from './refusals.js'

/**
 * Helps the client library where it does not help itself: after a fail-over a cluster client may go on asking the old
 * primary (node-redis issue 2806), and no client notices a connection that died without a word.
 */
export interface Recovery {
  /** Has an eye on a command that was sent: a cluster whose commands fail or go unanswered is looked up again. */
  watch<T>(answer: Promise<T>): Promise<T>
  /** Renews connections that do not answer. */
  reconnect(): Promise<void>
  close(): void
}

/** A command that takes longer is no ordinary one: the slowest of ours take some milliseconds. */
const UNANSWERED = 1000
const LOOK_EVERY = 250
/** At most one look at the cluster a second, however many commands fail. */
const PAUSE = 1000
const PING_PATIENCE = 300

export function createRecovery(connection: Connection): Recovery {
  /** When each was sent, the oldest first. */
  const underway = new Set<{ readonly since: number }>()
  /** Connections that did not answer the last time. */
  let silent: ReadonlySet<string> = new Set()
  let isLooking = false
  let lookedAt = Number.NEGATIVE_INFINITY
  let timer: ReturnType<typeof setInterval> | undefined

  function watch<T>(answer: Promise<T>): Promise<T> {
    if (connection.refresh === undefined) return answer
    const one = { since: performance.now() }
    underway.add(one)
    timer ??= setInterval(glance, LOOK_EVERY).unref()
    answer.then(
      () => underway.delete(one),
      (error: unknown) => {
        underway.delete(one)
        if (!isRefusal(error)) look()
      },
    )
    return answer
  }

  function glance(): void {
    const [oldest] = underway
    if (oldest === undefined) stop()
    else if (performance.now() - oldest.since > UNANSWERED) look()
  }

  function stop(): void {
    clearInterval(timer)
    timer = undefined
  }

  function look(): void {
    if (isLooking || performance.now() - lookedAt < PAUSE) return
    isLooking = true
    lookedAt = performance.now()
    lookAround()
      // The next look is a second away, and the reason is in the errors of the commands.
      .catch(() => {})
      .finally(() => {
        isLooking = false
      })
  }

  /** Asks a node that answers for the state of the cluster; asking one that does not would hold up the library for good. */
  async function lookAround(): Promise<void> {
    const primaries = connection.primaries()
    const answers = await Promise.all(primaries.map(isAnswering))
    const quiet = primaries.filter((_, index) => !answers[index])
    for (const primary of quiet) if (silent.has(primary.id)) primary.renew?.()
    silent = new Set(quiet.map(({ id }) => id))
    const witness = primaries.find((_, index) => answers[index])
    // Where all are connected and silent there is nobody to ask.
    if (witness !== undefined || primaries.length === 0) await connection.refresh?.(witness)
  }

  return {
    watch,
    async reconnect() {
      const primaries = connection.primaries()
      const answers = await Promise.all(primaries.map(isAnswering))
      for (const [index, { renew }] of primaries.entries()) if (!answers[index]) renew?.()
    },
    close: stop,
  }
}

function isAnswering({ send }: Primary): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PING_PATIENCE, false)
    const answer = (isThere: boolean): void => {
      clearTimeout(timer)
      resolve(isThere)
    }
    // A refusal is an answer too.
    send(['ping']).then(
      () => answer(true),
      (error: unknown) => answer(isRefusal(error)),
    )
  })
}
