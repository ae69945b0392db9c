import type { StoreConcern } from '../../core/store.js'
import { type Findings, whyNotOurs } from './tables.js'

const OLDEST = 140_000

/** What an operator has to know of the database. */
export function concernsOf(
  found: Findings,
  { sessions, marks, unlogged }: { sessions: string; marks: string; unlogged: boolean },
): readonly StoreConcern[] {
  const concerns: StoreConcern[] = []
  const say = (code: StoreConcern['code'], message: string): void => {
    concerns.push({ code, message })
  }
  if (found.serverVersion < OLDEST) {
    say(
      'WARN_SESSION_STORE_VERSION',
      `PostgreSQL ${Math.floor(found.serverVersion / 10_000)} is too old: without 14 or later, each prune reads the whole table; update the server`,
    )
  }
  if (found.isReadOnly) {
    say(
      'WARN_SESSION_READ_ONLY',
      'PostgreSQL takes no changes here, as a standby or a read-only database, so no session can be stored: let the pool connect to the primary, or turn default_transaction_read_only off',
    )
  }
  if (found.persistence === undefined) return concerns
  const notOurs = whyNotOurs(found.comment, sessions)
  if (notOurs !== undefined) say('WARN_SESSION_STORE_VERSION', notOurs)
  else if (!found.mayWrite) {
    say(
      'WARN_SESSION_PERMISSION',
      `PostgreSQL does not let this role use the tables of the sessions: GRANT SELECT, INSERT, UPDATE, DELETE ON ${sessions}, ${marks}`,
    )
  }
  const risk = riskOf(found, sessions, unlogged)
  if (risk !== undefined) say('WARN_SESSION_NO_PERSISTENCE', risk)
  return concerns
}

function riskOf(found: Findings, sessions: string, unlogged: boolean): string | undefined {
  if (!found.isSynced) {
    return 'fsync is off, so a power cut can destroy the whole database: turn it on in postgresql.conf'
  }
  if (found.persistence === 'u' && !unlogged) {
    return `the table ${sessions} is unlogged, so a crash of the server ends every session: ALTER TABLE ${sessions} SET LOGGED, or say unlogged: true`
  }
  if (!found.isAwaited) {
    return 'synchronous_commit is off, so a crash of the server takes the sessions and sign-outs of its last moments: turn it on for this role'
  }
  return undefined
}
