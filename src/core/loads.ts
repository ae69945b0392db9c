import { within } from './budget.js'
import { isPromise } from './maybe.js'
import type { MaybePromise, SessionRecord, StoreKey } from './store.js'
import { notSent } from './store-calls.js'

/**
 * Single flight, without looking back: a request may share the load of another only while that has not been sent.
 * Joining one that is under way would show it a session that was revoked before the request began. So each key has at
 * most one load running and one waiting, and whoever comes meanwhile shares the waiting one.
 */
export interface Loads {
  /** With the time by which the record's deadline is judged. */
  load(key: StoreKey, now: number): MaybePromise<SessionRecord | undefined>
}

interface Lane {
  waiting: Promise<SessionRecord | undefined> | undefined
  readonly running: PromiseLike<unknown>
}

export function createLoads(
  milliseconds: number,
  send: (key: StoreKey, now: number) => MaybePromise<SessionRecord | undefined>,
): Loads {
  const lanes = new Map<StoreKey, Lane>()

  function start(key: StoreKey, now: number): MaybePromise<SessionRecord | undefined> {
    const answer = send(key, now)
    if (!isPromise(answer)) return answer
    const lane: Lane = { waiting: undefined, running: answer }
    lanes.set(key, lane)
    const leave = (): void => {
      if (lane.waiting === undefined && lanes.get(key) === lane) lanes.delete(key)
    }
    answer.then(leave, leave)
    return answer
  }

  return {
    load(key, now) {
      const lane = lanes.get(key)
      if (lane === undefined) return start(key, now)
      const next = (): MaybePromise<SessionRecord | undefined> => {
        lanes.delete(key)
        return start(key, now)
      }
      lane.waiting ??= Promise.resolve(lane.running.then(next, next))
      return within(milliseconds, lane.waiting, () => notSent('load'))
    },
  }
}
