import type { Breaker } from './breaker.js'
import { isSessionError, SessionError } from './errors.js'
import type { EventHub } from './events.js'
import { jittered } from './jitter.js'
import { isPromise } from './maybe.js'
import { Patience, type Waiting } from './patience.js'
import type { MaybePromise, SessionStore } from './store.js'

/**
 * The one gate to the store: every call is bounded in time, and every failure becomes a `SessionError` that says
 * whether the change may have been executed. A read that failed is repeated once, for a connection that just broke; a
 * call whose outcome is unknown never, neither here nor above. While the breaker is open nothing is sent at all.
 */
export type StoreCall = <T>(
  operation: StoreOperation,
  milliseconds: number,
  invoke: (store: SessionStore) => MaybePromise<T>,
) => MaybePromise<T>

export type StoreOperation =
  | 'load'
  | 'create'
  | 'update'
  | 'touch'
  | 'delete'
  | 'listByUser'
  | 'deleteByUser'
  | 'revocationMark'
  | 'deleteExpired'
  | 'ping'
  | 'reconnect'
  | 'close'

export interface StoreCallOptions {
  readonly store: SessionStore
  readonly events: EventHub
  readonly breaker: Breaker
  readonly storeBudget: number
}

const READS: ReadonlySet<StoreOperation> = new Set(['load', 'listByUser', 'revocationMark', 'ping'])

/** Time for a client to find itself a new connection. */
const PAUSE = 50

export function createStoreCall(options: StoreCallOptions): StoreCall {
  const { store, events, breaker, storeBudget } = options
  const patience = new Patience<WaitingCall>(onLate)

  return function callStore(operation, milliseconds, invoke) {
    if (milliseconds <= 0) throw report(operation, notSent(operation))
    if (!breaker.isClosed && !isPrivileged(operation) && !breaker.admits()) {
      throw standBy(operation, breaker.cause)
    }
    const sentAt = breaker.answers
    let answer: ReturnType<typeof invoke>
    try {
      answer = invoke(store)
    } catch (error) {
      if (!isRepeatable(operation)) throw failed(operation, error, sentAt)
      answer = Promise.reject(error)
    }
    if (!isPromise(answer)) {
      noteAnswer(operation)
      return answer
    }
    return wait({ operation, milliseconds, invoke, sentAt }, answer)
  }

  function wait<T>(start: CallStart, answer: PromiseLike<T>): Promise<T> {
    const call = new WaitingCall(start)
    const promise = new Promise<T>((resolve, reject) => {
      call.resolve = resolve as (value: unknown) => void
      call.reject = reject
    })
    patience.add(call, call.milliseconds)
    hear(call, answer)
    return promise
  }

  function hear(call: WaitingCall, answer: PromiseLike<unknown>): void {
    answer.then(
      (value) => onAnswer(call, value),
      (error: unknown) => onError(call, error),
    )
  }

  function onAnswer(call: WaitingCall, value: unknown): void {
    if (!end(call)) return
    noteAnswer(call.operation)
    call.resolve(value)
  }

  function onError(call: WaitingCall, error: unknown): void {
    if (call.isOver) return
    call.lastError = failed(call.operation, error, call.sentAt)
    if (call.mayRepeat) setTimeout(() => repeat(call), jittered(PAUSE, 1 / 2))
    else giveUp(call, call.lastError)
    call.mayRepeat = false
  }

  function repeat(call: WaitingCall): void {
    if (call.isOver) return
    if (!breaker.isClosed && !breaker.admits()) {
      giveUp(call, call.lastError)
      return
    }
    call.lastError = undefined
    call.sentAt = breaker.answers
    try {
      const answer = call.invoke(store)
      if (isPromise(answer)) hear(call, answer)
      else onAnswer(call, answer)
    } catch (error) {
      onError(call, error)
    }
  }

  function onLate(call: WaitingCall): void {
    if (call.isOver) return
    const { operation, milliseconds, sentAt } = call
    giveUp(call, call.lastError ?? unanswered(operation, milliseconds, sentAt))
  }

  function giveUp(call: WaitingCall, error: unknown): void {
    if (end(call)) call.reject(error)
  }

  function end(call: WaitingCall): boolean {
    if (call.isOver) return false
    call.isOver = true
    patience.drop(call)
    return true
  }

  function noteAnswer(operation: StoreOperation): void {
    if (!isPrivileged(operation)) breaker.answered()
    else if (operation === 'ping') breaker.isThere()
  }

  function failed(operation: StoreOperation, cause: unknown, sentAt: number): SessionError {
    const error = report(operation, failure(operation, cause))
    if (isVital(operation)) breaker.failed(sentAt, { kind: 'rejected', error })
    return error
  }

  function unanswered(
    operation: StoreOperation,
    milliseconds: number,
    sentAt: number,
  ): SessionError {
    const error = report(operation, tooLate(operation))
    // Given less of the budget, it may have met a store that is merely slow.
    if (milliseconds < storeBudget / 2) return error
    if (isVital(operation) || operation === 'ping') {
      breaker.failed(sentAt, { kind: 'unanswered', error })
    } else {
      breaker.suspect()
    }
    return error
  }

  function report(operation: StoreOperation, error: SessionError): SessionError {
    events.emit('storeError', { operation, error })
    return error
  }
}

interface CallStart {
  readonly operation: StoreOperation
  readonly milliseconds: number
  readonly invoke: (store: SessionStore) => unknown
  readonly sentAt: number
}

/**
 * No closures in its properties: an object that is closed over by one of its own is kept by V8's young collections, and
 * with it whatever came after (decision 030).
 */
class WaitingCall implements Waiting {
  until = 0
  place = -1
  readonly operation: StoreOperation
  readonly milliseconds: number
  readonly invoke: (store: SessionStore) => unknown
  sentAt: number
  mayRepeat: boolean
  /** What the call will end with, while it waits to be repeated. */
  lastError: SessionError | undefined
  isOver = false
  resolve!: (value: unknown) => void
  reject!: (error: unknown) => void

  constructor({ operation, milliseconds, invoke, sentAt }: CallStart) {
    this.operation = operation
    this.milliseconds = milliseconds
    this.invoke = invoke
    this.sentAt = sentAt
    this.mayRepeat = isRepeatable(operation)
  }
}

/** What is meant for a store that is down goes past the breaker, and its failure is no news. */
function isPrivileged(operation: StoreOperation): boolean {
  return operation === 'ping' || operation === 'reconnect' || operation === 'close'
}

function isRepeatable(operation: StoreOperation): boolean {
  return READS.has(operation) && operation !== 'ping'
}

/**
 * What a request cannot do without, and so a sign of whether the store can be reached. A change that fails is none: it may
 * have met a full disk, a lock or a replica, and reads go on then.
 */
function isVital(operation: StoreOperation): boolean {
  return operation === 'load' || operation === 'revocationMark'
}

/** For a call that was given up before it was sent: surely not executed. */
export function notSent(operation: StoreOperation): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    `the store budget of this request was spent before ${operation} could be sent`,
  )
}

/** For a call that was not sent because the breaker is open. */
function standBy(operation: StoreOperation, cause: unknown): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    `the session store does not answer, so ${operation} was not sent; it is asked in the background until it does`,
    { cause },
  )
}

function tooLate(operation: StoreOperation): SessionError {
  const code = READS.has(operation) ? 'ERR_SESSION_STORE' : 'ERR_SESSION_OUTCOME_UNKNOWN'
  return new SessionError(code, `the session store did not answer ${operation} within its budget`)
}

function failure(operation: StoreOperation, error: unknown): SessionError {
  const isRead = READS.has(operation)
  if (isSessionError(error) && error.status === 503) {
    if (!isRead || error.code === 'ERR_SESSION_STORE') return error
  }
  return new SessionError(
    isRead ? 'ERR_SESSION_STORE' : 'ERR_SESSION_OUTCOME_UNKNOWN',
    isRead
      ? `the session store could not ${operation}`
      : `the session store failed in ${operation}; whether the change was stored is unknown`,
    { cause: error },
  )
}
