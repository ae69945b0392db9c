import type { StoreKey } from '../../core/store.js'
import { createBatches } from './batches.js'
import type { Row } from './rows.js'

const MOST_KEYS = 500

/**
 * Reads of one moment as one statement. None is answered by a statement that was sent before it was asked: that would
 * show a request a session as it was before the request began.
 */
export function createReads(
  fetch: (keys: readonly StoreKey[]) => PromiseLike<readonly Row[]>,
): (key: StoreKey) => Promise<Row | undefined> {
  return createBatches({
    most: MOST_KEYS,
    async send(keys: readonly StoreKey[]) {
      const found = new Map((await fetch(keys)).map((row) => [row[0], row]))
      return keys.map((key) => found.get(key))
    },
  })
}
