import { isSessionError, type SessionError, storeError } from '../../core/errors.js'
import type { Failure } from './statement.js'

interface Call {
  readonly isRead: boolean
  readonly timeout: number
  /** The tables, quoted. */
  readonly sessions: string
  readonly marks: string
}

/** What the server or the client said, as one sentence with what to do about it. */
export function explain(failure: Failure, call: Call): SessionError {
  const { error, isSent } = failure
  const executed = isFull(error)
    ? 'full'
    : call.isRead || !isSent || isUndone(error)
      ? 'no'
      : 'unknown'
  return storeError(sentence(failure, call), { cause: error, executed })
}

/** Whether a statement that failed may be sent once more: it surely was not executed, and may well be the next time. */
export function mayRepeat(error: unknown): boolean {
  return REPEATABLE.has(numberOf(error))
}

/** Whether a change was undone because it met another. */
export function isMeeting(error: unknown): boolean {
  return MEETINGS.has(numberOf(error))
}

export function isMissingTable(error: unknown): boolean {
  return numberOf(error) === 1146
}

/** Whether a first record was refused because its key is there already. */
export function isDuplicate(error: unknown): boolean {
  return isSessionError(error, 'ERR_SESSION_STORE') && numberOf(error.cause) === 1062
}

/** Whether several records were to be updated, and one of them was not as it was expected. */
export function isMismatch(error: unknown): boolean {
  return isSessionError(error, 'ERR_SESSION_STORE') && numberOf(error.cause) === 1690
}

/** Whether the statement was longer than the server takes. */
export function isTooLarge(error: unknown): boolean {
  return isSessionError(error, 'ERR_SESSION_STORE') && numberOf(error.cause) === 1153
}

/** Whether an error of the store says that the server takes no changes, as a replica does. */
export function isReadOnly(error: unknown): boolean {
  return isSessionError(error, 'ERR_SESSION_STORE') && READ_ONLY.has(numberOf(error.cause))
}

/** Whether an error of the store says that the tables are not there, or may not be used or made by this user. */
export function isForbidden(error: unknown): boolean {
  if (!isSessionError(error, 'ERR_SESSION_STORE')) return false
  return error.cause === undefined || FORBIDDEN.has(numberOf(error.cause))
}

/**
 * Whether the connection that brought this error is of no more use. One to a server that has become a replica is not:
 * the next one may go to the new primary. One that lost what the client prepared on it is not either.
 */
export function isBroken(error: unknown): boolean {
  return !isUndone(error) || isFatal(error) || DEAD_END.has(numberOf(error))
}

/** The error of a statement that the store has waited for long enough. */
export function givenUp(): Error {
  return Object.assign(new Error('no answer in time'), { code: GIVEN_UP })
}

const GIVEN_UP = 'STAYKEPT_GIVEN_UP'

function isGivenUp(error: unknown): boolean {
  return codeOf(error) === GIVEN_UP
}

/**
 * Whether the server reported an error of the statement: then all of it was undone, since each is a transaction of its
 * own. Not so for what may end a connection, or come while it commits. Above 45000 are the errors of the client mariadb.
 */
function isUndone(error: unknown): boolean {
  const number = numberOf(error)
  return number >= 1000 && number < 45_000 && !UNCERTAIN.has(number)
}

function isFatal(error: unknown): boolean {
  return (error as { fatal?: unknown } | undefined)?.fatal === true
}

function isFull(error: unknown): boolean {
  const number = numberOf(error)
  return number === 1114 || number === 1021 || (number === 1030 && isNoSpace(error))
}

/** The number of the operating system stands in the text only: "Got error 28 from storage engine". */
function isNoSpace(error: unknown): boolean {
  return /\berror 28\b|No space left/i.test((error as Error).message)
}

function sentence({ error, isSent }: Failure, call: Call): string {
  const { timeout, sessions, marks } = call
  if (isGivenUp(error)) {
    return isSent
      ? `MySQL did not answer within ${timeout} ms`
      : `the pool had no connection within ${timeout} ms: see that MySQL runs; and if the pool was used up, raise its connectionLimit, or give the sessions a pool of their own`
  }
  const reason = reasonOf(error)
  const number = numberOf(reason)
  if (FORBIDDEN.has(number)) {
    return `MySQL does not let this user do what sessions need: GRANT SELECT, INSERT, UPDATE, DELETE ON ${sessions} and ON ${marks}; and CREATE, unless docs/sql/mysql.sql of staykept was run`
  }
  const told = isFull(error) ? FULL : (TROUBLES[number] ?? TROUBLES[codeOf(reason)])
  if (told !== undefined) return `MySQL ${told}`
  if (POOL_ENDED.test(messageOf(error))) return 'the pool was ended: close the sessions before it'
  if (isUndone(error)) return `MySQL refused a statement (${number}) and changed nothing`
  return isSent
    ? 'the connection to MySQL broke while a statement was under way'
    : 'no connection to MySQL could be made: see the cause'
}

/** The package mariadb says why it has no connection in the cause of its error. */
function reasonOf(error: unknown): unknown {
  const { cause } = (error ?? {}) as { cause?: unknown }
  return cause ?? error
}

function numberOf(error: unknown): number {
  const { errno } = (error ?? {}) as { errno?: unknown }
  return typeof errno === 'number' ? errno : 0
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}

/** mysql2 gives no code for a pool that was ended. */
const POOL_ENDED = /pool is (closed|ending)/i

const READ_ONLY: ReadonlySet<number> = new Set([1290, 1792, 1836])
const DEAD_END: ReadonlySet<number> = new Set([...READ_ONLY, 1153, 1243])
/** The right to a table, a column, a database; the login in it. */
const FORBIDDEN: ReadonlySet<number> = new Set([1044, 1142, 1143, 1227, 1370])

/**
 * Lock wait timeout, deadlock (so does a cluster call what it refuses to commit), a record that changed since it was
 * read (MariaDB 11), a commit that a group of servers refused.
 */
const MEETINGS: ReadonlySet<number> = new Set([1020, 1205, 1213, 3101])
/**
 * Undone, and worth a second try: also a prepared statement that the server lost or has to prepare anew, and a table that
 * is missing, since it may be made.
 */
const REPEATABLE: ReadonlySet<number> = new Set([...MEETINGS, 1146, 1243, 1615])

/** A shutdown, a killed or failing connection, errors of the disk, of the commit and of the binary log. */
const UNCERTAIN: ReadonlySet<number> = new Set([
  ...[1026, 1030, 1053, 1077, 1079, 1080, 1152, 1155, 1156, 1157, 1158, 1159, 1160, 1161],
  ...[1180, 1181, 1184, 1927, 3169, 3170],
])

const UNREACHABLE =
  'cannot be reached: see that it runs, and that host and port of the pool are right; it goes on by itself'
const UNKNOWN_HOST = 'cannot be found: check the host of the pool'
const LOGIN =
  'refused the login: check user and password of the pool, and the host the user may come from'
const MET = 'undid a change that met another, twice in a row. Nothing was changed: try again'
const READS_ONLY =
  'takes no changes here, as a replica or with read_only set: let the pool connect to the primary, or SET GLOBAL read_only = OFF'
const FULL =
  'has no room left for the sessions: free some on its disk. Nothing was changed; it goes on by itself'
const BUSY =
  'has no connection left: make the pools of all processes together smaller than max_connections, or raise it'

/** By the number of the server's error, or the code of the network's. */
const TROUBLES: Readonly<Record<string, string>> = {
  ECONNREFUSED: UNREACHABLE,
  ENOENT: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  ENOTFOUND: UNKNOWN_HOST,
  EAI_AGAIN: UNKNOWN_HOST,
  1020: MET,
  1040: BUSY,
  1045: LOGIN,
  1046: 'was not told a database: name one in the options of the pool',
  1047: 'is a node of a cluster that has lost the others; it goes on by itself, or let the pool connect to another',
  1049: 'has no such database: check the database of the pool',
  1054: 'finds a column missing in the table of sessions: compare it with docs/sql/mysql.sql of staykept, or choose another name with the option table',
  1114: FULL,
  1153: 'refuses a session this large: raise max_allowed_packet, or keep less in the session. Nothing was changed',
  1203: BUSY,
  1205: 'waited too long for a lock (innodb_lock_wait_timeout): look for who holds it in SHOW ENGINE INNODB STATUS. Nothing was changed',
  1213: MET,
  1226: BUSY,
  1290: READS_ONLY,
  1317: 'was told to stop a statement, and changed nothing',
  1461: 'keeps too many prepared statements: raise max_prepared_stmt_count, or make the pools smaller',
  1698: LOGIN,
  1792: READS_ONLY,
  1836: READS_ONLY,
  1969: 'stopped a statement after max_statement_time, and changed nothing',
  3024: 'stopped a statement after max_execution_time, and changed nothing',
  3101: MET,
}
