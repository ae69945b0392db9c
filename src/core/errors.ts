/**
 * Every error that staykept makes has a code. Codes are stable; messages are free to get better. Each code is a heading
 * in `docs/errors.md`. A wrong argument is a plain `TypeError`, with a message that says what to write instead.
 */
export type SessionErrorCode =
  | 'ERR_SESSION_CONTENTION'
  | 'ERR_SESSION_DATA'
  | 'ERR_SESSION_ENDED'
  | 'ERR_SESSION_HEADERS_SENT'
  | 'ERR_SESSION_INSECURE'
  | 'ERR_SESSION_NO_RESPONSE'
  | 'ERR_SESSION_OUTCOME_UNKNOWN'
  | 'ERR_SESSION_READ_ONLY'
  | 'ERR_SESSION_RESERVED_KEY'
  | 'ERR_SESSION_REVOKED'
  | 'ERR_SESSION_ROTATED'
  | 'ERR_SESSION_STORE'
  | 'ERR_SESSION_STORE_FULL'
  | 'ERR_SESSION_TOO_LARGE'
  | 'ERR_SESSION_UNSUPPORTED'

/** Answered to the client: `status`, and `headers` such as Retry-After. Messages are for developers and name no secret. */
export class SessionError extends Error {
  override readonly name: string = 'SessionError'
  readonly code: SessionErrorCode
  /** The HTTP status that fits, as Express reads it from an error. */
  readonly status: number
  /** Express reads `statusCode` too. */
  readonly statusCode: number
  /** Headers of the answer, as Express's final handler sets them. */
  readonly headers: Readonly<Record<string, string>>
  /** Whether the message may be shown to a client: `http-errors` style. */
  readonly expose: boolean = false
  /** Where in the session the trouble is, such as `cart.items[2].price`. */
  readonly path: string | undefined

  constructor(code: SessionErrorCode, message: string, details: SessionErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = STATUS[code]
    this.statusCode = this.status
    this.headers = this.status === 503 ? RETRY_AFTER : NO_HEADERS
    this.path = details.path
  }
}

export interface SessionErrorDetails {
  readonly cause?: unknown
  readonly path?: string
}

/** Whether `value` is an error of staykept, optionally of one code. Works across two copies of the package. */
export function isSessionError(value: unknown, code?: SessionErrorCode): value is SessionError {
  if (!(value instanceof Error) || value.name !== 'SessionError') return false
  const found = (value as { code?: unknown }).code
  return typeof found === 'string' && (code === undefined || found === code)
}

/**
 * For stores: an error that says whether the change it belongs to was executed. Anything else that a store throws
 * counts as unknown. `'full'` means that the store refused for lack of room; nothing was executed then either.
 */
export function storeError(
  message: string,
  { cause, executed }: { cause?: unknown; executed: 'no' | 'unknown' | 'full' },
): SessionError {
  const code =
    executed === 'full'
      ? 'ERR_SESSION_STORE_FULL'
      : executed === 'no'
        ? 'ERR_SESSION_STORE'
        : 'ERR_SESSION_OUTCOME_UNKNOWN'
  return new SessionError(code, message, { cause })
}

const RETRY_AFTER: Readonly<Record<string, string>> = Object.freeze({ 'Retry-After': '1' })
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})

const STATUS: Readonly<Record<SessionErrorCode, number>> = {
  ERR_SESSION_CONTENTION: 409,
  ERR_SESSION_DATA: 500,
  ERR_SESSION_ENDED: 401,
  ERR_SESSION_HEADERS_SENT: 500,
  ERR_SESSION_INSECURE: 500,
  ERR_SESSION_NO_RESPONSE: 500,
  ERR_SESSION_OUTCOME_UNKNOWN: 503,
  ERR_SESSION_READ_ONLY: 503,
  ERR_SESSION_RESERVED_KEY: 500,
  ERR_SESSION_REVOKED: 409,
  ERR_SESSION_ROTATED: 409,
  ERR_SESSION_STORE: 503,
  ERR_SESSION_STORE_FULL: 503,
  ERR_SESSION_TOO_LARGE: 413,
  ERR_SESSION_UNSUPPORTED: 500,
}
