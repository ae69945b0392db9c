import { isPromise } from './maybe.js'
import type { NearCache } from './near-cache.js'
import type { MaybePromise, SessionStore } from './store.js'

/**
 * `store`, with the near cache told of all that passes: what is read is kept, and what this process writes takes the place
 * of what it had, before anybody hears that it is stored.
 */
export function coherentStore(store: SessionStore, cache: NearCache): SessionStore {
  const { limits, deleteByUser, listByUser, revocationMark, deleteExpired } = store
  const { watch, ping, reconnect, close } = store
  return {
    name: store.name,
    ...(limits && { limits }),

    load(key, now) {
      const ticket = cache.reading(key)
      return attend(
        () => store.load(key, now),
        (record) => {
          cache.answered(ticket, record)
          // Nothing comes back that was not there.
          if (record === undefined) cache.drop(key)
        },
        () => cache.answered(ticket),
      )
    },

    create(key, record, now, tellMark) {
      const ticket = cache.writing(key, record.version)
      return attend(
        () => store.create(key, record, now, tellMark),
        (isCreated) => cache.answered(ticket, isCreated === true ? record : undefined),
        () => cache.answered(ticket),
      )
    },

    update(key, record, expectedVersion, now, ends) {
      const ticket = cache.writing(key, record.version)
      return attend(
        () => store.update(key, record, expectedVersion, now, ends),
        (result) => {
          const isAlive = result?.outcome === 'updated' && ends === undefined
          cache.answered(ticket, isAlive ? record : undefined)
        },
        () => cache.answered(ticket),
      )
    },

    touch(key, expectedVersion, lastSeenAt, expiresAt, now) {
      return attend(
        () => store.touch(key, expectedVersion, lastSeenAt, expiresAt, now),
        (result) => {
          if (result?.outcome === 'updated')
            cache.moved(key, expectedVersion, { lastSeenAt, expiresAt })
          else cache.drop(key)
        },
      )
    },

    delete(key, now, reason) {
      const ticket = cache.writing(key)
      return attend(
        () => store.delete(key, now, reason),
        () => cache.answered(ticket),
        () => cache.answered(ticket),
      )
    },

    ...(deleteByUser && {
      deleteByUser: (userId, options) =>
        attend(
          () => deleteByUser.call(store, userId, options),
          (keys) => {
            for (const key of keys ?? []) cache.drop(key)
          },
        ),
    }),
    ...(listByUser && { listByUser: listByUser.bind(store) }),
    ...(revocationMark && { revocationMark: revocationMark.bind(store) }),
    ...(deleteExpired && { deleteExpired: deleteExpired.bind(store) }),
    ...(watch && { watch: watch.bind(store) }),
    ...(ping && { ping: ping.bind(store) }),
    ...(reconnect && { reconnect: reconnect.bind(store) }),
    ...(close && { close: close.bind(store) }),
  }
}

/** Hands the answer to `hear` before anybody else gets it. */
function attend<T>(
  send: () => MaybePromise<T>,
  hear: (answer: T) => void,
  fail: () => void = () => {},
): MaybePromise<T> {
  let answer: MaybePromise<T>
  try {
    answer = send()
  } catch (error) {
    fail()
    throw error
  }
  if (!isPromise(answer)) {
    hear(answer)
    return answer
  }
  return answer.then(
    (value) => {
      hear(value)
      return value
    },
    (error: unknown) => {
      fail()
      throw error
    },
  )
}
