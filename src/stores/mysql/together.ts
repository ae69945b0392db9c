import type { StoreKey } from '../../core/store.js'
import { createBatches } from '../sql/batches.js'

export interface Change {
  readonly key: StoreKey
  readonly payload: Buffer
}

export interface TogetherOptions<One extends Change, Result> {
  alone(one: One): Promise<Result>
  /** All in one statement: the answers in their order, or `undefined` where none was executed and each has to go alone. */
  together(all: readonly One[]): Promise<readonly Result[] | undefined>
}

/** More would make a statement long, and hold up many for one that does not fit. */
const MOST = 16
const MOST_BYTES = 256 * 1024

/**
 * Changes of one moment, two, four, eight or sixteen in a statement, so that few have to be prepared. None waits for the
 * statement of others: a session that somebody has locked would hold up all.
 */
export function createTogether<One extends Change, Result>({
  alone,
  together,
}: TogetherOptions<One, Result>): (one: One) => Promise<Result> {
  function sent(group: readonly One[]): readonly Promise<Result>[] {
    const [first, ...others] = group
    if (first !== undefined && others.length === 0) return [alone(first)]
    const results = together(group)
    return group.map(async (one, index) => {
      const all = await results
      return all === undefined ? alone(one) : (all[index] as Result)
    })
  }

  return createBatches<One, Result>({
    most: MOST,
    joins(batch, { key, payload }) {
      let bytes = payload.length
      for (const other of batch) {
        // Of two changes of one session, the first would decide for both.
        if (other.key === key) return false
        bytes += other.payload.length
      }
      return bytes <= MOST_BYTES
    },
    send: async (all) => inPowersOfTwo(all).flatMap(sent),
  })
}

function inPowersOfTwo<T>(all: readonly T[]): readonly (readonly T[])[] {
  const parts: T[][] = []
  for (let from = 0; from < all.length; from += parts.at(-1)?.length ?? 0) {
    const size = 2 ** Math.floor(Math.log2(all.length - from))
    parts.push(all.slice(from, from + size))
  }
  return parts
}
