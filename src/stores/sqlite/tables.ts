import { storeError } from '../../core/errors.js'
import type { SessionRecord, StoreKey } from '../../core/store.js'
import {
  asLists,
  inTransaction,
  type SqliteDatabase,
  type SqliteStatement,
  valuesOf,
} from './handle.js'

/** Bumped when the tables change in a way that an older staykept would not understand. */
const SCHEMA = 1
/** How many rows one prune looks at: one to three milliseconds. */
const WINDOW = 5000
/** Opening may block: nothing is served yet, and processes that start together wait for each other here. */
const OPENING_BUSY_TIMEOUT = 5000

/** Makes the tables, or finds them; refuses, before it changes anything, what is not ours. */
export function setUp(
  db: SqliteDatabase,
  table: string,
  place: string,
  /** Of a file that the store opened itself; the settings of a handle are left alone. */
  synchronous: 'normal' | 'full' | undefined,
): void {
  if (synchronous) db.exec(`PRAGMA busy_timeout = ${OPENING_BUSY_TIMEOUT}`)
  hasTables(db, table, place)
  if (synchronous) {
    db.exec('PRAGMA journal_mode = WAL')
    db.exec(`PRAGMA synchronous = ${synchronous}`)
  }
  const createOrProve = (): void => {
    if (!hasTables(db, table, place)) db.exec(schema(table))
    // Proves that the file can be written: SQLite opens one that cannot without a word.
    db.exec(`DELETE FROM "${table}" WHERE key = ''`)
  }
  inTransaction(db, createOrProve, [])
  // From now on nothing blocks the process: what finds the file locked tries again by itself.
  if (synchronous) db.exec('PRAGMA busy_timeout = 0')
}

function hasTables(db: SqliteDatabase, table: string, place: string): boolean {
  const find = db.prepare('SELECT 1 AS found FROM sqlite_master WHERE name = ? COLLATE NOCASE')
  const meta = find.get(`${table}_meta`)
    ? (db.prepare(`SELECT * FROM "${table}_meta"`).all() as { name?: unknown; value?: unknown }[])
    : []
  const version = meta.find((row) => row.name === 'schema')?.value
  if (version === undefined) {
    if (!find.get(table)) return false
    throw storeError(
      `the table ${table} in ${place} was not made by staykept: choose another name with the option table`,
      { executed: 'no' },
    )
  }
  if (Number(version) > SCHEMA) {
    throw storeError(
      `${place} was written by a newer staykept (schema ${version}, this one knows ${SCHEMA}): update staykept, or choose another filename`,
      { executed: 'no' },
    )
  }
  return true
}

/**
 * Tables with a rowid and no index on the deadline, both measured: WITHOUT ROWID triples the time of a write from a
 * payload of 1 KB on, and an index on what every write changes is half of the time of a small one. So a prune walks the
 * table in windows. The payload stands last: nothing has to read past it.
 */
function schema(table: string): string {
  return `
    CREATE TABLE "${table}" (
      key TEXT NOT NULL PRIMARY KEY,
      version TEXT NOT NULL,
      user_id TEXT,
      last_seen_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      absolute_expires_at INTEGER NOT NULL,
      payload TEXT NOT NULL
    );
    CREATE INDEX "${table}_by_user" ON "${table}" (user_id) WHERE user_id IS NOT NULL;
    CREATE TABLE "${table}_marks" (
      user_id TEXT NOT NULL PRIMARY KEY,
      mark TEXT NOT NULL,
      expires_at INTEGER NOT NULL
    );
    CREATE TABLE "${table}_meta" (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO "${table}_meta" VALUES ('schema', ${SCHEMA});`
}

export interface Statements {
  readonly load: SqliteStatement
  readonly create: SqliteStatement
  readonly update: SqliteStatement
  readonly bind: SqliteStatement
  readonly touch: SqliteStatement
  readonly delete: SqliteStatement
  readonly byUser: SqliteStatement
  readonly endUser: SqliteStatement
  readonly mark: SqliteStatement
  readonly markOf: SqliteStatement
  readonly pruneMarks: SqliteStatement
  readonly window: SqliteStatement
  readonly prune: SqliteStatement
  readonly clock: SqliteStatement
}

export function statements(db: SqliteDatabase, table: string): Statements {
  const sessions = `"${table}"`
  const marks = `"${table}_marks"`
  const columns = 'version, user_id, last_seen_at, expires_at, absolute_expires_at, payload'
  const swap = `version = ?, last_seen_at = max(last_seen_at, ?),
    expires_at = CASE WHEN last_seen_at > ? THEN min(last_seen_at + ?, ?) ELSE ? END,
    absolute_expires_at = ?, payload = ?
    WHERE key = ? AND version = ? AND expires_at > ?`

  return {
    load: asLists(
      db.prepare(`SELECT ${columns} FROM ${sessions} WHERE key = ? AND expires_at > ?`),
    ),
    create: db.prepare(`INSERT INTO ${sessions} (key, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET version = excluded.version, user_id = excluded.user_id,
        last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at,
        absolute_expires_at = excluded.absolute_expires_at, payload = excluded.payload
      WHERE expires_at <= ?`),
    // A column that an UPDATE names costs its index. A session gets its user once: all other writes leave the user out.
    update: db.prepare(`UPDATE ${sessions} SET ${swap} AND user_id IS ?`),
    bind: db.prepare(`UPDATE ${sessions} SET user_id = ?, ${swap}`),
    touch: db.prepare(`UPDATE ${sessions} SET last_seen_at = max(last_seen_at, ?),
      expires_at = CASE WHEN last_seen_at < ? THEN ? ELSE expires_at END
      WHERE key = ? AND version = ? AND expires_at > ?`),
    delete: db.prepare(`DELETE FROM ${sessions} WHERE key = ? RETURNING expires_at`),
    byUser: asLists(
      db.prepare(`SELECT ${columns}, key FROM ${sessions} WHERE user_id = ? AND expires_at > ?`),
    ),
    endUser: db.prepare(`DELETE FROM ${sessions} WHERE user_id = ? AND expires_at > ?
      AND key NOT IN (SELECT value FROM json_each(?)) RETURNING key`),
    mark: db.prepare(`INSERT INTO ${marks} (user_id, mark, expires_at) VALUES (?, ?, ?)
      ON CONFLICT (user_id) DO UPDATE SET mark = excluded.mark, expires_at = excluded.expires_at
      WHERE excluded.expires_at >= expires_at`),
    markOf: db.prepare(`SELECT mark FROM ${marks} WHERE user_id = ? AND expires_at > ?`),
    pruneMarks: db.prepare(`DELETE FROM ${marks} WHERE rowid IN
      (SELECT rowid FROM ${marks} WHERE expires_at < ? LIMIT ?)`),
    window: db.prepare(
      `SELECT rowid AS last FROM ${sessions} WHERE rowid > ? ORDER BY rowid LIMIT 1 OFFSET ${WINDOW - 1}`,
    ),
    prune: db.prepare(`DELETE FROM ${sessions} WHERE rowid IN (SELECT rowid FROM ${sessions}
      WHERE rowid > ? AND rowid <= ? AND expires_at < ? ORDER BY rowid LIMIT ?) RETURNING rowid AS at`),
    clock: db.prepare("SELECT (julianday('now') - 2440587.5) * 86400000 AS now"),
  }
}

/** What `load` and `byUser` answer: the columns, and for `byUser` the key behind them. */
type Values = readonly [
  version: string,
  userId: Text | null,
  lastSeenAt: number | bigint,
  expiresAt: number | bigint,
  absoluteExpiresAt: number | bigint,
  payload: Text,
  key: StoreKey,
]

type Text = string | Uint8Array

/** Spelt out twice: `...record` would cost three times as much as all the rest. */
export function toRecord(row: unknown): SessionRecord {
  const values = valuesOf(row) as Values
  const [version, user] = values
  const lastSeenAt = Number(values[2])
  const expiresAt = Number(values[3])
  const absoluteExpiresAt = Number(values[4])
  const payload = fromText(values[5])
  if (user === null) return { version, payload, lastSeenAt, expiresAt, absoluteExpiresAt }
  const userId = fromText(user)
  return { version, payload, userId, lastSeenAt, expiresAt, absoluteExpiresAt }
}

export function keyOf(row: unknown): StoreKey {
  return (valuesOf(row) as Values)[6]
}

/** libsql reads a text up to its first NUL: one that has any is kept as bytes. */
export function toText(text: string): Text {
  return text.includes('\0') ? Buffer.from(text) : text
}

function fromText(stored: Text): string {
  return typeof stored === 'string' ? stored : Buffer.from(stored).toString()
}

/** What `run` answers. Not for RETURNING. */
export function hasChanged(result: unknown): boolean {
  return Number((result as { changes: number | bigint }).changes) === 1
}
