import { jittered } from './jitter.js'
import { isPromise } from './maybe.js'
import type { MaybePromise } from './store.js'

/**
 * - `closed`: calls go to the store
 * - `open`: the store does not answer, so nothing is sent; it is asked in the background about once a second
 * - `half-open`: it answered; a few calls go through, each answer lets more follow, and one failure opens again
 */
export type BreakerState = 'closed' | 'open' | 'half-open'

/**
 * Keeps requests from waiting for a store that is known to be down. What counts is a run of failures in which nothing
 * was answered: a failed call says nothing about a store that has answered a later one.
 */
export interface Breaker {
  readonly isClosed: boolean
  /** Grows with each answer. A call notes it when it is sent, and hands it in when it fails. */
  readonly answers: number
  /** Whether one more call may be sent, where the breaker is not closed. */
  admits(): boolean
  /** A call of a request, or the like, was answered. */
  answered(): void
  /** The store answered a question that was asked for its own sake: it is there, and yet may keep every call waiting. */
  isThere(): void
  failed(sentAt: number, failure: Failure): void
  /** Something was not answered that says little about the rest, so the store is asked. */
  suspect(): void
  /** The latest failure that counted. */
  readonly cause: unknown
  /** Stops asking, for good. */
  close(): void
}

export interface Failure {
  readonly kind: 'rejected' | 'unanswered'
  readonly error: unknown
}

export interface BreakerOptions {
  readonly storeBudget: number
  readonly onChange: (change: { readonly state: BreakerState; readonly error?: unknown }) => void
  /** Asks the store whether it answers. */
  readonly probe: () => MaybePromise<unknown>
  /** Has the store make a new connection, where it can. */
  readonly reconnect?: (() => MaybePromise<unknown>) | undefined
}

const FAILURES = 5
/** Rejections come in bursts, as when one connection breaks under fifty calls: they have to go on for so long. */
const LASTING = 500
const FIRST_PROBE = 200
const PROBE_INTERVAL = 1000
/** Calls that a half-open breaker lets through at first, and answers that close it. */
const TRIALS = 16
/** A connection that stays silent for so many probes is given up. */
const SILENT_PROBES = 2
/** A client that reconnects by itself has long done so. */
const FAILED_PROBES = 10
const RECONNECT_INTERVAL = 5000

export function createBreaker(options: BreakerOptions): Breaker {
  const { storeBudget, onChange } = options
  let state: BreakerState = 'closed'
  /** Failures since the last answer, and how many of them were calls that nobody answered. */
  let failures = 0
  let unanswered = 0
  let firstFailureAt = 0
  /** While half-open: calls that were let through, and answers. */
  let tried = 0
  let proven = 0
  /** A call was not answered, and the store not asked since: with little traffic nothing else would find out. */
  let isSuspect = false
  let silentProbes = 0
  let failedProbes = 0
  let reconnectedAt = Number.NEGATIVE_INFINITY
  let isProbing = false
  let isShut = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function enter(next: BreakerState, firstProbe = FIRST_PROBE): void {
    clearTimeout(timer)
    timer = undefined
    state = next
    breaker.isClosed = next === 'closed'
    if (next === 'open') schedule(jittered(firstProbe, 1 / 2))
    if (next === 'half-open') {
      tried = 0
      proven = 0
      closeLater(0)
    }
    // Last: whoever listens may call the store.
    onChange(next === 'open' ? { state: next, error: breaker.cause } : { state: next })
  }

  /** Closes when there was time for an answer to every call that was let through. */
  function closeLater(triedBefore: number): void {
    timer = setTimeout(() => {
      if (tried > triedBefore && tried > proven) closeLater(tried)
      else enter('closed')
    }, storeBudget + FIRST_PROBE)
    timer.unref()
  }

  function isDown(): boolean {
    if (failures < FAILURES) return false
    return unanswered >= FAILURES || performance.now() - firstFailureAt >= LASTING
  }

  /** Jittered by the caller: processes that met one outage must not ask in step. */
  function schedule(delay: number): void {
    if (isShut || isProbing) return
    clearTimeout(timer)
    timer = setTimeout(() => void probe(), delay)
    timer.unref()
  }

  function isDoubtful(): boolean {
    return state === 'open' || (state === 'closed' && isSuspect)
  }

  function suspect(): void {
    if (state === 'closed' && !isSuspect) schedule(jittered(FIRST_PROBE, 1 / 2))
    isSuspect = true
  }

  async function probe(): Promise<void> {
    const startedAt = performance.now()
    const before = unanswered
    isProbing = true
    try {
      await options.probe()
    } catch {
      // Told by `callStore`, to the listeners and to `failed`.
      failedProbes += 1
      silentProbes = unanswered > before ? silentProbes + 1 : 0
    }
    isProbing = false
    if (isShut || !isDoubtful()) return
    if (silentProbes >= SILENT_PROBES || failedProbes >= FAILED_PROBES) reconnect()
    schedule(Math.max(0, jittered(PROBE_INTERVAL, 1 / 4) - (performance.now() - startedAt)))
  }

  function reconnect(): void {
    const now = performance.now()
    if (options.reconnect === undefined || now - reconnectedAt < RECONNECT_INTERVAL) return
    reconnectedAt = now
    silentProbes = 0
    failedProbes = 0
    try {
      const done = options.reconnect()
      if (isPromise(done)) done.then(undefined, () => {})
    } catch {
      // Told by `callStore`.
    }
  }

  function isThere(): void {
    isSuspect = false
    silentProbes = 0
    failedProbes = 0
    if (state === 'open') {
      // What was sent before the store went down says nothing about it now.
      breaker.answers += 1
      failures = 0
      unanswered = 0
      enter('half-open')
    } else if (state === 'closed') {
      clearTimeout(timer)
      timer = undefined
    }
  }

  /** The slow half of `answered`: not everything was well before. */
  function recover(): void {
    failures = 0
    unanswered = 0
    if (state === 'half-open') {
      proven += 1
      if (proven >= TRIALS) enter('closed')
    } else {
      isThere()
    }
  }

  // Plain members, read and written on the way of every call.
  const breaker: { -readonly [Member in keyof Breaker]: Breaker[Member] } = {
    isClosed: true,
    answers: 0,
    cause: undefined,
    isThere,
    suspect,
    admits() {
      if (state !== 'half-open') return state === 'closed'
      if (tried >= TRIALS + 2 * proven) return false
      tried += 1
      return true
    },
    answered() {
      breaker.answers += 1
      if (failures > 0 || !breaker.isClosed) recover()
    },
    failed(sentAt, { kind, error }) {
      if (sentAt !== breaker.answers || isShut) return
      if (failures === 0) firstFailureAt = performance.now()
      failures += 1
      breaker.cause = error
      if (kind === 'unanswered') {
        unanswered += 1
        suspect()
      }
      if (state === 'half-open') enter('open', PROBE_INTERVAL)
      else if (state === 'closed' && isDown()) enter('open')
    },
    close() {
      isShut = true
      state = 'closed'
      breaker.isClosed = true
      clearTimeout(timer)
    },
  }
  return breaker
}
