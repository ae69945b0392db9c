import { storeError } from '../../core/errors.js'
import type { PingResult, StoreConcern } from '../../core/store.js'
import { assertUsable, concernOf, concernsOf, trials } from './concerns.js'
import type { Answer, Client, Statement, Value } from './statement.js'
import {
  creation,
  type Findings,
  inspection,
  once,
  quoted,
  toFindings,
  whyNotOurs,
} from './tables.js'
import { explain, isForbidden, isMeeting, isMissingTable, mayRepeat } from './trouble.js'

/** A database with the tables of the sessions in it. */
export interface Database {
  /** Sends a statement that changes nothing. */
  read(statement: Statement, values: readonly Value[]): Promise<Answer>
  /** Sends a change; once more only where it surely was not executed. */
  change(statement: Statement, values: readonly Value[]): Promise<Answer>
  ping(): Promise<PingResult>
  close(): void
}

export interface DatabaseOptions {
  readonly table: string
  readonly timeout: number
  readonly createTable: boolean
}

export function createDatabase(client: Client, options: DatabaseOptions): Database {
  const { table, timeout, createTable } = options
  const call = { timeout, ...quoted(table) }
  const inspect = inspection(table)
  let isClosed = false
  /** The tables are there and ours, or this is being found out. */
  let isReady = false
  let readying: Promise<void> | undefined
  /** A statement found one of the tables missing: the other may still be there. */
  let wasMissing = false
  /** What the last trial showed, and for how long that counts. */
  let refused: readonly StoreConcern[] = []
  let triedUntil = 0

  function ready(): Promise<void> {
    readying ??= setUp().finally(() => {
      readying = undefined
    })
    return readying
  }

  async function setUp(): Promise<void> {
    let found = await look()
    assertUsable(found)
    if (found.engine === undefined || wasMissing) {
      await create()
      found = await look()
    }
    const notOurs = whyNotOurs(found.comment, call.sessions)
    if (notOurs !== undefined) throw storeError(notOurs, { executed: 'no' })
    wasMissing = false
    isReady = true
  }

  async function create(): Promise<void> {
    let cause: unknown
    try {
      if (createTable) {
        for (const text of creation(table)) await ask(once(text), [], false)
        return
      }
    } catch (error) {
      if (!isForbidden(error)) throw error
      cause = (error as Error).cause
    }
    throw storeError(
      `MySQL shows this user no table ${call.sessions}${createTable ? ' and does not let it make one' : ''}: run docs/sql/mysql.sql of staykept, or what mysqlSchema() answers, as a user who may, and GRANT SELECT, INSERT, UPDATE, DELETE ON both tables${createTable ? '' : '; or set createTable: true'}`,
      { cause, executed: 'no' },
    )
  }

  async function look(): Promise<Findings> {
    try {
      const { rows } = await ask(inspect, [], true)
      return toFindings(rows[0] ?? [])
    } catch (error) {
      // After an outage there may be another server.
      triedUntil = 0
      throw error
    }
  }

  async function ask(
    statement: Statement,
    values: readonly Value[],
    isRead: boolean,
  ): Promise<Answer> {
    if (isClosed) throw storeError('the store was closed', { executed: 'no' })
    const started = performance.now()
    let answer = await client.send(statement, values)
    // What has waited for long already will not be waited for again.
    const isSoon = performance.now() - started < timeout / 2
    if ('error' in answer && isSoon && mayRepeat(answer.error)) {
      // Whoever met it needs a moment, or it is met again.
      if (isMeeting(answer.error)) await pause(10 + Math.random() * 40)
      if (isMissingTable(answer.error)) {
        isReady = false
        wasMissing = true
        await ready()
      }
      answer = await client.send(statement, values)
    }
    if ('error' in answer) throw explain(answer, { isRead, ...call })
    return answer
  }

  /** Whether this user may do here what sessions need. */
  async function tryOut(): Promise<readonly StoreConcern[]> {
    try {
      if (!isReady) await ready()
      for (const trial of trials(call)) await ask(trial, [], false)
      return []
    } catch (error) {
      return [concernOf(error)]
    }
  }

  return {
    async read(statement, values) {
      if (!isReady) await ready()
      return ask(statement, values, true)
    },

    async change(statement, values) {
      if (!isReady) await ready()
      return ask(statement, values, false)
    },

    async ping() {
      const found = await look()
      const concerns = concernsOf(found, call.sessions)
      // What is of the wrong version is not tried out.
      if (concerns.some(({ code }) => code === 'WARN_SESSION_STORE_VERSION')) {
        return { now: found.now, concerns }
      }
      if (performance.now() > triedUntil) {
        refused = await tryOut()
        triedUntil = performance.now() + KEPT
      }
      return { now: found.now, concerns: [...concerns, ...refused] }
    },

    close() {
      isClosed = true
    },
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** How long ping trusts what it has tried out, in milliseconds. */
const KEPT = 60_000
