import type { Budget } from './budget.js'
import { writeChange } from './changes.js'
import type { Commits } from './commits.js'
import { chain, isPromise } from './maybe.js'
import { type Device, readRecord, type StoredSession } from './record.js'
import type { MaybePromise, WriteResult } from './store.js'
import type { StoreCall } from './store-calls.js'
import { deadlinesOf, type Timeouts } from './timing.js'

/** Moves last-seen. A touch is worth nothing to a request, so its failure is an event and never an answer. */
export interface Touches {
  /**
   * Sends a touch for this record; once more, against the newer one, where another request changed it meanwhile.
   * A `device` that differs from the recorded one is stored along, by a write instead.
   */
  touch(stored: StoredSession, budget: Budget, device?: Device): MaybePromise<void>
  /** Resolves when no touch is under way. */
  settled(): Promise<void>
}

export interface TouchesOptions {
  readonly callStore: StoreCall
  readonly commits: Commits
  readonly timeouts: Timeouts
  readonly now: () => number
}

export function createTouches(options: TouchesOptions): Touches {
  const { callStore, commits, timeouts, now } = options
  const pending = new Set<PromiseLike<void>>()

  function send(stored: StoredSession, budget: Budget): MaybePromise<WriteResult> {
    const time = now()
    const lastSeenAt = Math.max(time, stored.lastSeenAt)
    const { expiresAt } = deadlinesOf(stored.meta, lastSeenAt, timeouts)
    return callStore('touch', budget.left(), (store) =>
      store.touch(stored.id, stored.version, lastSeenAt, expiresAt, time),
    )
  }

  /** With the deadlines of the record that won, unless that belongs to another privilege: then it is not ours to keep alive. */
  function again(
    stored: StoredSession,
    budget: Budget,
    result: WriteResult,
  ): MaybePromise<unknown> {
    if (result.outcome !== 'conflict') return
    const current = readRecord(stored.id, result.record)
    if (typeof current === 'string' || current.meta.privilege !== stored.meta.privilege) return
    return send(current, budget)
  }

  return {
    touch(stored, budget, device) {
      let answer: MaybePromise<unknown>
      try {
        answer = isSameDevice(stored.meta.device, device)
          ? chain(send(stored, budget), (result) => again(stored, budget, result))
          : commits.commit(writeChange({ base: stored, text: stored.text, device }), budget)
      } catch {
        return
      }
      if (!isPromise(answer)) return
      const done = answer.then(
        () => void pending.delete(done),
        () => void pending.delete(done),
      )
      pending.add(done)
      return done
    },
    async settled() {
      while (pending.size > 0) await Promise.all(pending)
    },
  }
}

function isSameDevice(known: Device | undefined, seen: Device | undefined): boolean {
  return seen === undefined || (known?.userAgent === seen.userAgent && known?.ip === seen.ip)
}
