import { Budget } from './budget.js'
import { writeChange } from './changes.js'
import type { Commits } from './commits.js'
import { chain, isPromise } from './maybe.js'
import { type Device, readRecord, type StoredSession } from './record.js'
import type { MaybePromise, StoreKey, WriteResult } from './store.js'
import type { StoreCall } from './store-calls.js'
import { deadlinesOf, type Timeouts } from './timing.js'

/** Moves last-seen. A touch is worth nothing to a request, so its failure is an event and never an answer. */
export interface Touches {
  /**
   * Sends a touch for this record; once more, against the newer one, where another request changed it meanwhile. The
   * requests that one page sends at once share a touch.
   * A `device` that differs from the recorded one is stored along, by a write instead.
   */
  touch(stored: StoredSession, device?: Device): MaybePromise<void>
  /** The same for who wants to know: answers the record as it is then, and rejects where the store fails. */
  move(stored: StoredSession, budget: Budget): MaybePromise<StoredSession>
  /** Resolves when no touch is under way. */
  settled(): Promise<void>
}

export interface TouchesOptions {
  readonly callStore: StoreCall
  readonly commits: Commits
  readonly storeBudget: number
  readonly timeouts: Timeouts
  readonly now: () => number
}

export function createTouches(options: TouchesOptions): Touches {
  const { callStore, commits, storeBudget, timeouts, now } = options
  const pending = new Map<StoreKey, PromiseLike<void>>()

  function send(stored: StoredSession, budget: Budget): MaybePromise<WriteResult> {
    const time = now()
    const lastSeenAt = Math.max(time, stored.lastSeenAt)
    const { expiresAt } = deadlinesOf(stored.meta, lastSeenAt, timeouts)
    return callStore('touch', budget.left(), (store) =>
      store.touch(stored.id, stored.version, lastSeenAt, expiresAt, time),
    )
  }

  function move(stored: StoredSession, budget: Budget): MaybePromise<StoredSession> {
    const lastSeenAt = Math.max(now(), stored.lastSeenAt)
    const { expiresAt } = deadlinesOf(stored.meta, lastSeenAt, timeouts)
    const answer = chain(send(stored, budget), (result) => again(stored, budget, result))
    return chain(answer, (result) =>
      result.outcome === 'updated' ? { ...stored, lastSeenAt, expiresAt } : stored,
    )
  }

  /** With the deadlines of the record that won, unless that belongs to another privilege: then it is not ours to keep alive. */
  function again(
    stored: StoredSession,
    budget: Budget,
    result: WriteResult,
  ): MaybePromise<WriteResult> {
    if (result.outcome !== 'conflict') return result
    const current = readRecord(stored.id, result.record)
    if (typeof current === 'string') return result
    return current.meta.privilege === stored.meta.privilege ? send(current, budget) : result
  }

  return {
    move,
    touch(stored, device) {
      const isNewDevice = !isSameDevice(stored.meta.device, device)
      const other = pending.get(stored.id)
      if (other !== undefined && !isNewDevice) return other
      const budget = new Budget(storeBudget)
      let answer: MaybePromise<unknown>
      try {
        answer = isNewDevice
          ? commits.commit(writeChange({ base: stored, text: stored.text, device }), budget)
          : move(stored, budget)
      } catch {
        return
      }
      if (!isPromise(answer)) return
      const leave = (): void => {
        if (pending.get(stored.id) === done) pending.delete(stored.id)
      }
      const done = answer.then(leave, leave)
      pending.set(stored.id, done)
      return done
    },
    async settled() {
      while (pending.size > 0) await Promise.all(pending.values())
    },
  }
}

function isSameDevice(known: Device | undefined, seen: Device | undefined): boolean {
  return seen === undefined || (known?.userAgent === seen.userAgent && known?.ip === seen.ip)
}
