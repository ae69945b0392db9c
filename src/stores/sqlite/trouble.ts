import { storeError } from '../../core/errors.js'

/** What SQLite or the file system said, as one sentence with what to do about it. Anything else is returned as it is. */
export function explain(error: unknown, place: string): unknown {
  const kind = kindOf(error)
  const told = TROUBLES[kind]
  if (told === undefined) return error
  // An I/O error while committing leaves open whether the change is found again after a crash.
  const executed = kind === 'FULL' ? 'full' : kind === 'IOERR' ? 'unknown' : 'no'
  return storeError(`${place} ${told}`, { cause: error, executed })
}

/** Whether the file was locked. Nothing was executed then, or it was undone. */
export function isBusy(error: unknown): boolean {
  const kind = kindOf(error)
  return kind === 'BUSY' || kind === 'LOCKED'
}

/** An error that counts as a locked file. */
export function busy(message: string): Error {
  return Object.assign(new Error(message), { code: 'SQLITE_BUSY' })
}

/**
 * node:sqlite and libsql give SQLite's number, with details in the upper bits, better-sqlite3 its name. Where libsql
 * cannot open a file, the number stands at the end of its message only.
 */
function kindOf(error: unknown): string {
  const { code, errcode, rawCode, message } = (error ?? {}) as Partial<Record<string, unknown>>
  const number = errcode ?? rawCode ?? /^ConnectionFailed.*: (\d+)"\)$/.exec(String(message))?.[1]
  if (number !== undefined) return NUMBERS[Number(number) & 0xff] ?? ''
  if (typeof code !== 'string') return ''
  return FILE_SYSTEM[code] ?? /^SQLITE_([A-Z]+)/.exec(code)?.[1] ?? ''
}

const LOCKED =
  'is locked: end the transaction that holds it (a backup, a VACUUM, an open shell), or raise busyTimeout'

const TROUBLES: Readonly<Record<string, string>> = {
  BUSY: LOCKED,
  LOCKED,
  READONLY:
    'cannot be written: let this process write to the file and to its directory, where SQLite keeps its -wal and -shm files',
  CANTOPEN: 'cannot be opened: name a file in a directory that this process may write to',
  FULL: 'has no room left: free space on its disk. Nothing was changed; it goes on by itself',
  NOTADB: 'is not a SQLite database: choose another filename, or move that file away',
  CORRUPT: 'is damaged: restore it from a backup, or move it away to begin without sessions',
  IOERR: 'could not be read or written: look at its disk',
}

/** https://www.sqlite.org/rescode.html */
const NUMBERS: Readonly<Record<number, string>> = {
  5: 'BUSY',
  6: 'LOCKED',
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  14: 'CANTOPEN',
  26: 'NOTADB',
}

const FILE_SYSTEM: Readonly<Record<string, string>> = {
  EACCES: 'READONLY',
  EPERM: 'READONLY',
  EROFS: 'READONLY',
  ENOSPC: 'FULL',
  EDQUOT: 'FULL',
  EEXIST: 'CANTOPEN',
  ENOENT: 'CANTOPEN',
  ENOTDIR: 'CANTOPEN',
  EIO: 'IOERR',
}
