import type { Answer, Statement, Value } from './statement.js'
import { type Change, createTogether } from './together.js'
import { isDuplicate, isTooLarge } from './trouble.js'

/** A record that is to be the first under its key. */
export interface Insert extends Change {
  /** In the order of the columns. */
  readonly values: readonly Value[]
}

export interface InsertsOptions {
  /** Makes so many records. */
  create(count: number): Statement
  change(statement: Statement, values: readonly Value[]): Promise<Answer>
}

/**
 * Answers whether the record was inserted; if not, its key was there and nothing was changed. Several in one statement are
 * all or nothing: where one key is there already, the statement fails and was undone, and each goes alone.
 */
export function createInserts({
  create,
  change,
}: InsertsOptions): (insert: Insert) => Promise<boolean> {
  async function insert(all: readonly Insert[]): Promise<void> {
    await change(
      create(all.length),
      all.flatMap(({ values }) => values),
    )
  }

  return createTogether({
    async alone(one) {
      try {
        await insert([one])
        return true
      } catch (error) {
        if (isDuplicate(error)) return false
        throw error
      }
    },

    async together(all) {
      try {
        await insert(all)
        return all.map(() => true)
      } catch (error) {
        if (isDuplicate(error) || isTooLarge(error)) return undefined
        throw error
      }
    },
  })
}
