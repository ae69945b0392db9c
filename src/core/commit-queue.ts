import type { Budget } from './budget.js'
import type { Change } from './changes.js'
import type { StoredSession } from './record.js'
import type { StoreKey } from './store.js'

/** One change on its way, and who waits for it. */
export interface Entry {
  readonly change: Change
  readonly budget: Budget
  /** When it was queued, on the lane's own count. */
  readonly order: number
  tries: number
  outcome: { readonly stored: StoredSession } | { readonly error: unknown } | undefined
  settled: (() => void) | undefined
  timer: ReturnType<typeof setTimeout> | undefined
}

/** The changes of one session that are under way in this process. */
export interface Lane {
  readonly id: StoreKey
  entries: Entry[]
  isBusy: boolean
  /** Counts queueing and sending, so that an answer can be told newer than a question. */
  count: number
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
    current: undefined,
    currentSentAt: 0,
    sent: [],
  }
}

export function createEntry(change: Change, budget: Budget, order: number): Entry {
  return {
    change,
    budget,
    order,
    tries: 0,
    outcome: undefined,
    settled: undefined,
    timer: undefined,
  }
}

/** What became of an entry that was settled: its record, or its error thrown. */
export function resultOf(entry: Entry): StoredSession {
  const outcome = entry.outcome as NonNullable<Entry['outcome']>
  if ('error' in outcome) throw outcome.error
  return outcome.stored
}
