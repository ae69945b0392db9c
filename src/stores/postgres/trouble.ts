import { isSessionError, type SessionError, storeError } from '../../core/errors.js'
import type { Failure } from './statement.js'

/** What the server or the client said, as one sentence with what to do about it. */
export function explain({ error, isSent }: Failure, call: Call): SessionError {
  const code = codeOf(error)
  const executed =
    code === '53100' ? 'full' : call.isRead || !isSent || isUndone(error) ? 'no' : 'unknown'
  return storeError(sentence({ error, isSent }, call), { cause: error, executed })
}

interface Call {
  readonly isRead: boolean
  readonly timeout: number
  /** The tables, quoted. */
  readonly sessions: string
  readonly marks: string
}

/**
 * Whether a statement that failed may be sent once more: it surely was not executed, and may well be the next time; or
 * it changes nothing, and its connection broke.
 */
export function mayRepeat({ error, isSent }: Failure, isRead: boolean): boolean {
  if (REPEATABLE.has(codeOf(error)) || isOutdatedPlan(error)) return true
  return (isRead || !isSent) && isBroken(error) && !isHopeless(error)
}

/** Whether the server does not know a statement that was prepared: behind a pooler, connections change hands. */
export function isLostStatement(error: unknown): boolean {
  const code = codeOf(error)
  return code === '26000' || code === '42P05'
}

export function isDeadlock(error: unknown): boolean {
  return codeOf(error) === '40P01'
}

export function isMissingTable(error: unknown): boolean {
  return codeOf(error) === '42P01'
}

/** Whether the server refused a value, and would not refuse others. */
export function isOfOneRow(error: unknown): boolean {
  return /^(22|54)/.test(codeOf(error))
}

/** Whether an error of the store says that this role may not do something. */
export function isDenied(error: unknown): boolean {
  return isSessionError(error) && codeOf(error.cause) === '42501'
}

/** Whether an error of the store is about the set-up of a server that does answer. */
export function isAboutSetUp(error: unknown): boolean {
  if (!isSessionError(error)) return false
  return error.cause === undefined || isDenied(error) || codeOf(error.cause) === '3F000'
}

/** Whether an error of the store says that something was refused: waiting will not mend it. */
export function isSetUp(error: unknown): boolean {
  if (!isSessionError(error)) return false
  return error.cause === undefined || (isUndone(error.cause) && codeOf(error.cause) !== '57P03')
}

/** Whether the connection that brought this error is of no more use. */
export function isBroken(error: unknown): boolean {
  return !isUndone(error) || isLostStatement(error) || isOutdatedPlan(error)
}

/** For clients that do not tell whether a statement was sent: errors that come before. */
export function wasNotSent(error: unknown): boolean {
  const { syscall } = (error ?? {}) as { syscall?: unknown }
  return UNSENT.has(codeOf(error)) || syscall === 'connect' || syscall === 'getaddrinfo'
}

export const GIVEN_UP = 'STAYKEPT_GIVEN_UP'

/** The error of a statement that the store has waited for long enough. */
export function givenUp(): Error {
  return Object.assign(new Error('no answer in time'), { code: GIVEN_UP })
}

/**
 * Whether the server reported an error of the statement: then all of it was undone. Not so for what ends a connection
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html): a pooler says 08 when the server behind it is lost.
 */
function isUndone(error: unknown): boolean {
  const code = codeOf(error)
  return /^[0-9A-Z]{5}$/.test(code) && !/^(08|57P0[1245]|58|F0|XX|40003|25P03)/.test(code)
}

/** ALTER TABLE under a prepared statement. */
function isOutdatedPlan(error: unknown): boolean {
  return codeOf(error) === '0A000' && /cached plan/.test(messageOf(error))
}

function isHopeless(error: unknown): boolean {
  const code = codeOf(error)
  return code === GIVEN_UP || UNSENT.has(code) || ENDED.test(messageOf(error))
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}

function sentence({ error, isSent }: Failure, { timeout, sessions, marks }: Call): string {
  const code = codeOf(error)
  if (code === GIVEN_UP) {
    return isSent
      ? `PostgreSQL did not answer within ${timeout} ms`
      : `no connection of the pool was free within ${timeout} ms: raise its max, or give the sessions a pool of their own`
  }
  if (code === 'CONNECTION_ENDED' || ENDED.test(messageOf(error))) {
    return 'the pool was ended: close the sessions before it'
  }
  if (code === '42501' && /pg_notify/.test(messageOf(error))) {
    return 'PostgreSQL does not let this role tell the feed of a change, so nothing was changed: GRANT EXECUTE ON FUNCTION pg_notify(text, text) to it, or leave feed out'
  }
  if (code === '42501') {
    return `PostgreSQL does not let this role do what sessions need: GRANT SELECT, INSERT, UPDATE, DELETE ON ${sessions}, ${marks}`
  }
  const told = TROUBLES[code]
  if (told !== undefined) return `PostgreSQL ${told}`
  if (isUndone(error)) return `PostgreSQL refused a statement (${code}) and changed nothing`
  return isSent
    ? 'the connection to PostgreSQL broke while a statement was under way'
    : 'no connection to PostgreSQL could be made: see the cause'
}

/** The words of pg, which gives no code, for a pool that was ended. */
const ENDED = /after calling end on the pool/

/** Two that met, one of which was undone; and a statement that the server did not know. */
const REPEATABLE: ReadonlySet<string> = new Set(['40001', '40P01', '26000', '42P05', '42P01'])

const UNREACHABLE =
  'cannot be reached: see that it runs, and that host and port of the pool are right; it goes on by itself'
const LOGIN = 'refused the login: check user and password of the pool, and pg_hba.conf'
const MET = 'undid a change that met another, twice in a row. Nothing was changed: try again'
const CHARACTER =
  'cannot store a character of this session: the database needs the encoding UTF8, and no text can hold U+0000'
const LOST =
  'lost a prepared statement, as it happens behind PgBouncer in transaction mode: set prepare: false'
const SHUT = 'shut down while a statement was under way; it goes on by itself'

const TROUBLES: Readonly<Record<string, string>> = {
  ECONNREFUSED: UNREACHABLE,
  ENOENT: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  CONNECT_TIMEOUT: UNREACHABLE,
  ENOTFOUND: 'cannot be found: check the host of the pool',
  EAI_AGAIN: 'cannot be found: check the host of the pool, and the name server',
  '22021': CHARACTER,
  '22P05': CHARACTER,
  '25006':
    'takes no changes here, as a standby or a read-only database: let the pool connect to the primary, or turn default_transaction_read_only off',
  '26000': LOST,
  '42P05': LOST,
  '28000': LOGIN,
  '28P01': LOGIN,
  '3D000': 'has no such database: check the database of the pool',
  '3F000': 'has no such schema: make it, or choose another with the option schema',
  '40001': MET,
  '40P01': MET,
  '42703':
    'finds a column missing in the table of sessions: compare it with docs/sql/postgres.sql of staykept, or choose another name with the option table',
  '53100': 'has no room left on its disk: free some. Nothing was changed; it goes on by itself',
  '53200': 'is out of memory. Nothing was changed; it goes on by itself',
  '53300':
    'has no connection left: make the pools of all processes together smaller than max_connections, or put PgBouncer between',
  '55P03': 'waited too long for a lock (lock_timeout): look for who holds it in pg_locks',
  '57014': 'cancelled a statement (statement_timeout, or an operator), and changed nothing',
  '57P01': SHUT,
  '57P02': SHUT,
  '57P03': 'is starting or shutting down; it goes on by itself',
}

const UNSENT: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ENOENT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
  ...['CONNECTION_ENDED', 'CONNECT_TIMEOUT'],
])
