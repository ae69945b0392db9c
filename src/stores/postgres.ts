import {
  PRUNE_SLACK,
  type SessionRecord,
  type SessionStore,
  type StoreKey,
  type WriteResult,
} from '../core/store.js'
import { createChanges } from './postgres/changes.js'
import { type PostgresPool, toClient } from './postgres/client.js'
import { createDatabase } from './postgres/database.js'
import { createFeed } from './postgres/feed.js'
import { batchStatements, ddl, statements, toArray, WINDOW } from './postgres/tables.js'
import { createBatches } from './sql/batches.js'
import { assertName } from './sql/names.js'
import { createReads } from './sql/reads.js'
import { aliveAt, type Row, toRecord, toRow } from './sql/rows.js'

export type { PostgresPool } from './postgres/client.js'
export type { PgClient, PgPool } from './postgres/pg.js'
export type { PostgresJs, PostgresJsQuery } from './postgres/postgres-js.js'

export interface PostgresStoreOptions extends PostgresSchemaOptions {
  /**
   * A `Pool` of pg, or the `sql` function of postgres.js. It stays open when the store is closed. A pool of pg that has
   * no listener for `'error'` gets one that does nothing: without it, a connection that breaks ends the process.
   */
  readonly pool: PostgresPool
  /** Makes the tables where they are missing. Default true; `false` for a role that may not, see docs/sql/postgres.sql. */
  readonly createTable?: boolean | undefined
  /**
   * Lets the server keep statements prepared, which halves the work of a small one. Default true. Behind a pooler that
   * hands connections around, such as PgBouncer in transaction mode, the store notices and goes on without.
   */
  readonly prepare?: boolean | undefined
  /**
   * How long a call waits for a connection and an answer, in milliseconds. Then pg's connection is closed, so that one
   * that hangs does not keep its place in the pool. Default 2000: twice what a request waits for its store.
   */
  readonly timeout?: number | undefined
  /**
   * Tells every process of each change at once (LISTEN/NOTIFY), which the near cache and live sign-out need: the store has
   * `watch` then. Say it in all processes that share the tables: changes of one that does not are not told. It makes
   * changes dearer, see docs/stores/postgres.md. Default false.
   */
  readonly feed?: boolean | undefined
}

export interface PostgresSchemaOptions {
  /** The schema of the tables. It must exist. Default: the first of the search_path. */
  readonly schema?: string | undefined
  /** The table of the sessions; one more is named after it. Default `'staykept_sessions'`. */
  readonly table?: string | undefined
  /**
   * Makes tables that are not written to the log: about twice as fast to write, and emptied by a crash of the server, not
   * by its restart. Everybody is signed out then, and nothing else happens. Default false.
   */
  readonly unlogged?: boolean | undefined
}

/** The statements that make the tables, for a role that may: `psql` takes them as they are. */
export function postgresSchema(options: PostgresSchemaOptions = {}): string {
  checkNames(options)
  const { schema, table = TABLE, unlogged = false } = options
  return ddl({ schema, table }, unlogged)
}

/**
 * Keeps sessions in PostgreSQL 14 or later: every process that reaches the database shares them. Connects with the first
 * call, and again after an outage.
 *
 * Throws a `TypeError` for a wrong option.
 */
export function postgresStore(options: PostgresStoreOptions): SessionStore {
  const { pool, schema, table = TABLE, timeout = 2000 } = checked(options)
  const { createTable = true, prepare, unlogged = false, feed: isTold = false } = options
  const names = { schema, table }
  const sql = statements(names, isTold)
  const settings = { names, timeout, createTable, prepare, unlogged }
  const client = toClient(pool, timeout)
  const database = createDatabase(client, settings)
  const { read, change, ping, close } = database
  const { listen } = client
  if (isTold && listen === undefined) {
    throw mistake(
      'cannot listen with this pool, which does not say how it makes connections: leave feed out, or hand in a Pool of pg itself',
    )
  }
  const feed = isTold && listen ? createFeed({ listen, database, names }) : undefined
  const { swaps, creations } = batchStatements(names, isTold)
  const swap = createChanges(database, swaps, feed?.channel)
  const createOne = createChanges(database, creations, feed?.channel)
  const readRow = createReads(async (keys) => {
    const { rows } = await read(sql.load, [toArray(keys)])
    return rows as unknown as readonly Row[]
  })
  const readMark = createBatches({
    most: 500,
    async send(users: readonly string[]) {
      const { rows } = await read(sql.marksOf, [toArray(users)])
      const found = new Map(rows.map((row) => [row[0], row]))
      return users.map((user) => found.get(user))
    },
  })
  /** The first page of the table that prune has not looked at. */
  let prunedTo = 0

  /**
   * Why nothing was changed. A version is used once, so what stands there now tells: another version is a conflict, and
   * the expected one, which the change did not find alive, was past its deadline then.
   */
  async function refusal(key: StoreKey, expected: string, now: number): Promise<WriteResult> {
    const record = aliveAt(now, await readRow(key))
    return refused(record?.version === expected ? undefined : record)
  }

  return {
    name: 'postgres',
    limits: { maxPayloadBytes: 64 * 1024 * 1024 },

    async load(key, now) {
      return aliveAt(now, await readRow(key))
    },

    create: (key, record, now) => createOne({ key, record, expected: null, now }),

    async update(key, record, expected, now, ends) {
      if (await swap({ key, record, expected, now, ends })) return UPDATED
      const found = aliveAt(now, await readRow(key))
      if (found?.version !== expected) return refused(found)
      // Somebody held it. By itself, it can wait for that.
      const values = [...toRow(key, record), expected, now]
      if (feed) values.push(await feed.channel(), ends ?? null)
      const { count } = await change(sql.update, values)
      return count === 1 ? UPDATED : refusal(key, expected, now)
    },

    async touch(key, expectedVersion, lastSeenAt, expiresAt, now) {
      const values = [key, expectedVersion, lastSeenAt, expiresAt, now]
      const { count } = await change(sql.touch, values)
      return count === 1 ? UPDATED : refusal(key, expectedVersion, now)
    },

    async delete(key, now, reason) {
      const told = feed ? [await feed.channel(), reason ?? null] : []
      const { rows } = await change(sql.delete, [key, ...told])
      return rows.length > 0 && Number(rows[0]?.[0]) > now
    },

    async listByUser(userId, now) {
      const { rows } = await read(sql.byUser, [userId, now])
      return (rows as unknown as readonly Row[]).map((row) => ({
        key: row[0] as StoreKey,
        record: toRecord(row),
      }))
    },

    async deleteByUser(userId, { except, mark, now }) {
      // Committed before the sessions are looked up: of a sign-in meanwhile, one of the two steps sees the other (Q19).
      await change(sql.mark, [userId, mark.value, mark.expiresAt])
      const told = feed ? [await feed.channel()] : []
      const { rows } = await change(sql.endUser, [userId, now, toArray(except), ...told])
      return rows.map(([key]) => key as StoreKey)
    },

    async revocationMark(userId, now) {
      const [, mark, expiresAt] = (await readMark(userId)) ?? []
      return Number(expiresAt) > now ? (mark as string) : undefined
    },

    async deleteExpired(limit, now) {
      const before = now - PRUNE_SLACK
      if (prunedTo === 0) await change(sql.pruneMarks, [before, limit])
      const range = [`(${prunedTo},0)`, `(${prunedTo + WINDOW},0)`]
      const { rows } = await change(sql.prune, [...range, before, limit])
      const [count, pages] = (rows[0] ?? [0, 0]).map(Number) as [number, number]
      if (count < limit) prunedTo = prunedTo + WINDOW < pages ? prunedTo + WINDOW : 0
      return count
    },

    ...(feed && { watch: feed.watch }),
    ping,
    ...(client.renew && { reconnect: client.renew }),

    close() {
      feed?.close()
      close()
    },
  }
}

const TABLE = 'staykept_sessions'
const UPDATED: WriteResult = Object.freeze({ outcome: 'updated' })
const MISSING: WriteResult = Object.freeze({ outcome: 'missing' })

function refused(record: SessionRecord | undefined): WriteResult {
  return record === undefined ? MISSING : { outcome: 'conflict', record }
}

function checked(options: PostgresStoreOptions): PostgresStoreOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('postgresStore takes an object: postgresStore({ pool })')
  }
  const { pool, schema, table, createTable, prepare, timeout, unlogged, feed, ...others } = options
  for (const name of Object.keys(others)) {
    throw mistake(
      `has no option "${name}": it takes pool, schema, table, createTable, unlogged, prepare, timeout and feed`,
    )
  }
  checkNames(options)
  for (const [name, value] of Object.entries({ createTable, prepare, unlogged, feed })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw mistake(`needs true or false as ${name}, not '${String(value)}'`)
    }
  }
  if (timeout !== undefined && !(Number.isFinite(timeout) && timeout > 0)) {
    throw mistake(`needs milliseconds as timeout, such as 2000, not '${String(timeout)}'`)
  }
  return options
}

/** The longest name is an index's, and PostgreSQL cuts it at 63 bytes: two tables could get one name. */
const LONGEST_TABLE = 63 - '_marks_by_end'.length

function checkNames({ schema, table }: PostgresSchemaOptions): void {
  if (schema !== undefined) assertName('postgresStore', 'schema', schema, 63)
  if (table !== undefined) assertName('postgresStore', 'table', table, LONGEST_TABLE)
}

function mistake(sentence: string): TypeError {
  return new TypeError(`postgresStore ${sentence}`)
}
