import type { Budget } from './budget.js'
import type { Change } from './changes.js'
import type { Waiting } from './patience.js'
import type { StoredSession } from './record.js'
import type { StoreKey } from './store.js'

/** One change on its way, and who waits for it. No closures in its properties (decision 030). */
export class Entry implements Waiting {
  readonly lane: Lane
  readonly change: Change
  readonly budget: Budget
  /** When it was queued, on the lane's own count. */
  readonly order: number
  tries = 0
  outcome: { readonly stored: StoredSession } | { readonly error: unknown } | undefined
  until = 0
  place = -1
  #resolve: ((stored: StoredSession) => void) | undefined
  #reject: ((error: unknown) => void) | undefined

  constructor(lane: Lane, change: Change, budget: Budget) {
    lane.count += 1
    this.lane = lane
    this.change = change
    this.budget = budget
    this.order = lane.count
    this.outcome = undefined
  }

  /** What became of it: its record, or its error thrown. */
  get result(): StoredSession {
    const outcome = this.outcome as NonNullable<Entry['outcome']>
    if ('error' in outcome) throw outcome.error
    return outcome.stored
  }

  /** The result, as soon as there is one. To be asked for once, and before. */
  later(): Promise<StoredSession> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  settle(outcome: NonNullable<Entry['outcome']>): void {
    this.outcome = outcome
    if ('error' in outcome) this.#reject?.(outcome.error)
    else this.#resolve?.(outcome.stored)
  }
}

/** The changes of one session that are under way in this process. */
export interface Lane {
  readonly id: StoreKey
  entries: Entry[]
  isBusy: boolean
  /** Counts queueing and sending, so that an answer can be told newer than a question. */
  count: number
  /** The count when the call that is under way was sent. */
  sentAt: number
  current: StoredSession | undefined
  /** The count when the call that answered `current` was sent. */
  currentSentAt: number
  /** The changes in the call that is under way: where no answer comes, they may have been stored all the same. */
  sent: readonly Entry[]
}

export function createLane(id: StoreKey): Lane {
  return {
    id,
    entries: [],
    isBusy: false,
    count: 0,
    sentAt: 0,
    current: undefined,
    currentSentAt: 0,
    sent: [],
  }
}
