import { assertHandle } from './handle.js'

/** Throws a `TypeError` for a wrong option. */
export function assertOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError("sqliteStore takes an object: sqliteStore({ filename: 'sessions.db' })")
  }
  const { filename, database, table, synchronous, busyTimeout, ...others } = options as Given
  for (const name of Object.keys(others)) {
    throw mistake(`has no option "${name}": it takes filename or database, ${COMMON}`)
  }
  if ((filename === undefined) === (database === undefined)) {
    throw mistake(
      "takes either a path, sqliteStore({ filename: 'sessions.db' }), or an open handle, sqliteStore({ database })",
    )
  }
  if (database !== undefined) assertHandle(database)
  else if (typeof filename !== 'string' || /^$|^(file|https?|libsql):/i.test(filename)) {
    throw mistake(`needs a path as filename, such as 'sessions.db', not '${String(filename)}'`)
  }
  if (table !== undefined && !/^(?!sqlite_)[a-z_][a-z0-9_]{0,62}$/i.test(String(table))) {
    throw mistake(
      `needs a name of 1 to 63 letters, digits and _ as table, not '${String(table)}'; it cannot begin with a digit or sqlite_`,
    )
  }
  if (synchronous !== undefined && database !== undefined) {
    throw mistake('sets synchronous with filename only: run PRAGMA synchronous on your handle')
  }
  if (synchronous !== undefined && synchronous !== 'normal' && synchronous !== 'full') {
    throw mistake(`needs 'normal' or 'full' as synchronous, not '${String(synchronous)}'`)
  }
  if (busyTimeout !== undefined && !(Number.isFinite(busyTimeout) && Number(busyTimeout) >= 0)) {
    throw mistake(`needs milliseconds as busyTimeout, such as 800, not '${String(busyTimeout)}'`)
  }
}

type Given = Readonly<Record<string, unknown>>

const COMMON = 'table, synchronous and busyTimeout'

function mistake(sentence: string): TypeError {
  return new TypeError(`sqliteStore ${sentence}`)
}
