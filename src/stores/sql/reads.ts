import type { StoreKey } from '../../core/store.js'
import type { Row } from './rows.js'

/** How many statements may be under way before further reads wait for the next one. */
const LANES = 2
/** A longer list of keys would keep its connection for too long. */
const MOST_KEYS = 500

interface Read {
  readonly key: StoreKey
  readonly resolve: (row: Row | undefined) => void
  readonly reject: (error: unknown) => void
}

/**
 * Reads that come in the same turn of the event loop, or while `LANES` others are under way, go out as one statement: of
 * what a small read costs, the most is the trip. None joins a statement that was already sent: that would show a request
 * a session as it was before the request began. A `fetch` that never settles would hold up all that come after it.
 */
export function createReads(
  fetch: (keys: readonly StoreKey[]) => PromiseLike<readonly Row[]>,
): (key: StoreKey) => Promise<Row | undefined> {
  const waiting: Read[] = []
  let isScheduled = false
  let underWay = 0

  function schedule(): void {
    if (isScheduled || underWay >= LANES) return
    isScheduled = true
    // After the sockets that have something to read were read: their requests come along.
    setImmediate(send)
  }

  function send(): void {
    isScheduled = false
    const reads = waiting.splice(0, MOST_KEYS)
    underWay += 1
    const done = (): void => {
      underWay -= 1
      if (waiting.length > 0) schedule()
    }
    fetch(reads.map(({ key }) => key)).then(
      (rows) => {
        const found = new Map(rows.map((row) => [row[0], row]))
        for (const { key, resolve } of reads) resolve(found.get(key))
        done()
      },
      (error: unknown) => {
        for (const { reject } of reads) reject(error)
        done()
      },
    )
    if (waiting.length > 0) schedule()
  }

  return function read(key) {
    return new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject })
      schedule()
    })
  }
}
