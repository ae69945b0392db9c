import { createHash } from 'node:crypto'
import { tellEnd, tellSwap } from './events.js'
import type { Statement } from './statement.js'

/** Bumped when the tables change. */
const SCHEMA = 1
/** How many pages of the table one prune looks at: 4 MB, some milliseconds. */
export const WINDOW = 512

export interface TableNames {
  readonly schema?: string | undefined
  readonly table: string
}

/** The names as they stand in statements. They were checked, and are quoted, so that they mean what they say. */
export function quoted({ schema, table }: TableNames): { sessions: string; marks: string } {
  const prefix = schema === undefined ? '' : `"${schema}".`
  return { sessions: `${prefix}"${table}"`, marks: `${prefix}"${table}_marks"` }
}

/**
 * The statements that make the tables. Room is left in every page (fillfactor), and no index stands on what a write
 * changes: so PostgreSQL puts the new version of a row beside the old one and touches no index (decisions/021).
 */
export function ddl(names: TableNames, unlogged: boolean): string {
  const { sessions, marks } = quoted(names)
  const kind = unlogged ? 'UNLOGGED TABLE' : 'TABLE'
  return `CREATE ${kind} ${sessions} (
  key text COLLATE "C" NOT NULL PRIMARY KEY,
  version text COLLATE "C" NOT NULL,
  user_id text COLLATE "C",
  last_seen_at double precision NOT NULL,
  expires_at double precision NOT NULL,
  absolute_expires_at double precision NOT NULL,
  payload text NOT NULL
) WITH (fillfactor = 90);
CREATE INDEX "${names.table}_by_user" ON ${sessions} (user_id) WHERE user_id IS NOT NULL;
CREATE ${kind} ${marks} (
  user_id text COLLATE "C" NOT NULL PRIMARY KEY,
  mark text COLLATE "C" NOT NULL,
  expires_at double precision NOT NULL
);
CREATE INDEX "${names.table}_marks_by_end" ON ${marks} (expires_at);
COMMENT ON TABLE ${sessions} IS 'Sessions of staykept, schema ${SCHEMA}';
`
}

/** Makes the tables where they are missing. Processes that start together wait for the first of them. */
export function creation(names: TableNames, unlogged: boolean): Statement {
  const { sessions } = quoted(names)
  const schema = names.schema === undefined ? 'current_schema()' : `'${names.schema}'`
  return {
    // Not to_regclass: it may remember from before the lock that there is no table.
    text: `DO $staykept$ BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('staykept ${sessions}', 0));
  IF NOT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = '${names.table}' AND nspname = ${schema}) THEN
${ddl(names, unlogged)}
  END IF;
END $staykept$`,
  }
}

/** What there is, asked before the first statement and by every ping. Columns as in `Findings`. */
export function inspection(names: TableNames): Statement {
  const { sessions, marks } = quoted(names)
  const rights = (table: string): string =>
    ['SELECT', 'INSERT', 'UPDATE', 'DELETE']
      .map((right) => `has_table_privilege(to_regclass('${table}'), '${right}')`)
      .join(' AND ')
  return {
    text: `SELECT extract(epoch FROM clock_timestamp())::float8 * 1000,
  current_setting('server_version_num')::int,
  (pg_is_in_recovery() OR current_setting('transaction_read_only')::bool)::int,
  (current_setting('fsync')::bool)::int,
  (current_setting('synchronous_commit') <> 'off')::int,
  found.relpersistence::text,
  obj_description(found.oid, 'pg_class'),
  (${rights(sessions)} AND ${rights(marks)})::int,
  pg_backend_pid()
FROM (SELECT to_regclass('${sessions}') AS oid) AS wanted LEFT JOIN pg_class AS found ON found.oid = wanted.oid`,
  }
}

/** The schema in which the tables were found. */
export function schemaOf(names: TableNames): Statement {
  const { sessions } = quoted(names)
  return {
    text: `SELECT nspname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
      WHERE pg_class.oid = to_regclass('${sessions}')`,
  }
}

export interface Findings {
  readonly now: number
  /** 150006 for 15.6. */
  readonly serverVersion: number
  readonly isReadOnly: boolean
  /** The server waits for its disk. */
  readonly isSynced: boolean
  /** Answers wait for the server to have done so. */
  readonly isAwaited: boolean
  /** `p`ermanent or `u`nlogged; `undefined` where there is no table. */
  readonly persistence: string | undefined
  readonly comment: string | undefined
  readonly mayWrite: boolean
  /** The server process that answered. */
  readonly pid: number
}

export function toFindings(row: readonly unknown[]): Findings {
  const [now, serverVersion, isReadOnly, isSynced, isAwaited, persistence, comment, mayWrite, pid] =
    row
  return {
    now: Number(now),
    serverVersion: Number(serverVersion),
    isReadOnly: Number(isReadOnly) === 1,
    isSynced: Number(isSynced) === 1,
    isAwaited: Number(isAwaited) === 1,
    persistence: persistence === null ? undefined : String(persistence),
    comment: comment === null ? undefined : String(comment),
    mayWrite: Number(mayWrite) === 1,
    pid: Number(pid),
  }
}

/**
 * Why this version cannot work with a table that has this comment. A later version that changes the tables says in the
 * comment from which schema on they can be used: "schema 3, for 1 and later". So old and new processes run together.
 */
export function whyNotOurs(comment: string | undefined, table: string): string | undefined {
  const [, version, oldest = version] =
    /^Sessions of staykept, schema (\d+)(?:, for (\d+) and later)?/.exec(comment ?? '') ?? []
  if (version === undefined) {
    return `the table ${table} does not say that staykept made it: choose another name with the option table; or, if it was restored without comments, COMMENT ON TABLE ${table} IS 'Sessions of staykept, schema ${SCHEMA}'`
  }
  if (Number(oldest) <= SCHEMA) return undefined
  return `the table ${table} was made by a newer staykept (schema ${version}, this one knows ${SCHEMA}): update staykept, or choose another name with the option table`
}

export type Statements = Readonly<Record<StatementName, Statement>>
type StatementName =
  | 'load'
  | 'update'
  | 'touch'
  | 'delete'
  | 'byUser'
  | 'endUser'
  | 'mark'
  | 'marksOf'
  | 'pruneMarks'
  | 'prune'

/** With `isTold`, each change tells the feed of itself: it takes the channel, and the reason of an end, as further values. */
export function statements(names: TableNames, isTold: boolean): Statements {
  const { sessions, marks } = quoted(names)
  const told = (clause: string): string => (isTold ? clause : '')
  const columns = 'key, version, user_id, last_seen_at, expires_at, absolute_expires_at, payload'

  const texts: Record<StatementName, string> = {
    load: `SELECT ${columns} FROM ${sessions} WHERE key = ANY ($1::text[])`,
    // $5 is moved along with last-seen, but for a deadline that is past already.
    update: `UPDATE ${sessions} SET version = $2, user_id = $3,
      last_seen_at = CASE WHEN $5::float8 > $9::float8 THEN greatest(last_seen_at, $4) ELSE $4 END,
      expires_at = CASE WHEN $5::float8 > $9::float8 AND last_seen_at > $4
        THEN least($5::float8 + (last_seen_at - $4), $6) ELSE $5 END,
      absolute_expires_at = $6, payload = $7
      WHERE key = $1 AND version = $8 AND expires_at > $9
      ${told(`RETURNING ${tellSwap('$10', 'key', 'version', '$11::text')}`)}`,
    touch: `UPDATE ${sessions} SET last_seen_at = greatest(last_seen_at, $3),
      expires_at = CASE WHEN last_seen_at < $3 THEN $4 ELSE expires_at END
      WHERE key = $1 AND version = $2 AND expires_at > $5`,
    delete: `DELETE FROM ${sessions} WHERE key = $1
      RETURNING expires_at${told(`, ${tellEnd('$2', 'key', '$3::text')}`)}`,
    byUser: `SELECT ${columns} FROM ${sessions} WHERE user_id = $1 AND expires_at > $2`,
    endUser: `DELETE FROM ${sessions} WHERE user_id = $1 AND expires_at > $2
      AND NOT (key = ANY ($3::text[]))
      RETURNING key${told(`, ${tellEnd('$4', 'key', "'revokeByUser'")}`)}`,
    mark: `INSERT INTO ${marks} AS stored (user_id, mark, expires_at) VALUES ($1, $2, $3)
      ON CONFLICT (user_id) DO UPDATE SET mark = excluded.mark, expires_at = excluded.expires_at
      WHERE stored.expires_at <= excluded.expires_at`,
    marksOf: `SELECT user_id, mark, expires_at FROM ${marks} WHERE user_id = ANY ($1::text[])`,
    pruneMarks: `DELETE FROM ${marks} WHERE user_id = ANY (ARRAY(SELECT user_id FROM ${marks}
      WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)) AND expires_at < $1`,
    // Skips what others hold, so it waits for nobody. It sees pages, not keys: one after the other is how disks read.
    prune: `WITH gone AS (DELETE FROM ${sessions} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${sessions}
        WHERE ctid >= $1::tid AND ctid < $2::tid AND expires_at < $3 LIMIT $4 FOR UPDATE SKIP LOCKED))
        AND expires_at < $3 RETURNING 1)
      SELECT (SELECT count(*) FROM gone)::int,
        (pg_relation_size('${sessions}') / current_setting('block_size')::int)::int`,
  }
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, { name: nameOf(name, text), text }]),
  ) as Statements
}

/** Statements on some sessions at once, made for each number of them when it is first asked for. */
export interface BatchStatements {
  /** Swaps what stands under its version and is held by nobody; answers those keys. Values as in `ROW`. */
  swaps(count: number): Statement
  /** Stores first records; answers the keys that were free. Values as in `ROW`, the expected version unused. */
  creations(count: number): Statement
}

/** The values of one session in a batch: those of its row, the version that it replaces, and the instant. */
const ROW = ['text', 'text', 'text', 'float8', 'float8', 'float8', 'text', 'text', 'float8']
/** With a feed, also the reason of an end; the channel comes behind the rows. */
const TOLD_ROW = [...ROW, 'text']

export function batchStatements(names: TableNames, isTold: boolean): BatchStatements {
  const row = isTold ? TOLD_ROW : ROW
  const { sessions } = quoted(names)
  const columns = 'key, version, user_id, last_seen_at, expires_at, absolute_expires_at, payload'
  const made = (name: string, textOf: (rows: string, channel: string) => string) => {
    const statements = new Map<number, Statement>()
    return function forCount(count: number): Statement {
      let statement = statements.get(count)
      if (statement === undefined) {
        const text = textOf(rowsOf(count, row), `$${count * row.length + 1}`)
        statement = { name: nameOf(name, text), text }
        statements.set(count, statement)
      }
      return statement
    }
  }
  const given = (rows: string) =>
    `(VALUES ${rows}) AS new (${columns}, expected, now${isTold ? ', ends' : ''})`

  return {
    // Takes the locks before it writes, and none that it would have to wait for: so no other batch can be in its way in
    // the wrong order, and one session that is held holds up no other. What was locked is at its place, or not seen.
    swaps: made(
      'swaps',
      (
        rows,
        channel,
      ) => `UPDATE ${sessions} AS stored SET version = new.version, user_id = new.user_id,
        last_seen_at = CASE WHEN new.expires_at > new.now
          THEN greatest(stored.last_seen_at, new.last_seen_at) ELSE new.last_seen_at END,
        expires_at = CASE WHEN new.expires_at > new.now AND stored.last_seen_at > new.last_seen_at
          THEN least(new.expires_at + (stored.last_seen_at - new.last_seen_at), new.absolute_expires_at)
          ELSE new.expires_at END,
        absolute_expires_at = new.absolute_expires_at, payload = new.payload
        FROM (SELECT held.ctid AS place, new.* FROM ${given(rows)} JOIN ${sessions} AS held
          ON held.key = new.key AND held.version = new.expected AND held.expires_at > new.now
          FOR UPDATE OF held SKIP LOCKED) AS new
        WHERE stored.ctid = new.place
        RETURNING stored.key${isTold ? `, ${tellSwap(channel, 'stored.key', 'stored.version', 'new.ends')}` : ''}`,
    ),
    creations: made(
      'creations',
      (rows, channel) => `WITH new AS (SELECT * FROM ${given(rows)} WHERE key IS NOT NULL)
        INSERT INTO ${sessions} AS stored (${columns}) SELECT ${columns} FROM new
        ON CONFLICT (key) DO UPDATE SET version = excluded.version, user_id = excluded.user_id,
          last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at,
          absolute_expires_at = excluded.absolute_expires_at, payload = excluded.payload
        WHERE stored.expires_at <= (SELECT now FROM new WHERE new.key = excluded.key)
        RETURNING key${isTold ? `, ${tellSwap(channel, 'stored.key', 'stored.version', 'NULL')}` : ''}`,
    ),
  }
}

/** `($1::text, $2::text, …), ($10, $11, …)`: the first row says the types. */
function rowsOf(count: number, types: readonly string[]): string {
  const row = (index: number): string =>
    types
      .map((type, at) => `$${index * types.length + at + 1}${index === 0 ? `::${type}` : ''}`)
      .join(', ')
  return Array.from({ length: count }, (_, index) => `(${row(index)})`).join(', ')
}

/** One name for one text, also where stores with other tables share the pool. PostgreSQL cuts names at 63 bytes. */
function nameOf(name: string, text: string): string {
  return `staykept_${name}_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
}

/** An array of text as PostgreSQL reads it: clients have different ways with arrays, and all of them pass on a text. */
export function toArray(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
