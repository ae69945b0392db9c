import { splitData } from './codec.js'
import { SessionError } from './errors.js'

/** The session is not there any more: ended, expired, evicted or lost. A store cannot tell which. */
export function ended(): SessionError {
  return new SessionError(
    'ERR_SESSION_ENDED',
    'the session ended while this request was under way; its changes were not stored',
  )
}

export function rotated(): SessionError {
  return new SessionError(
    'ERR_SESSION_ROTATED',
    'the session was signed in or replaced by another request while this one was under way; its changes were not stored',
  )
}

/** `text` is the encoded data; the largest key of it is named. */
export function tooLarge(bytes: number, limit: number, text: string): SessionError {
  let largest = ''
  let size = -1
  for (const [key, value] of splitData(text)) {
    if (value.length <= size) continue
    largest = key
    size = value.length
  }
  return new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `the session would take ${bytes} bytes, and ${limit} are allowed; most of it is in req.session.${largest}. Store large things elsewhere and keep their id.`,
    { path: largest },
  )
}

export function contention(): SessionError {
  return new SessionError(
    'ERR_SESSION_CONTENTION',
    'too many requests changed this session at once; the change was not stored',
  )
}

export function unknownOutcome(): SessionError {
  return new SessionError(
    'ERR_SESSION_OUTCOME_UNKNOWN',
    'the session store did not answer in time; whether the change was stored is unknown',
  )
}

export function readOnly(): SessionError {
  return new SessionError(
    'ERR_SESSION_READ_ONLY',
    'the session store does not answer, so this request has a read-only anonymous session; its changes were not stored',
  )
}

/** What `update` says to a function that is not done when it returns. */
export function refuseAsync(result: unknown): void {
  if (typeof (result as { then?: unknown } | undefined)?.then !== 'function') return
  throw new TypeError(
    'req.session.update() takes a synchronous function; this one returned a promise. Await first, then update.',
  )
}
