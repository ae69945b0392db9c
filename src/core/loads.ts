import { within } from './budget.js'
import { isPromise } from './maybe.js'
import type { MaybePromise, SessionRecord, StoreKey } from './store.js'
import { notSent } from './store-calls.js'
import { UnderWay } from './under-way.js'

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
  readonly id: StoreKey
  waiting: Promise<SessionRecord | undefined> | undefined
  readonly running: PromiseLike<unknown>
}

export function createLoads(
  milliseconds: number,
  send: (key: StoreKey, now: number) => MaybePromise<SessionRecord | undefined>,
): Loads {
  const lanes = new UnderWay<Lane>()

  function start(key: StoreKey, now: number): MaybePromise<SessionRecord | undefined> {
    const answer = send(key, now)
    if (!isPromise(answer)) return answer
    const lane: Lane = { id: key, waiting: undefined, running: answer }
    lanes.add(lane)
    const leave = (): void => {
      if (lane.waiting === undefined) lanes.remove(lane)
    }
    answer.then(leave, leave)
    return answer
  }

  return {
    load(key, now) {
      const lane = lanes.find(key)
      if (lane === undefined) return start(key, now)
      const next = (): MaybePromise<SessionRecord | undefined> => {
        lanes.remove(lane)
        return start(key, now)
      }
      lane.waiting ??= Promise.resolve(lane.running.then(next, next))
      return within(milliseconds, lane.waiting, () => notSent('load'))
    },
  }
}
