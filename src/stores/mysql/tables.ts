import { storeError } from '../../core/errors.js'
import type { SessionRecord, StoreKey } from '../../core/store.js'
import type { Row } from '../sql/rows.js'
import type { Statement } from './statement.js'

/** Bumped when the tables change. */
const SCHEMA = 1

/** What the columns hold. A server that is not strict would cut what is longer, without an error. */
export const LONGEST: Lengths = { key: 64, version: 32, userId: 1024, payload: 8 * 1024 * 1024 }
type Lengths = Readonly<Record<'key' | 'version' | 'userId' | 'payload', number>>

/** The names as they stand in statements. They were checked, and are quoted, so that they mean what they say. */
export function quoted(table: string): { sessions: string; marks: string } {
  return { sessions: `\`${table}\``, marks: `\`${table}_marks\`` }
}

/**
 * The statements that make the tables. Sessions are stored in the order of their making, and random keys stand in an
 * index of their own; there is none on the deadline (decisions/022 has the figures). A user and a payload are bytes, so
 * that no collation takes two for one ('ada' and 'ada '), and no character set of a connection loses a letter.
 */
export function creation(table: string): readonly string[] {
  const { sessions, marks } = quoted(table)
  return [
    `CREATE TABLE IF NOT EXISTS ${marks} (
  user_id VARBINARY(${LONGEST.userId}) NOT NULL PRIMARY KEY,
  mark MEDIUMBLOB NOT NULL,
  expires_at DOUBLE NOT NULL,
  KEY by_end (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC`,
    `CREATE TABLE IF NOT EXISTS ${sessions} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  session_key VARCHAR(${LONGEST.key}) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  version VARBINARY(${LONGEST.version}) NOT NULL,
  user_id VARBINARY(${LONGEST.userId}),
  last_seen_at DOUBLE NOT NULL,
  expires_at DOUBLE NOT NULL,
  absolute_expires_at DOUBLE NOT NULL,
  payload MEDIUMBLOB NOT NULL,
  UNIQUE KEY by_key (session_key),
  KEY by_user (user_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC COMMENT = 'Sessions of staykept, schema ${SCHEMA}'`,
  ]
}

/** What there is, asked before the first statement and by every ping. Columns as in `toFindings`. */
export function inspection(table: string): Statement {
  return once(`SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) / 1000,
  VERSION(), @@autocommit, @@innodb_flush_log_at_trx_commit, DATABASE(), found.ENGINE, found.TABLE_COMMENT
FROM (SELECT 1) AS one LEFT JOIN information_schema.TABLES AS found
  ON found.TABLE_SCHEMA = DATABASE() AND found.TABLE_NAME = '${table}'`)
}

export interface Findings {
  readonly now: number
  readonly version: string
  readonly isCommitting: boolean
  readonly flushes: number
  readonly database: string | undefined
  readonly engine: string | undefined
  readonly comment: string | undefined
}

export function toFindings(row: readonly unknown[]): Findings {
  const [now, version, autocommit, flushes, database, engine, comment] = row
  return {
    now: Math.round(Number(now)),
    version: String(version),
    isCommitting: Number(autocommit) === 1,
    flushes: Number(flushes),
    database: toText(database),
    engine: toText(engine),
    comment: toText(comment),
  }
}

/**
 * Why this version cannot work with the table. A later version that changes the tables says in the comment from which
 * schema on they can be used: "schema 3, for 1 and later". So old and new processes run together.
 */
export function whyNotOurs(comment: string | undefined, sessions: string): string | undefined {
  const [, version, oldest = version] =
    /^Sessions of staykept, schema (\d+)(?:, for (\d+) and later)?/.exec(comment ?? '') ?? []
  if (version === undefined) {
    return `the table ${sessions} does not say that staykept made it: choose another name with the option table; or, if it lost its comment, ALTER TABLE ${sessions} COMMENT = 'Sessions of staykept, schema ${SCHEMA}'`
  }
  if (Number(oldest) <= SCHEMA) return undefined
  return `the table ${sessions} was made by a newer staykept (schema ${version}, this one knows ${SCHEMA}): update staykept, or choose another name with the option table`
}

/** A statement whose text does not come again. */
export function once(text: string): Statement {
  return { text, isPrepared: false }
}

function again(text: string): Statement {
  return { text, isPrepared: true }
}

const COLUMNS =
  'session_key, version, user_id, last_seen_at, expires_at, absolute_expires_at, payload'

const ROW = '(?, ?, ?, ?, ?, ?, ?)'

export interface Statements {
  /** With room for so many keys. */
  load(room: number): Statement
  create(count: number): Statement
  readonly replace: Statement
  readonly touch: Statement
  readonly deleteLive: Statement
  readonly deleteDead: Statement
  readonly byUser: Statement
  /** With room for so many keys that stay. */
  claim(except: number): Statement
  readonly claimed: Statement
  readonly deleteClaimed: Statement
  readonly mark: Statement
  /** With room for so many users. */
  marksOf(room: number): Statement
  readonly pruneMarks: Statement
  readonly windowEnd: Statement
  due(limit: number): Statement
  deleteDue(ids: readonly number[]): Statement
}

/**
 * Each is one transaction of its own. MySQL counts rows that were changed, or rows that were found, as the pool was set
 * up: where the two can differ, nothing is read from the count (decisions/022). It evaluates an assignment with the new
 * values of those before it, so a column is assigned after all that read it. How a record is updated is in updates.ts.
 */
export function statements(table: string, window: number): Statements {
  const { sessions, marks } = quoted(table)
  /** Past its deadline by the slack. What `claim` has claimed keeps its place until then, too. */
  const due = 'expires_at < ? AND (expires_at > 0 OR last_seen_at < ?)'
  const loads = new Map<number, Statement>()

  return {
    load(room) {
      let load = loads.get(room)
      if (load === undefined) {
        load = again(`SELECT ${COLUMNS} FROM ${sessions} WHERE session_key IN (${places(room)})`)
        loads.set(room, load)
      }
      return load
    },
    create: (count) =>
      again(`INSERT INTO ${sessions} (${COLUMNS}) VALUES ${Array(count).fill(ROW).join(', ')}`),
    replace:
      again(`UPDATE ${sessions} SET version = ?, user_id = ?, last_seen_at = ?, expires_at = ?,
      absolute_expires_at = ?, payload = ? WHERE session_key = ? AND expires_at <= ?`),
    touch: again(`UPDATE ${sessions} SET expires_at = IF(last_seen_at < ?, ?, expires_at),
      last_seen_at = GREATEST(last_seen_at, ?)
      WHERE session_key = ? AND version = ? AND expires_at > ?`),
    deleteLive: again(`DELETE FROM ${sessions} WHERE session_key = ? AND expires_at > ?`),
    deleteDead: again(
      `DELETE FROM ${sessions} WHERE session_key = ? AND expires_at > 0 AND expires_at <= ?`,
    ),
    byUser: again(`SELECT ${COLUMNS} FROM ${sessions} WHERE user_id = ? AND expires_at > ?`),
    claim: (except) =>
      again(`UPDATE ${sessions} SET version = ?, expires_at = 0, last_seen_at = ?
        WHERE user_id = ? AND expires_at > ?${except > 0 ? ` AND session_key NOT IN (${places(except)})` : ''}`),
    claimed: again(`SELECT session_key FROM ${sessions} WHERE user_id = ? AND version = ?`),
    deleteClaimed: again(`DELETE FROM ${sessions} WHERE user_id = ? AND version = ?`),
    mark: again(`INSERT INTO ${marks} (user_id, mark, expires_at) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE
      mark = IF(expires_at <= ?, ?, mark), expires_at = GREATEST(expires_at, ?)`),
    marksOf: (room) =>
      again(`SELECT user_id, mark, expires_at FROM ${marks} WHERE user_id IN (${places(room)})`),
    pruneMarks: again(`DELETE FROM ${marks} WHERE expires_at < ? ORDER BY expires_at LIMIT 1000`),
    windowEnd: again(
      `SELECT id FROM ${sessions} WHERE id > ? ORDER BY id LIMIT 1 OFFSET ${window - 1}`,
    ),
    due: (limit) =>
      again(
        `SELECT id FROM ${sessions} WHERE id > ? AND id <= ? AND ${due} ORDER BY id LIMIT ${Math.floor(limit)}`,
      ),
    deleteDue: (ids) => once(`DELETE FROM ${sessions} WHERE id IN (${ids.join(', ')}) AND ${due}`),
  }
}

function places(count: number): string {
  return Array(count).fill('?').join(', ')
}

/** What is kept as bytes. Throws what the columns could not hold. */
export function bytesOf(
  key: StoreKey,
  { version, userId, payload: text }: SessionRecord,
): { readonly user: Buffer | null; readonly payload: Buffer } {
  const payload = Buffer.from(text)
  const user = userId === undefined ? null : Buffer.from(userId)
  assertLength('key', key.length)
  assertLength('version', version.length)
  assertLength('userId', user?.length ?? 0)
  assertLength('payload', payload.length)
  return { user, payload }
}

function assertLength(name: keyof Lengths, length: number): void {
  if (length <= LONGEST[name]) return
  throw storeError(
    `mysqlStore keeps at most ${LONGEST[name]} bytes as ${name}, not ${length}: nothing was changed`,
    { executed: 'no' },
  )
}

export function toRow(stored: readonly unknown[]): Row {
  const [key, version, userId, lastSeenAt, expiresAt, absoluteExpiresAt, payload] = stored
  return [
    toText(key) as string,
    toText(version) as string,
    toText(userId) ?? null,
    Number(lastSeenAt),
    Number(expiresAt),
    Number(absoluteExpiresAt),
    toText(payload) as string,
  ]
}

export function toKey(stored: readonly unknown[]): StoreKey {
  return toText(stored[0]) as StoreKey
}

/** `undefined` for NULL. */
export function toText(stored: unknown): string | undefined {
  if (stored === null || stored === undefined) return undefined
  return typeof stored === 'string' ? stored : Buffer.from(stored as Uint8Array).toString()
}
