import { storeError } from '../../core/errors.js'
import type { StoreConcern } from '../../core/store.js'
import type { Statement } from './statement.js'
import { type Findings, once, whyNotOurs } from './tables.js'
import { isForbidden, isReadOnly } from './trouble.js'

/** What is wrong with the set-up of the server, as far as it can be seen without trying. */
export function concernsOf(found: Findings, sessions: string): readonly StoreConcern[] {
  const { version, flushes, engine, comment } = found
  const concerns: StoreConcern[] = []
  const say = (code: StoreConcern['code'], message: string): void => {
    concerns.push({ code, message })
  }
  if (isOld(version)) {
    say(
      'WARN_SESSION_STORE_VERSION',
      `the server is ${version}, and sessions need MySQL 8 or MariaDB 10.6, or later: update it`,
    )
  }
  if (flushes !== 1) {
    const what = flushes === 2 ? 'a power cut' : 'a crash of the server or a power cut'
    say(
      'WARN_SESSION_NO_PERSISTENCE',
      `innodb_flush_log_at_trx_commit is ${flushes}, so ${what} may take the sessions and sign-outs of the last second: set it to 1`,
    )
  }
  if (engine === undefined) return concerns
  const notOurs = whyNotOurs(comment, sessions)
  if (notOurs !== undefined) say('WARN_SESSION_STORE_VERSION', notOurs)
  else if (VOLATILE.test(engine)) {
    say(
      'WARN_SESSION_NO_PERSISTENCE',
      `the table ${sessions} is kept by ${engine}, which loses or damages it in a crash, and locks all of it for each change: ALTER TABLE ${sessions} ENGINE = InnoDB`,
    )
  }
  return concerns
}

/** Statements that do nothing, and are refused where the server would refuse the real ones. */
export function trials({
  sessions,
  marks,
}: {
  sessions: string
  marks: string
}): readonly Statement[] {
  return [
    `UPDATE ${sessions} SET version = version WHERE id = 0`,
    `DELETE FROM ${sessions} WHERE id = 0`,
    `INSERT INTO ${sessions} SELECT * FROM ${sessions} WHERE id = 0`,
    `UPDATE ${marks} SET mark = mark WHERE user_id = ''`,
  ].map(once)
}

/** What is wrong where a trial failed. Throws what says nothing of the set-up. */
export function concernOf(error: unknown): StoreConcern {
  const message = error instanceof Error ? error.message : String(error)
  if (isReadOnly(error)) return { code: 'WARN_SESSION_READ_ONLY', message }
  if (isForbidden(error)) return { code: 'WARN_SESSION_PERMISSION', message }
  throw error
}

/** Throws where sessions would be lost, or could not be kept at all. */
export function assertUsable({ database, isCommitting }: Findings): void {
  if (database === undefined) {
    throw storeError('the pool names no database: add database to its options', { executed: 'no' })
  }
  if (!isCommitting) {
    throw storeError(
      'autocommit is off for the connections of the pool, so that nothing would be stored: leave it on (look at init_connect and at what the pool runs on a new connection)',
      { executed: 'no' },
    )
  }
}

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number.parseFloat)
  return /MariaDB/i.test(version) ? major < 10 || (major === 10 && minor < 6) : major < 8
}

const VOLATILE = /^(MyISAM|Aria|MEMORY|CSV|ARCHIVE|BLACKHOLE)$/i
