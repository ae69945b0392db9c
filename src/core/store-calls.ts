import { within } from './budget.js'
import { isSessionError, SessionError } from './errors.js'
import type { EventHub } from './events.js'
import { isPromise } from './maybe.js'
import type { MaybePromise, SessionStore } from './store.js'

/**
 * The one gate to the store: every call is bounded in time, and every failure becomes a `SessionError` that says
 * whether the change may have been executed. A call whose outcome is unknown is never repeated here or above.
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
  | 'close'

export function createStoreCall(store: SessionStore, events: EventHub): StoreCall {
  return function callStore(operation, milliseconds, invoke) {
    if (milliseconds <= 0) throw report(operation, notSent(operation))
    let answer: ReturnType<typeof invoke>
    try {
      answer = invoke(store)
    } catch (error) {
      throw report(operation, failure(operation, error))
    }
    if (!isPromise(answer)) return answer
    return within(milliseconds, answer, () => tooLate(operation)).catch((error: unknown) => {
      throw report(operation, failure(operation, error))
    }) as never
  }

  function report(operation: StoreOperation, error: SessionError): SessionError {
    events.emit('storeError', { operation, error })
    return error
  }
}

const READS: ReadonlySet<StoreOperation> = new Set(['load', 'listByUser', 'revocationMark', 'ping'])

/** For a call that was given up before it was sent: surely not executed. */
export function notSent(operation: StoreOperation): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    `the store budget of this request was spent before ${operation} could be sent`,
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
