import { closeSync, mkdirSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { storeError } from '../../core/errors.js'

/** What the store needs of a handle: the synchronous calls that the three drivers have in common. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
}

/** Values go to `?` only, by position: better-sqlite3 takes `?1` for a name. */
export interface SqliteStatement {
  /** Not for RETURNING: libsql would leave its transaction open. */
  run(...values: SqliteValue[]): unknown
  get(...values: SqliteValue[]): unknown
  all(...values: SqliteValue[]): unknown[]
}

export type SqliteValue = string | number | null | Uint8Array

/** A handle with what some drivers tell of it: `isOpen` and `isTransaction` are node:sqlite's. */
export type Handle = SqliteDatabase & {
  readonly open?: unknown
  readonly isOpen?: boolean
  readonly inTransaction?: boolean
  readonly isTransaction?: boolean
  close?(): unknown
}

type Driver = new (filename: string) => Handle

/** Opens a database with the first driver there is. A missing file is made, for its owner only, with its directory. */
export function openFile(filename: string): Handle {
  const Database = findDriver()
  if (filename !== ':memory:') {
    mkdirSync(dirname(filename), { recursive: true })
    try {
      // SQLite would make it readable by everyone, and its -wal and -shm files after it.
      closeSync(openSync(filename, 'wx', 0o600))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  return new Database(filename)
}

export function isShut(db: Handle): boolean {
  return db.open === false || db.isOpen === false
}

interface StatementOfDriver extends SqliteStatement {
  /** That of libsql and better-sqlite3. */
  raw?(isOn: true): unknown
  /** That of node:sqlite, from Node 22.16 on. */
  setReturnArrays?(isOn: true): void
}

/**
 * Makes the rows of a statement lists of values where the driver can: libsql spends a quarter of a read on the names in an
 * object. Where it cannot, `valuesOf` makes up for it.
 */
export function asLists(statement: SqliteStatement): SqliteStatement {
  const driver: StatementOfDriver = statement
  driver.raw?.(true)
  driver.setReturnArrays?.(true)
  return statement
}

export function valuesOf(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : Object.values(row as object)
}

/** Runs `step` in a transaction that has the write lock from its beginning. */
export function inTransaction<Args extends unknown[], T>(
  db: SqliteDatabase,
  step: (...args: Args) => T,
  args: Args,
): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = step(...args)
    db.exec('COMMIT')
    return result
  } catch (error) {
    try {
      db.exec('ROLLBACK')
    } catch {
      // A full disk ends the transaction by itself. The first error is the one to tell.
    }
    throw error
  }
}

/**
 * Runs `step`, which only reads. The file is opened for reading by `exec`, because libsql leaves a prepared statement that
 * met a locked file in progress.
 */
export function inReading<T>(db: SqliteDatabase, step: () => T): T {
  db.exec('BEGIN')
  try {
    db.exec('SELECT 1 FROM sqlite_master LIMIT 1')
    return step()
  } finally {
    db.exec('COMMIT')
  }
}

/** Throws a `TypeError` for anything but an open handle that answers at once. */
export function assertHandle(database: unknown): void {
  const found = whatIsWrong(database)
  if (found === undefined) return
  throw new TypeError(
    `sqliteStore: database must be an open handle of node:sqlite, libsql or better-sqlite3, not ${found}; a path is given as filename: sqliteStore({ filename: 'sessions.db' })`,
  )
}

function whatIsWrong(database: unknown): string | undefined {
  if (typeof database === 'string') return 'a path'
  if (typeof database === 'function') return 'a function or class'
  if (typeof database !== 'object' || database === null) return String(database)
  const handle = database as Handle & { parallelize?: unknown }
  if (typeof handle.exec !== 'function' || typeof handle.prepare !== 'function') {
    return `an object without exec and prepare (${handle.constructor?.name ?? 'Object'})`
  }
  if (isShut(handle)) return 'a closed one'
  const later = 'one that answers by callback or promise'
  // The handle of the package sqlite3.
  if (typeof handle.parallelize === 'function') return later
  try {
    const row = handle.prepare('SELECT 1 AS one').get() as { one?: unknown } | undefined
    return Number(row?.one) === 1 ? undefined : later
  } catch (error) {
    return `one that fails (${(error as Error)?.message})`
  }
}

function findDriver(): Driver {
  const builtIn = process.getBuiltinModule?.('node:sqlite') as { DatabaseSync: Driver } | undefined
  if (builtIn) return builtIn.DatabaseSync
  const libsql = installed('libsql') as Driver | undefined
  if (libsql) return libsql
  const found = installed('better-sqlite3/package.json') as { version: string } | undefined
  // On a Node that is too old for it, better-sqlite3 13 does not fail but ends the process.
  if (found && (Number.parseInt(found.version, 10) < 13 || NODE >= 22)) {
    return installed('better-sqlite3') as Driver
  }
  throw storeError(
    found
      ? `better-sqlite3 ${found.version} needs Node 22 and this is ${process.version}: npm install libsql`
      : `sqliteStore needs a driver, and Node ${process.version} has none built in: npm install libsql`,
    { executed: 'no' },
  )
}

const NODE = Number.parseInt(process.versions.node, 10)

/** Looks where an optional peer can be: beside staykept, beside the program, and in the project it was started in. */
function installed(name: string): unknown {
  const own = typeof __filename === 'string' ? __filename : undefined
  for (const from of [own, process.argv[1], `${process.cwd()}/`]) {
    if (from === undefined) continue
    const require = createRequire(from)
    try {
      require.resolve(name)
    } catch {
      continue
    }
    return require(name)
  }
  return undefined
}
