import type { EndReason, StoreEvent, StoreKey } from '../../core/store.js'
import { asLists, type SqliteDatabase, type SqliteStatement, valuesOf } from './handle.js'

/** How many changes the log holds: those of some tenths of a second at full speed. Who is further behind hears a reset. */
const LENGTH = 4096
/** The log is cut after so many changes, and longer by that at most. */
const CUT_EVERY = 256

/** The mark that a prune leaves in the table of the schema for as long as its transaction takes. */
const PRUNING = 'pruning'

const PARTS = ['', '_insert', '_update', '_delete']

/** Whether the log and its triggers are there, all of them. */
export function hasLog(db: SqliteDatabase, table: string): boolean {
  const names = PARTS.map((part) => `'${table}_log${part}' COLLATE NOCASE`)
  const { found } = db
    .prepare(
      `SELECT count(*) AS found FROM sqlite_master WHERE name = ${names.join(' OR name = ')}`,
    )
    .get() as { found: number | bigint }
  return Number(found) === PARTS.length
}

/**
 * Makes a log of changes beside the sessions, and the triggers that write it. They are part of the file: every process
 * writes the log from then on, also one that runs already, is older, or is no staykept. A touch is not logged.
 */
export function makeLog(db: SqliteDatabase, table: string): void {
  const log = `"${table}_log"`
  const append = (key: string, version: string): string =>
    `BEGIN INSERT INTO ${log} (key, version) VALUES (${key}, ${version});
      DELETE FROM ${log} WHERE last_insert_rowid() % ${CUT_EVERY} = 0
        AND seq <= last_insert_rowid() - ${LENGTH}; END`
  const trigger = (name: string, when: string, body: string): string =>
    `CREATE TRIGGER IF NOT EXISTS "${table}_log_${name}" AFTER ${when} ${body};`
  db.exec(`
    CREATE TABLE IF NOT EXISTS ${log} (
      seq INTEGER PRIMARY KEY, key TEXT NOT NULL, version TEXT, reason TEXT
    );
    ${trigger('insert', `INSERT ON "${table}"`, append('NEW.key', 'NEW.version'))}
    ${trigger('update', `UPDATE OF version ON "${table}"`, append('NEW.key', 'NEW.version'))}
    ${trigger(
      'delete',
      `DELETE ON "${table}" WHEN NOT EXISTS (SELECT 1 FROM "${table}_meta" WHERE name = '${PRUNING}')`,
      append('OLD.key', 'NULL'),
    )}`)
}

/** The log as those who change sessions know it: only they know how a session came to its end. */
export interface Log {
  /** Runs `change` in the transaction that is open, and says of what it changes that it ended, and how. */
  ending<T>(reason: EndReason | undefined, change: () => T): T
  /** Runs `change` in the transaction that is open, and logs nothing of what it deletes. */
  silently<T>(change: () => T): T
}

export function createLog(db: SqliteDatabase, table: string): Log {
  let find: SqliteStatement | undefined
  let known: WritingStatements | undefined

  /** Looked up until it is there, which a process that only writes hears from nobody. */
  function lastSeq(): number | undefined {
    try {
      find ??= db.prepare('SELECT 1 AS found FROM sqlite_master WHERE name = ? COLLATE NOCASE')
      if (known === undefined && find.get(`${table}_log`)) known = writing(db, table)
      return known && seqOf(known.last.get())
    } catch {
      // It was taken away meanwhile.
      known = undefined
      return undefined
    }
  }

  return {
    ending(reason, change) {
      const before = reason === undefined ? undefined : lastSeq()
      const result = change()
      if (before !== undefined) known?.end.run(reason as string, before)
      return result
    },

    silently(change) {
      if (lastSeq() === undefined) return change()
      known?.pause.run(PRUNING)
      const result = change()
      known?.resume.run(PRUNING)
      return result
    },
  }
}

interface WritingStatements {
  readonly last: SqliteStatement
  readonly end: SqliteStatement
  readonly pause: SqliteStatement
  readonly resume: SqliteStatement
}

function writing(db: SqliteDatabase, table: string): WritingStatements {
  return {
    last: lastOf(db, table),
    end: db.prepare(`UPDATE "${table}_log" SET version = NULL, reason = ? WHERE seq > ?`),
    pause: db.prepare(`INSERT INTO "${table}_meta" VALUES (?, 1)`),
    resume: db.prepare(`DELETE FROM "${table}_meta" WHERE name = ?`),
  }
}

export function lastOf(db: SqliteDatabase, table: string): SqliteStatement {
  return db.prepare(`SELECT coalesce(max(seq), 0) AS seq FROM "${table}_log"`)
}

export function seqOf(row: unknown): number {
  return Number((row as { seq: number | bigint }).seq)
}

/** What came after an entry, and that entry itself: as long as it is there, nothing is missing in between. */
export function newsOf(db: SqliteDatabase, table: string): SqliteStatement {
  return asLists(
    db.prepare(`SELECT seq, key, version, reason FROM "${table}_log" WHERE seq >= ? ORDER BY seq`),
  )
}

export interface Entry {
  readonly seq: number
  readonly event: StoreEvent
}

export function toEntry(row: unknown): Entry {
  const [seq, key, version, reason] = valuesOf(row) as Values
  const event: StoreEvent =
    version === null
      ? { type: 'ended', key, reason: reason ?? undefined }
      : { type: 'changed', key, version }
  return { seq: Number(seq), event }
}

type Values = readonly [
  seq: number | bigint,
  key: StoreKey,
  version: string | null,
  reason: EndReason | null,
]
