import { randomBytes } from 'node:crypto'
import { storeError } from '../core/errors.js'
import {
  PRUNE_SLACK,
  type SessionRecord,
  type SessionStore,
  type StoreKey,
  type WriteResult,
} from '../core/store.js'
import { type MysqlPool, toClient } from './mysql/client.js'
import { createDatabase } from './mysql/database.js'
import { createInserts } from './mysql/inserts.js'
import {
  bytesOf,
  creation,
  LONGEST,
  quoted,
  statements,
  toKey,
  toRow,
  toText,
} from './mysql/tables.js'
import { createUpdates } from './mysql/updates.js'
import { createBatches } from './sql/batches.js'
import { assertName } from './sql/names.js'
import { createReads } from './sql/reads.js'
import { aliveAt, toRecord } from './sql/rows.js'

export type { MysqlPool } from './mysql/client.js'
export type { MariadbConnection, MariadbPool } from './mysql/mariadb.js'
export type { Mysql2Connection, Mysql2Pool, Mysql2PromisePool } from './mysql/mysql2.js'

export interface MysqlStoreOptions extends MysqlSchemaOptions {
  /** A pool of `mysql2`, of `mysql2/promise` or of `mariadb`. It stays open when the store is closed. */
  readonly pool: MysqlPool
  /** Makes the tables where they are missing. Default true; `false` for a user who may not, see docs/sql/mysql.sql. */
  readonly createTable?: boolean | undefined
  /**
   * How long a call waits for a connection and an answer, in milliseconds. Then its connection is closed, so that one
   * that hangs does not keep its place in the pool. Default 2000: twice what a request waits for its store.
   */
  readonly timeout?: number | undefined
}

export interface MysqlSchemaOptions {
  /** The table of the sessions; one more is named after it. Default `'staykept_sessions'`. */
  readonly table?: string | undefined
}

/** The statements that make the tables, for a user who may: `mysql` takes them as they are. */
export function mysqlSchema(options: MysqlSchemaOptions = {}): string {
  checkTable(options.table)
  return `${creation(options.table ?? TABLE).join(';\n')};\n`
}

/**
 * Keeps sessions in MySQL 8 or MariaDB 10.6 and later: every process that reaches the database shares them. Connects with
 * the first call, and again after an outage.
 *
 * Throws a `TypeError` for a wrong option.
 */
export function mysqlStore(options: MysqlStoreOptions): SessionStore {
  const { pool, table = TABLE, timeout = 2000, createTable = true } = checked(options)
  const sql = statements(table, WINDOW)
  const client = toClient(pool, timeout)
  const { read, change, ping, close } = createDatabase(client, { table, timeout, createTable })
  const readRow = createReads(async (keys) => {
    const asked = padded(keys)
    const { rows } = await read(sql.load(asked.length), asked)
    return rows.map(toRow)
  })
  const readMark = createBatches({
    most: 100,
    async send(users: readonly string[]) {
      const asked = padded(users.map((user) => Buffer.from(user)))
      const { rows } = await read(sql.marksOf(asked.length), asked)
      const found = new Map(
        rows.map(([user, mark, expiresAt]) => [toText(user), { mark: toText(mark), expiresAt }]),
      )
      return users.map((user) => found.get(user))
    },
  })
  const swap = createUpdates({ sessions: quoted(table).sessions, change, readRow })
  const insert = createInserts({ create: sql.create, change })
  /** The last row that prune has looked at. */
  let prunedTo = 0

  async function alive(key: StoreKey, now: number): Promise<SessionRecord | undefined> {
    return aliveAt(now, await readRow(key))
  }

  /**
   * Why nothing was changed. A version is used once, so what stands there now tells: another version is a conflict, and
   * the expected one, which the change did not find alive, was past its deadline then.
   */
  function refusal(record: SessionRecord | undefined, expected: string): WriteResult {
    return record === undefined || record.version === expected
      ? MISSING
      : { outcome: 'conflict', record }
  }

  async function remove(key: StoreKey, now: number): Promise<boolean> {
    if ((await change(sql.deleteLive, [key, now])).count === 1) return true
    if ((await change(sql.deleteDead, [key, now])).count === 1) return false
    // Between the two it may have come to life, in a process whose clock is behind.
    const row = await readRow(key)
    return row === undefined || row[4] === CLAIMED ? false : remove(key, now)
  }

  return {
    name: 'mysql',
    limits: { maxPayloadBytes: LONGEST.payload },
    load: alive,

    async create(key, record, now) {
      const { user, payload } = bytesOf(key, record)
      const { version, lastSeenAt, expiresAt, absoluteExpiresAt } = record
      const values = [version, user, lastSeenAt, expiresAt, absoluteExpiresAt, payload]
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        if (await insert({ key, payload, values: [key, ...values] })) return true
        const { count } = await change(sql.replace, [...values, key, now])
        if (count === 1) return true
        // Where there is none after all, it went meanwhile, and whether it was alive when it stood there is not known.
        if ((await alive(key, now)) !== undefined) return false
      }
      throw storeError('a record came and went under one key. Nothing was stored', {
        executed: 'no',
      })
    },

    async update(key, record, expected, now) {
      const { version, lastSeenAt, expiresAt, absoluteExpiresAt } = record
      const isDone = await swap({
        ...{ key, expected, now, version, seen: lastSeenAt, ends: expiresAt },
        ...bytesOf(key, record),
        // What has ended already is not moved along with last-seen.
        movesAfter: expiresAt > now ? lastSeenAt : FAR,
        span: expiresAt - lastSeenAt,
        absolute: absoluteExpiresAt,
      })
      return isDone ? UPDATED : refusal(await alive(key, now), expected)
    },

    async touch(key, expectedVersion, lastSeenAt, expiresAt, now) {
      const values = [lastSeenAt, expiresAt, lastSeenAt, key, expectedVersion, now]
      const { count } = await change(sql.touch, values)
      if (count === 1) return UPDATED
      const record = await alive(key, now)
      // Last-seen was there already: as the pool is set up, MySQL does not count a row that stays as it was (Q29).
      const isSame = record?.version === expectedVersion && record.lastSeenAt >= lastSeenAt
      return isSame ? UPDATED : refusal(record, expectedVersion)
    },

    delete: remove,

    async listByUser(userId, now) {
      const { rows } = await read(sql.byUser, [Buffer.from(userId), now])
      return rows.map((row) => ({ key: toKey(row), record: toRecord(toRow(row)) }))
    },

    /**
     * No DELETE of MySQL says what it deleted, so it takes three steps, each on its own. After the first the sessions
     * are dead, by a deadline of 0, and nobody else's, by a mark as version. Whoever stops there leaves them to prune.
     */
    async deleteByUser(userId, { except, mark, now }) {
      const user = Buffer.from(userId)
      // Committed before the sessions are looked up: of a sign-in meanwhile, one of the two steps sees the other (Q19).
      const value = Buffer.from(mark.value)
      const later = [mark.expiresAt, value, mark.expiresAt]
      await change(sql.mark, [user, value, mark.expiresAt, ...later])
      const claim = randomBytes(16).toString('base64url')
      const values = [claim, now, user, now, ...except]
      const { count } = await change(sql.claim(except.length), values)
      if (count === 0) return []
      try {
        const { rows } = await read(sql.claimed, [user, claim])
        await change(sql.deleteClaimed, [user, claim])
        return rows.map(toKey)
      } catch (cause) {
        const { message } = cause as Error
        throw storeError(`sessions were ended, and which could not be told: ${message}`, {
          cause,
          executed: 'unknown',
        })
      }
    },

    async revocationMark(userId, now) {
      const { mark, expiresAt } = (await readMark(userId)) ?? {}
      return Number(expiresAt) > now ? mark : undefined
    },

    async deleteExpired(limit, now) {
      const before = now - PRUNE_SLACK
      if (prunedTo === 0) await change(sql.pruneMarks, [before])
      const { rows: ends } = await read(sql.windowEnd, [prunedTo])
      const end = Number(ends[0]?.[0] ?? Number.MAX_SAFE_INTEGER)
      const { rows } = await read(sql.due(limit), [prunedTo, end, before, before])
      const ids = rows.map(([id]) => Number(id))
      if (ids.length < limit) prunedTo = ends.length > 0 ? end : 0
      let removed = 0
      for (let from = 0; from < ids.length; from += DELETED_AT_ONCE) {
        const some = ids.slice(from, from + DELETED_AT_ONCE)
        removed += (await change(sql.deleteDue(some), [before, before])).count
      }
      return removed
    },

    ping,
    reconnect: client.reconnect,
    close,
  }
}

const TABLE = 'staykept_sessions'
/** Keys are used once, so a second attempt is rare. Each one that fails takes others who create and delete under the key. */
const ATTEMPTS = 10
/** How many rows one prune looks at. */
const WINDOW = 5000
/** How many rows one statement deletes: they are locked for its time. */
const DELETED_AT_ONCE = 250
/** The deadline of a session that `deleteByUser` is about to remove. */
const CLAIMED = 0
/** Later than any session was last seen. */
const FAR = Number.MAX_SAFE_INTEGER
const UPDATED: WriteResult = Object.freeze({ outcome: 'updated' })
const MISSING: WriteResult = Object.freeze({ outcome: 'missing' })

/** With the last again, up to a power of two: so few statements have to be prepared for any number of them. */
function padded<T>(some: readonly T[]): readonly T[] {
  const last = some.at(-1) as T
  const room = 2 ** Math.ceil(Math.log2(some.length))
  return [...some, ...Array<T>(room - some.length).fill(last)]
}

function checked(options: MysqlStoreOptions): MysqlStoreOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('mysqlStore takes an object: mysqlStore({ pool })')
  }
  const { pool, table, createTable, timeout, ...others } = options
  for (const name of Object.keys(others)) {
    throw mistake(`has no option "${name}": it takes pool, table, createTable and timeout`)
  }
  checkTable(table)
  if (createTable !== undefined && typeof createTable !== 'boolean') {
    throw mistake(`needs true or false as createTable, not '${String(createTable)}'`)
  }
  if (timeout !== undefined && !(Number.isFinite(timeout) && timeout > 0)) {
    throw mistake(`needs milliseconds as timeout, such as 2000, not '${String(timeout)}'`)
  }
  return options
}

function checkTable(table: unknown): void {
  if (table !== undefined) assertName('mysqlStore', 'table', table, 64 - '_marks'.length)
}

function mistake(sentence: string): TypeError {
  return new TypeError(`mysqlStore ${sentence}`)
}
