import { jittered } from './jitter.js'
import { chain, isPromise } from './maybe.js'
import { createSelfCheck, type SelfCheck, type SelfCheckOptions } from './self-check.js'

/** What goes on beside the requests: pruning, and looking after the store and the difference of the clocks. */
export interface Upkeep extends SelfCheck {
  /** Looks at the store soon and quietly, again where it does not answer yet, and says so when that goes on. */
  checkSoon(): void
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

/** Time for the application to connect its client. */
const FIRST_CHECK = 100
const SECOND_CHECK = 1000
const LONGEST_PAUSE = 30_000

export interface UpkeepOptions extends SelfCheckOptions {
  readonly onStart: () => void
}

export function createUpkeep(given: UpkeepOptions): Upkeep {
  const { options, callStore, warn, onStart } = given
  const { store, pruneInterval, storeBudget } = options
  const selfCheck = createSelfCheck(given)
  const { now } = selfCheck
  let hasAnswered = false
  let isStarted = false
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let checkTimer: ReturnType<typeof setTimeout> | undefined

  function check(): ReturnType<SelfCheck['check']> {
    return chain(selfCheck.check(), (health) => {
      hasAnswered = true
      return health
    })
  }

  /** What goes wrong is a storeError event. */
  function checkQuietly(): void {
    try {
      const answer = check()
      if (isPromise(answer)) answer.then(undefined, () => {})
    } catch {
      // Told by `callStore`.
    }
  }

  async function checkUntilAnswered(pause: number): Promise<void> {
    if (hasAnswered || isClosed) return
    try {
      await check()
    } catch (error) {
      if (isClosed) return
      if (pause > SECOND_CHECK) warn('WARN_SESSION_STORE', () => silence(error))
      checkLater(pause)
    }
  }

  function checkLater(pause: number): void {
    const next = Math.min(pause * 2, LONGEST_PAUSE)
    checkTimer = setTimeout(() => void checkUntilAnswered(next), jittered(pause, 1 / 4))
    checkTimer.unref()
  }

  function silence(error: unknown): string {
    const { cause = error } = error as { cause?: unknown }
    const why = cause instanceof Error ? cause.message : String(cause)
    return `the ${store.name} store of the sessions does not answer since the start: ${why}. Requests with a session get 503 until it does; see that it runs, and that its address is right.`
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

  /** A store that prunes by itself is looked at all the same: its set-up may change. */
  async function tend(): Promise<void> {
    if (store.deleteExpired === undefined) await check()
    else await prune()
  }

  function schedule(): void {
    if (isClosed || pruneInterval === 0) return
    if (store.deleteExpired === undefined && store.ping === undefined) return
    timer = setTimeout(() => tend().then(schedule, schedule), jittered(pruneInterval, 1 / 4))
    timer.unref()
  }

  return {
    checkSoon() {
      if (store.ping === undefined) return
      checkTimer = setTimeout(() => void checkUntilAnswered(SECOND_CHECK), FIRST_CHECK)
      checkTimer.unref()
    },
    start() {
      if (isStarted) return
      isStarted = true
      onStart()
      if (store.ping !== undefined && options.isSystemClock && !hasAnswered) checkQuietly()
      schedule()
    },
    now,
    check,
    prune,
    close() {
      isClosed = true
      clearTimeout(timer)
      clearTimeout(checkTimer)
    },
  }
}
