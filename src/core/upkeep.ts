import { isPromise } from './maybe.js'
import { createSelfCheck, type SelfCheck, type SelfCheckOptions } from './self-check.js'

/** What goes on beside the requests: pruning, and keeping this process's clock in step with the store's. */
export interface Upkeep extends SelfCheck {
  /** Begins with the first session that is loaded or stored. Starts no timer that keeps the process alive. */
  start(): void
  /** Prunes everything that is due, in batches. Answers how many sessions went. */
  prune(): Promise<number>
  close(): void
}

const PRUNE_BATCH = 1000
const PRUNE_PAUSE = 20
/** A store may look at a part of its records at a time: after so many parts without a find it is left alone for now. */
const PRUNE_PATIENCE = 5

export function createUpkeep(given: SelfCheckOptions): Upkeep {
  const { options, callStore } = given
  const { store, pruneInterval, storeBudget } = options
  const { now, check } = createSelfCheck(given)
  let isStarted = false
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined

  /** What goes wrong is a storeError event. */
  function checkQuietly(): void {
    try {
      const answer = check()
      if (isPromise(answer)) answer.then(undefined, () => {})
    } catch {
      // Told by `callStore`.
    }
  }

  async function prune(): Promise<number> {
    if (store.deleteExpired === undefined) return 0
    // A clock that went wrong since the last look must not prune what is alive.
    if (store.ping !== undefined) await check()
    let pruned = 0
    let emptyAnswers = 0
    while (!isClosed && emptyAnswers < PRUNE_PATIENCE) {
      const count = await callStore('deleteExpired', storeBudget, (target) =>
        target.deleteExpired?.(PRUNE_BATCH, now()),
      )
      pruned += count ?? 0
      emptyAnswers = count ? 0 : emptyAnswers + 1
      await new Promise((resolve) => setTimeout(resolve, PRUNE_PAUSE).unref())
    }
    return pruned
  }

  /** Jittered, so that processes which started together do not prune together. */
  function schedule(): void {
    if (isClosed || pruneInterval === 0 || store.deleteExpired === undefined) return
    timer = setTimeout(
      () => {
        prune().then(schedule, schedule)
      },
      pruneInterval * (0.75 + Math.random() / 2),
    )
    timer.unref()
  }

  return {
    start() {
      if (isStarted) return
      isStarted = true
      if (store.ping !== undefined && options.isSystemClock) checkQuietly()
      schedule()
    },
    now,
    check,
    prune,
    close() {
      isClosed = true
      clearTimeout(timer)
    },
  }
}
