import { isSessionError } from '../../core/errors.js'
import type { EndReason, MaybePromise, SessionRecord, StoreKey } from '../../core/store.js'
import { createBatches } from '../sql/batches.js'
import { toRow } from '../sql/rows.js'
import type { Database } from './database.js'
import type { Statement, Value } from './statement.js'
import { isOfOneRow } from './trouble.js'

export interface Change {
  readonly key: StoreKey
  readonly record: SessionRecord
  readonly expected: string | null
  readonly now: number
  /** For the feed. */
  readonly ends?: EndReason | undefined
}

const MOST = 32
/** Characters of payload in one statement. */
const MOST_TEXT = 1_000_000

/**
 * Changes of one moment as one statement, each answered whether it was made. One commit for all of them is one wait for
 * the disk, too. They share their end: if nobody knows what became of the statement, nobody knows of any of them.
 */
export function createChanges(
  { change }: Pick<Database, 'change'>,
  statementFor: (count: number) => Statement,
  /** That of the feed, where there is one. */
  channel: (() => MaybePromise<string>) | undefined,
): (change: Change) => Promise<boolean> {
  async function made(changes: readonly Change[]): Promise<ReadonlySet<unknown>> {
    // Few different statements: the rest is filled with rows that no key is equal to.
    const count = 2 ** Math.ceil(Math.log2(changes.length))
    const rowsOfValues = changes.map((one) => toValues(one, channel !== undefined))
    const values = rowsOfValues.flat()
    const wanted = count * (rowsOfValues[0] as Value[]).length
    while (values.length < wanted) values.push(null)
    if (channel !== undefined) values.push(await channel())
    const { rows } = await change(statementFor(count), values)
    return new Set(rows.map(([key]) => key))
  }

  return createBatches<Change, boolean>({
    most: MOST,
    joins(batch, { key, record }) {
      let length = record.payload.length
      for (const other of batch) {
        // Of two changes of one session, the second may be judged by the first.
        if (other.key === key) return false
        length += other.record.payload.length
      }
      return length <= MOST_TEXT
    },
    async send(changes) {
      try {
        const keys = await made(changes)
        return changes.map(({ key }) => keys.has(key))
      } catch (error) {
        if (changes.length === 1 || !isSessionError(error) || !isOfOneRow(error.cause)) throw error
        // All of it was undone for something that is wrong with one of them.
        return changes.map(async (one) => (await made([one])).has(one.key))
      }
    },
  })
}

function toValues({ key, record, expected, now, ends }: Change, isTold: boolean): Value[] {
  const values = [...toRow(key, record), expected, now]
  return isTold ? [...values, ends ?? null] : values
}
