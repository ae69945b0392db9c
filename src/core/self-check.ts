import { SessionError } from './errors.js'
import { chain } from './maybe.js'
import type { CoreOptions } from './options.js'
import type { MaybePromise, PingResult, StoreConcern, StoreConcernCode, StoreKey } from './store.js'
import type { StoreCall } from './store-calls.js'
import type { SessionWarningCode } from './warnings.js'

/** What a look at the store showed. */
export interface Health {
  /** Milliseconds that the store took to answer. */
  readonly latency: number
  readonly clockOffset: number
  readonly concerns: readonly StoreConcern[]
  /** The store answers, and cannot do its work. */
  readonly error: SessionError | undefined
}

/** Asks the store whether it answers, what time it is there, and what is wrong with its set-up. */
export interface SelfCheck {
  now(): number
  /** At once where the store answers at once, so that even the first session goes by the right time. */
  check(): MaybePromise<Health>
}

export interface SelfCheckOptions {
  readonly options: Omit<CoreOptions, 'secrets'>
  readonly callStore: StoreCall
  readonly warn: (code: SessionWarningCode, message: () => string) => void
}

const CLOCK_TOLERANCE = 5000
/** No session has this id: what a store without `ping` is asked for, to see whether it answers. */
const NOBODY = 'staykept-check-of-life' as StoreKey

/** With one of these the store answers, and yet cannot keep sessions. */
const DISABLING: ReadonlySet<StoreConcernCode> = new Set<StoreConcernCode>([
  'WARN_SESSION_PERMISSION',
  'WARN_SESSION_READ_ONLY',
  'WARN_SESSION_STORE_VERSION',
])

export function createSelfCheck({ options, callStore, warn }: SelfCheckOptions): SelfCheck {
  const { clock, storeBudget } = options
  let clockOffset = 0

  function now(): number {
    return clock.now() + clockOffset
  }

  function judge(pong: PingResult | undefined, started: number, before: number): Health {
    const latency = performance.now() - started
    if (pong?.now !== undefined && options.isSystemClock) {
      compareClocks(pong.now - (before + clock.now()) / 2)
    }
    const concerns = pong?.concerns ?? []
    for (const { code, message } of concerns) warn(code, () => message)
    const disabling = concerns.find(({ code }) => DISABLING.has(code))
    const error =
      disabling === undefined ? undefined : new SessionError('ERR_SESSION_STORE', disabling.message)
    return { latency, clockOffset, concerns, error }
  }

  function compareClocks(offset: number): void {
    // Below the tolerance the two agree: half a round trip cannot be told from a difference.
    clockOffset = Math.abs(offset) > CLOCK_TOLERANCE ? Math.round(offset) : 0
    if (clockOffset === 0) return
    warn(
      'WARN_SESSION_CLOCK',
      () =>
        `the clock of this machine is ${Math.abs(clockOffset)} ms ${clockOffset < 0 ? 'ahead of' : 'behind'} the clock of the session store; deadlines go by the store's. Check the time synchronisation (NTP).`,
    )
  }

  return {
    now,
    check() {
      const started = performance.now()
      const before = clock.now()
      const pong: MaybePromise<PingResult | undefined> = callStore('ping', storeBudget, (target) =>
        target.ping === undefined
          ? chain(target.load(NOBODY, now()), () => undefined)
          : target.ping(),
      )
      return chain(pong, (answer) => judge(answer, started, before))
    },
  }
}
