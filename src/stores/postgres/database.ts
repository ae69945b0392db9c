import { storeError } from '../../core/errors.js'
import type { PingResult } from '../../core/store.js'
import { concernsOf } from './concerns.js'
import type { Answer, Client, Statement, Value } from './statement.js'
import {
  creation,
  type Findings,
  inspection,
  quoted,
  type TableNames,
  toFindings,
  whyNotOurs,
} from './tables.js'
import {
  explain,
  isAboutSetUp,
  isDeadlock,
  isDenied,
  isLostStatement,
  isMissingTable,
  mayRepeat,
} from './trouble.js'

/** A database with the tables of the sessions in it. */
export interface Database {
  /** Sends a statement that changes nothing; once more where its connection broke. */
  read(statement: Statement, values: readonly Value[]): Promise<Answer>
  /** Sends a change; once more only where it surely was not executed. */
  change(statement: Statement, values: readonly Value[]): Promise<Answer>
  /** An error of a connection on which nothing was changed, in words. */
  explain(error: unknown): Error
  ping(): Promise<PingResult>
  close(): void
}

export interface DatabaseOptions {
  readonly names: TableNames
  readonly timeout: number
  readonly createTable: boolean
  /** Whether statements are kept prepared; `undefined` where that is to be found out. */
  readonly prepare: boolean | undefined
  readonly unlogged: boolean
}

export function createDatabase(client: Client, options: DatabaseOptions): Database {
  const { names, timeout, createTable, unlogged } = options
  const { sessions, marks } = quoted(names)
  const inspect = inspection(names)
  let isPrepared = options.prepare ?? true
  let isClosed = false
  /** The tables are there and ours, or this is being found out. */
  let isReady = false
  let readying: Promise<void> | undefined

  function ready(): Promise<void> {
    readying ??= setUp().finally(() => {
      readying = undefined
    })
    return readying
  }

  async function setUp(): Promise<void> {
    let found = await look()
    if (found.persistence === undefined) {
      await create()
      found = await look()
    }
    const notOurs = whyNotOurs(found.comment, sessions)
    if (notOurs !== undefined) throw storeError(notOurs, { executed: 'no' })
    isReady = true
  }

  async function create(): Promise<void> {
    let cause: unknown
    try {
      if (createTable) return void (await ask(creation(names, unlogged), [], false))
    } catch (error) {
      if (!isDenied(error)) throw error
      cause = (error as Error).cause
    }
    throw storeError(
      `PostgreSQL has no table ${sessions}${createTable ? ', and does not let this role make it' : ''}: run docs/sql/postgres.sql of staykept, or what postgresSchema() answers, as a role that may${createTable ? '' : '; or set createTable: true'}`,
      { cause, executed: 'no' },
    )
  }

  async function look(): Promise<Findings> {
    const { rows, pid } = await ask(inspect, [], true)
    const found = toFindings(rows[0] ?? [])
    // A pooler hands out process numbers of its own. Behind it connections change hands, and with them what is prepared.
    if (options.prepare === undefined && pid !== undefined && pid !== found.pid) isPrepared = false
    return found
  }

  async function ask(
    statement: Statement,
    values: readonly Value[],
    isRead: boolean,
  ): Promise<Answer> {
    if (isClosed) throw storeError('the store was closed', { executed: 'no' })
    const plain = { text: statement.text }
    let answer = await client.send(isPrepared ? statement : plain, values)
    if ('error' in answer && mayRepeat(answer, isRead)) {
      // Connections change hands behind a pooler that was not noticed: nothing can be kept prepared there.
      if (isLostStatement(answer.error)) isPrepared = false
      // Whoever met it needs a moment, or it is met again.
      if (isDeadlock(answer.error)) await pause(10 + Math.random() * 40)
      if (isMissingTable(answer.error)) {
        isReady = false
        await ready()
      }
      answer = await client.send(plain, values)
    }
    if ('error' in answer) throw explain(answer, { isRead, timeout, sessions, marks })
    return answer
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

    explain: (error) =>
      explain({ error, isSent: false }, { isRead: true, timeout, sessions, marks }),

    async ping() {
      let found: Findings | undefined
      try {
        found = await look()
        if (found.persistence === undefined && !found.isReadOnly) {
          await create()
          found = await look()
        }
      } catch (error) {
        // It answers, and that is what was asked.
        if (isClosed || !isAboutSetUp(error)) throw error
        const { message } = error as Error
        return { now: found?.now, concerns: [{ code: 'WARN_SESSION_PERMISSION', message }] }
      }
      return { now: found.now, concerns: concernsOf(found, { sessions, marks, unlogged }) }
    },

    close() {
      isClosed = true
    },
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
