import type { StoreKey } from './store.js'
import type { StoreCall } from './store-calls.js'

/**
 * Sessions that someone ended while the store did not confirm it. This process refuses them at once and goes on asking
 * the store until it confirms.
 */
export interface Tombstones {
  has(id: StoreKey): boolean
  /** Refuses `id` from now on, and deletes it as soon as the store lets us. */
  add(id: StoreKey): void
  /** Asks the store now, for so many milliseconds. Never fails: what is not confirmed stays to be asked again. */
  attempt(id: StoreKey, milliseconds?: number): Promise<void>
  /** Stops trying. */
  close(): void
}

export interface TombstonesOptions {
  readonly callStore: StoreCall
  readonly storeBudget: number
  readonly now: () => number
}

const MAX_TOMBSTONES = 10_000
const FIRST_RETRY = 500
const LONGEST_RETRY = 30_000

export function createTombstones(options: TombstonesOptions): Tombstones {
  const { callStore, storeBudget, now } = options
  const graves = new Map<StoreKey, { timer?: ReturnType<typeof setTimeout> }>()

  async function retry(id: StoreKey, delay: number, milliseconds: number): Promise<void> {
    if (!graves.has(id)) return
    try {
      await callStore('delete', milliseconds, (store) => store.delete(id, now()))
      graves.delete(id)
    } catch {
      schedule(id, Math.min(delay * 2, LONGEST_RETRY))
    }
  }

  function schedule(id: StoreKey, delay: number): void {
    const grave = graves.get(id)
    if (grave === undefined) return
    const jittered = delay * (0.75 + Math.random() / 2)
    grave.timer = setTimeout(() => void retry(id, delay, storeBudget), jittered)
    grave.timer.unref()
  }

  return {
    has: (id) => graves.size > 0 && graves.has(id),
    add(id) {
      if (graves.has(id)) return
      const oldest = graves.size >= MAX_TOMBSTONES ? graves.keys().next() : undefined
      if (oldest?.done === false) {
        clearTimeout(graves.get(oldest.value)?.timer)
        graves.delete(oldest.value)
      }
      graves.set(id, {})
      schedule(id, FIRST_RETRY)
    },
    async attempt(id, milliseconds = storeBudget) {
      clearTimeout(graves.get(id)?.timer)
      await retry(id, FIRST_RETRY, milliseconds)
    },
    close() {
      for (const { timer } of graves.values()) clearTimeout(timer)
      graves.clear()
    },
  }
}
