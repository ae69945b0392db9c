import type { StoreConcernCode } from './store.js'

/** Every warning has a code, is a heading in `docs/errors.md`, and is said once. */
export type SessionWarningCode =
  | 'WARN_SESSION_CACHEABLE'
  | 'WARN_SESSION_CLOCK'
  | 'WARN_SESSION_DROPPED_KEYS'
  | 'WARN_SESSION_FEED'
  | 'WARN_SESSION_FIXATION'
  | 'WARN_SESSION_INSECURE_LOCALHOST'
  | 'WARN_SESSION_LATE_CHANGE'
  | 'WARN_SESSION_LISTENER'
  | 'WARN_SESSION_MEMORY_STORE'
  | 'WARN_SESSION_SECRET'
  | 'WARN_SESSION_STORE'
  | 'WARN_SESSION_TRUST_PROXY'
  | StoreConcernCode

export interface SessionWarning {
  readonly code: SessionWarningCode
  readonly message: string
}

/** Says each warning once: to `process.emitWarning`, which prints it with its code, and to the listener. */
export function createWarnings(
  listener: (warning: SessionWarning) => void,
): (code: SessionWarningCode, message: () => string) => void {
  const said = new Set<SessionWarningCode>()
  return function warn(code, message) {
    if (said.has(code)) return
    said.add(code)
    const text = message()
    process.emitWarning(text, { type: 'SessionWarning', code })
    listener({ code, message: text })
  }
}
