import { chain, isPromise } from './maybe.js'
import type { CoreOptions } from './options.js'
import type { MaybePromise, PingResult, StoreKey } from './store.js'
import type { StoreCall } from './store-calls.js'
import type { SessionWarningCode } from './warnings.js'

/** What goes on beside the requests: pruning, and keeping this process's clock in step with the store's. */
export interface Upkeep {
  /** Begins with the first session that is loaded or stored. Starts no timer that keeps the process alive. */
  start(): void
  now(): number
  /**
   * Asks the store for its clock, corrects ours by the difference, and answers how long the store took: at once where
   * the store does, so that even the first session goes by the right time.
   */
  check(): MaybePromise<{ latency: number; clockOffset: number }>
  /** Prunes everything that is due, in batches. Answers how many sessions went. */
  prune(): Promise<number>
  close(): void
}

export interface UpkeepOptions {
  readonly options: Omit<CoreOptions, 'secrets'>
  readonly callStore: StoreCall
  readonly warn: (code: SessionWarningCode, message: () => string) => void
}

const PRUNE_BATCH = 1000
const PRUNE_PAUSE = 20
/** A store may look at a part of its records at a time: after so many parts without a find it is left alone for now. */
const PRUNE_PATIENCE = 5
const CLOCK_TOLERANCE = 5000
/** No session has this id: what a store without `ping` is asked for, to see whether it answers. */
const NOBODY = 'staykept-check-of-life' as StoreKey

export function createUpkeep({ options, callStore, warn }: UpkeepOptions): Upkeep {
  const { store, clock, pruneInterval, storeBudget } = options
  let clockOffset = 0
  let isStarted = false
  let isClosed = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function now(): number {
    return clock.now() + clockOffset
  }

  function check(): MaybePromise<{ latency: number; clockOffset: number }> {
    const started = performance.now()
    const before = clock.now()
    const pong: MaybePromise<PingResult | undefined> =
      store.ping === undefined
        ? chain(
            callStore('load', storeBudget, (target) => target.load(NOBODY, now())),
            () => ({}),
          )
        : callStore('ping', storeBudget, (target) => target.ping?.())
    return chain(pong, (answer) => compare(answer, started, before))
  }

  function compare(
    pong: PingResult | undefined,
    started: number,
    before: number,
  ): { latency: number; clockOffset: number } {
    const latency = performance.now() - started
    if (pong?.now !== undefined && options.isSystemClock) {
      const offset = pong.now - (before + clock.now()) / 2
      // Below the tolerance the two agree: half a round trip cannot be told from a difference.
      clockOffset = Math.abs(offset) > CLOCK_TOLERANCE ? Math.round(offset) : 0
      if (clockOffset !== 0) {
        warn(
          'WARN_SESSION_CLOCK',
          () =>
            `the clock of this machine is ${Math.abs(clockOffset)} ms ${clockOffset < 0 ? 'ahead of' : 'behind'} the clock of the session store; deadlines go by the store's. Check the time synchronisation (NTP).`,
        )
      }
    }
    return { latency, clockOffset }
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
