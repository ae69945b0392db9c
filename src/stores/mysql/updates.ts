import { storeError } from '../../core/errors.js'
import type { StoreKey } from '../../core/store.js'
import type { Row } from '../sql/rows.js'
import type { Answer, Statement, Value } from './statement.js'
import { type Change, createTogether } from './together.js'
import { isMismatch, isTooLarge } from './trouble.js'

/** A swap of one record for another. */
export interface Update extends Change {
  readonly expected: string
  readonly now: number
  readonly version: string
  readonly user: Value
  readonly seen: number
  /** The deadline, if last-seen is not later already. */
  readonly ends: number
  /** With a stored last-seen later than this the deadline goes along, by `span`. */
  readonly movesAfter: number
  readonly span: number
  readonly absolute: number
}

export interface UpdatesOptions {
  /** The table, quoted. */
  readonly sessions: string
  change(statement: Statement, values: readonly Value[]): Promise<Answer>
  readRow(key: StoreKey): Promise<Row | undefined>
}

/**
 * Answers whether the update was done; if not, nothing was changed. Several in one statement are all or nothing: where one
 * of the records that are there does not fit, the statement fails and was undone, and each goes alone.
 */
export function createUpdates(options: UpdatesOptions): (update: Update) => Promise<boolean> {
  const { sessions, change, readRow } = options
  const prepared = new Map<number, Statement>()
  const one: Statement = { text: textForOne(sessions), isPrepared: true }

  function statementFor(room: number): Statement {
    let statement = prepared.get(room)
    if (statement === undefined) {
      statement = { text: textFor(sessions, room), isPrepared: true }
      prepared.set(room, statement)
    }
    return statement
  }

  /** All that were there were updated, the others were not there. */
  async function whichWereDone(
    updates: readonly Update[],
    count: number,
  ): Promise<readonly boolean[]> {
    const rows = await Promise.all(updates.map(({ key }) => readRow(key))).catch(() => [])
    const done = updates.map(({ version }, index) => rows[index]?.[1] === version)
    if (done.filter(Boolean).length === count) return done
    throw storeError(
      'some of the sessions that were stored together had ended, and before it could be told which, others were changed',
      { executed: 'unknown' },
    )
  }

  return createTogether({
    async alone(update) {
      return (await change(one, valuesForOne(update))).count === 1
    },

    async together(updates) {
      try {
        const { count } = await change(statementFor(updates.length), valuesFor(updates))
        return count === updates.length
          ? updates.map(() => true)
          : await whichWereDone(updates, count)
      } catch (error) {
        if (isMismatch(error) || isTooLarge(error)) return undefined
        throw error
      }
    },
  })
}

interface Part {
  readonly text: string
  values(update: Update): readonly Value[]
}

/** MySQL evaluates an assignment with the new values of those before it: the deadline is the same by either last-seen. */
const ASSIGNMENTS: readonly (Part & { readonly column: string })[] = [
  { column: 'version', text: '?', values: ({ version }) => [version] },
  { column: 'user_id', text: '?', values: ({ user }) => [user] },
  {
    column: 'expires_at',
    text: 'IF(last_seen_at > ?, LEAST(last_seen_at + ?, ?), ?)',
    values: ({ movesAfter, span, absolute, ends }) => [movesAfter, span, absolute, ends],
  },
  {
    column: 'last_seen_at',
    text: 'IF(last_seen_at > ?, last_seen_at, ?)',
    values: ({ movesAfter, seen }) => [movesAfter, seen],
  },
  { column: 'absolute_expires_at', text: '?', values: ({ absolute }) => [absolute] },
  { column: 'payload', text: '?', values: ({ payload }) => [payload] },
]

const FITS: Part = {
  text: 'version = ? AND expires_at > ?',
  values: ({ expected, now }) => [expected, now],
}

function textForOne(sessions: string): string {
  const set = ASSIGNMENTS.map(({ column, text }) => `${column} = ${text}`)
  return `UPDATE ${sessions} SET ${set.join(', ')} WHERE session_key = ? AND ${FITS.text}`
}

function valuesForOne(update: Update): readonly Value[] {
  return [
    ...ASSIGNMENTS.flatMap(({ values }) => values(update)),
    ...[update.key, ...FITS.values(update)],
  ]
}

/**
 * For `room` records, each value by its key. EXP of such a number is out of range: an error, whatever the server's mode,
 * that undoes the whole statement. Without the index by name, a small table would be read, and locked, as a whole.
 */
function textFor(sessions: string, room: number): string {
  const byKey = ({ text }: Part): string =>
    `CASE session_key ${`WHEN ? THEN ${text} `.repeat(room)}END`
  const set = ASSIGNMENTS.map((part) => `${part.column} = ${byKey(part)}`)
  const keys = Array(room).fill('?').join(', ')
  return `UPDATE ${sessions} FORCE INDEX (by_key) SET ${set.join(', ')}
    WHERE session_key IN (${keys}) AND IF((${byKey(FITS)}) = 0, EXP(1000 + expires_at), 1)`
}

function valuesFor(updates: readonly Update[]): readonly Value[] {
  const byKey = ({ values }: Part): readonly Value[] =>
    updates.flatMap((update) => [update.key, ...values(update)])
  return [...ASSIGNMENTS.flatMap(byKey), ...updates.map(({ key }) => key), ...byKey(FITS)]
}
