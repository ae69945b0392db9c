import type { Hearing, Listen } from './listening.js'

/** What is needed of the `sql` function of postgres.js. */
interface ListeningSql {
  listen?(
    channel: string,
    heard: (message: string) => void,
    opened: () => void,
  ): PromiseLike<unknown>
}

/** One for each channel. It stays until `sql.end()`: once its connection was made again, postgres.js does not let go of it. */
interface Subscription {
  readonly hearings: Set<Hearing>
  /** It was opened once. */
  isOpen: boolean
  hasHeard: boolean
  /** Why the first attempt failed. */
  error?: unknown
}

/** Listens as postgres.js does: on one connection beside its pool, which it opens again by itself and shows to nobody. */
export function postgresJsListen(value: object): Listen | undefined {
  const sql = value as ListeningSql
  if (typeof sql.listen !== 'function') return undefined

  return function listen(channel, hearing) {
    const subscription = subscriptionOf(sql, channel)
    const { hearings, isOpen, error } = subscription
    hearings.add(hearing)
    if (isOpen) later(hearing.opened)
    else if (error !== undefined) later(() => hearing.lost(error))

    function later(tell: () => void): void {
      queueMicrotask(() => {
        if (hearings.has(hearing)) tell()
      })
    }

    return {
      close: () => void hearings.delete(hearing),
      get hasHeard() {
        return subscription.hasHeard
      },
    }
  }
}

function subscriptionOf(sql: ListeningSql, channel: string): Subscription {
  const channels = subscriptions.get(sql) ?? new Map<string, Subscription>()
  subscriptions.set(sql, channels)
  const known = channels.get(channel)
  if (known !== undefined) return known
  const subscription: Subscription = { hearings: new Set(), isOpen: false, hasHeard: false }
  const { hearings } = subscription
  channels.set(channel, subscription)
  const heard = (message: string): void => {
    subscription.hasHeard = true
    for (const hearing of hearings) hearing.heard(message)
  }
  const opened = (): void => {
    subscription.isOpen = true
    for (const hearing of hearings) hearing.opened()
  }
  const failed = (error: unknown): void => {
    subscription.error = error
    for (const hearing of hearings) {
      hearings.delete(hearing)
      hearing.lost(error)
    }
  }
  sql.listen?.(channel, heard, opened).then(undefined, failed)
  return subscription
}

const subscriptions = new WeakMap<object, Map<string, Subscription>>()
