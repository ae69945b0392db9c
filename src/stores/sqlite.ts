import { resolve } from 'node:path'
import { storeError } from '../core/errors.js'
import {
  type DeleteByUserOptions,
  type EndReason,
  type MaybePromise,
  PRUNE_SLACK,
  type SessionRecord,
  type SessionStore,
  type StoreKey,
  type WriteResult,
} from '../core/store.js'
import { createFeed } from './sqlite/feed.js'
import {
  type Handle,
  inTransaction,
  isShut,
  openFile,
  type SqliteDatabase,
} from './sqlite/handle.js'
import { createLog } from './sqlite/log.js'
import { assertOptions } from './sqlite/options.js'
import { hasChanged, keyOf, setUp, statements, toRecord, toText } from './sqlite/tables.js'
import { busy, explain, isBusy } from './sqlite/trouble.js'

export type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite/handle.js'

export type SqliteStoreOptions = SqliteFileOptions | SqliteHandleOptions

export interface SqliteFileOptions extends SqliteCommonOptions {
  /**
   * Where the sessions are kept. A missing file is made, readable by its owner only, and so is its directory. The file
   * may hold other tables. It is switched to WAL mode, which network drives do not support. `':memory:'` keeps nothing.
   */
  readonly filename: string
  /**
   * `'normal'`: what is stored survives the process; a power cut may take the last moments. `'full'`: it survives that
   * too, and every write waits for the disk. Default `'normal'`.
   */
  readonly synchronous?: 'normal' | 'full' | undefined
  readonly database?: undefined
}

export interface SqliteHandleOptions extends SqliteCommonOptions {
  /**
   * An open handle of node:sqlite, libsql or better-sqlite3. Its settings stay as they are (WAL mode and a short busy
   * timeout suit sessions), and it stays open when the store is closed. While a transaction of yours is open on it, the
   * store waits as it waits for a locked file.
   */
  readonly database: SqliteDatabase
  readonly filename?: undefined
  readonly synchronous?: undefined
}

export interface SqliteCommonOptions {
  /** The table of the sessions; up to three more are named after it. Default `'staykept_sessions'`. */
  readonly table?: string | undefined
  /** How long a call waits for a locked file, in milliseconds, without blocking the process. Default 800. */
  readonly busyTimeout?: number | undefined
}

/**
 * Keeps sessions in a SQLite file: a restart loses none, and all processes of one machine can share it. Answers
 * synchronously unless the file is locked. With `filename` the driver is node:sqlite where Node has it, else an installed
 * libsql, else an installed better-sqlite3.
 *
 * Throws a `TypeError` for a wrong option, and `ERR_SESSION_STORE` or `ERR_SESSION_STORE_FULL` with what to do about it
 * where the file cannot be used.
 */
export function sqliteStore(options: SqliteStoreOptions): SessionStore {
  assertOptions(options)
  const { filename, database, table = 'staykept_sessions', busyTimeout = 800 } = options
  const isFile = filename !== undefined && filename !== ':memory:'
  const place = isFile ? resolve(filename) : 'the database'
  const db: Handle = database ?? told(() => openFile(isFile ? place : ':memory:'))
  const sql = told(() => {
    try {
      setUp(db, table, place, database ? undefined : (options.synchronous ?? 'normal'))
      return statements(db, table)
    } catch (error) {
      if (!database) db.close?.()
      throw error
    }
  })
  const log = createLog(db, table)
  const feed = createFeed({ db, table, assertUsable, patiently: (look) => method(look) })
  let isClosed = false
  /** The last row that prune has looked at. */
  let prunedTo = 0

  function told<T>(open: () => T): T {
    try {
      return open()
    } catch (error) {
      throw explain(error, place)
    }
  }

  /** The method that does `step`. Only a locked file makes its answer a promise. */
  function method<Args extends unknown[], T>(
    step: (...args: Args) => T,
  ): (...args: Args) => MaybePromise<T> {
    return function answer(...args) {
      try {
        assertUsable()
        return step(...args)
      } catch (error) {
        if (isBusy(error)) return again(step, args)
        throw explain(error, place)
      }
    }
  }

  /**
   * The method that does `step` with the write lock in its hands: it tells why it changed nothing in the same instant.
   * The lock is taken by `exec`, also for what only reads, because libsql leaves a prepared statement that met a locked
   * file in progress (libsql-client-ts issue 352): until it runs again, nothing that is written gets committed.
   */
  function exclusive<Args extends unknown[], T>(
    step: (...args: Args) => T,
  ): (...args: Args) => MaybePromise<T> {
    return method((...args: Args) => inTransaction(db, step, args))
  }

  /** `exclusive`, for what a feed tells of. */
  function changing<Args extends unknown[], T>(
    step: (...args: Args) => T,
  ): (...args: Args) => MaybePromise<T> {
    return method((...args: Args) => feed.change(step, args))
  }

  /** "Busy" comes before anything was changed, or with all of it undone: the whole step can be repeated. */
  async function again<Args extends unknown[], T>(
    step: (...args: Args) => T,
    args: Args,
  ): Promise<T> {
    const end = performance.now() + busyTimeout
    for (;;) {
      await new Promise((wake) => setTimeout(wake, 1 + Math.random() * 9))
      try {
        assertUsable()
        return step(...args)
      } catch (error) {
        if (!isBusy(error) || performance.now() > end) throw explain(error, place)
      }
    }
  }

  function assertUsable(): void {
    // This comes first: libsql ends the process when a closed handle is asked about its transaction.
    if (isClosed || isShut(db)) throw storeError(`${place} was closed`, { executed: 'no' })
    // A write would be undone together with the transaction it falls into, and a read would see the past.
    if (database && (db.isTransaction ?? db.inTransaction)) throw busy('a transaction is open')
  }

  function swap(key: StoreKey, record: SessionRecord, expected: string, now: number): boolean {
    const { version, payload, userId, lastSeenAt, expiresAt, absoluteExpiresAt } = record
    const user = userId === undefined ? null : toText(userId)
    // What has ended already must not be moved along with last-seen.
    const latest = expiresAt > now ? absoluteExpiresAt : expiresAt
    const deadline = [lastSeenAt, lastSeenAt, expiresAt - lastSeenAt, latest, expiresAt] as const
    const values = [version, ...deadline, absoluteExpiresAt, toText(payload), key, expected, now]
    return hasChanged(sql.update.run(...values, user)) || hasChanged(sql.bind.run(user, ...values))
  }

  function refusal(key: StoreKey, now: number): WriteResult {
    const row = sql.load.get(key, now)
    return row ? { outcome: 'conflict', record: toRecord(row) } : MISSING
  }

  function sweep(limit: number, before: number): number {
    const window = sql.window.get(prunedTo) as { last: number | bigint } | undefined
    const last = window ? Number(window.last) : 0
    const gone = sql.prune.all(prunedTo, last || Number.MAX_SAFE_INTEGER, before, limit)
    const rows = gone.map((row) => Number((row as { at: number | bigint }).at))
    prunedTo = rows.length === limit ? Math.max(...rows) : last
    return rows.length
  }

  return {
    name: 'sqlite',

    load: method((key: StoreKey, now: number) => {
      const row = sql.load.get(key, now)
      return row ? toRecord(row) : undefined
    }),

    create: changing((key: StoreKey, record: SessionRecord, now: number) => {
      const { version, payload, userId, lastSeenAt, expiresAt, absoluteExpiresAt } = record
      const user = userId === undefined ? null : toText(userId)
      const times = [lastSeenAt, expiresAt, absoluteExpiresAt] as const
      return hasChanged(sql.create.run(key, version, user, ...times, toText(payload), now))
    }),

    update: changing(
      (key: StoreKey, record: SessionRecord, expected: string, now: number, ends?: EndReason) =>
        log.ending(ends, () => swap(key, record, expected, now)) ? UPDATED : refusal(key, now),
    ),

    touch: exclusive(
      (key: StoreKey, expected: string, lastSeenAt: number, expiresAt: number, now: number) =>
        hasChanged(sql.touch.run(lastSeenAt, lastSeenAt, expiresAt, key, expected, now))
          ? UPDATED
          : refusal(key, now),
    ),

    delete: changing((key: StoreKey, now: number, reason?: EndReason) => {
      const row = log.ending(reason, () => sql.delete.get(key)) as
        | { expires_at: number | bigint }
        | undefined
      return row !== undefined && row.expires_at > now
    }),

    listByUser: exclusive((userId: string, now: number) =>
      sql.byUser
        .all(toText(userId), now)
        .map((row) => ({ key: keyOf(row), record: toRecord(row) })),
    ),

    deleteByUser: changing((userId: string, { except, mark, now }: DeleteByUserOptions) => {
      sql.mark.run(toText(userId), mark.value, mark.expiresAt)
      const values = [toText(userId), now, JSON.stringify(except)]
      const ended = log.ending('revokeByUser', () => sql.endUser.all(...values))
      return ended.map((row) => (row as { key: StoreKey }).key)
    }),

    revocationMark: exclusive((userId: string, now: number) => {
      const row = sql.markOf.get(toText(userId), now) as { mark: string } | undefined
      return row?.mark
    }),

    deleteExpired: exclusive((limit: number, now: number) => {
      const before = now - PRUNE_SLACK
      sql.pruneMarks.run(before, limit)
      return log.silently(() => {
        const isMidway = prunedTo > 0
        const removed = sweep(limit, before)
        // At the end of the table the rest of the limit goes to its beginning.
        return isMidway && prunedTo === 0 ? removed + sweep(limit - removed, before) : removed
      })
    }),

    watch: feed.watch,

    ping: method(() => {
      const { now } = sql.clock.get() as { now: number }
      return { now: Math.round(now) }
    }),

    close() {
      if (isClosed) return
      isClosed = true
      feed.close()
      if (database) return
      try {
        // libsql lets go of the file only when its statements are collected. Nothing should wait in the -wal by then.
        db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      } catch {
        // On a full disk it waits there after all, for the next who opens the file.
      }
      db.close?.()
    },
  }
}

const UPDATED: WriteResult = Object.freeze({ outcome: 'updated' })
const MISSING: WriteResult = Object.freeze({ outcome: 'missing' })
