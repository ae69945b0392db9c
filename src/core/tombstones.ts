import { readRecord } from './record.js'
import type { StoreKey } from './store.js'
import type { StoreCall } from './store-calls.js'

/**
 * Sessions that someone ended while the store did not confirm it. This process refuses them at once and goes on asking
 * the store until it confirms.
 */
export interface Tombstones {
  /** Whether the cookie with this secret is refused. */
  has(id: StoreKey, secretHash?: string): boolean
  /**
   * Refuses `id` from now on, and deletes it as soon as the store lets us. With `secretHash` only for that secret: for a
   * sign-out whose cookie could not be compared with the record, and may be an old one.
   */
  add(id: StoreKey, secretHash?: string): void
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

interface Grave {
  readonly secretHash: string | undefined
  timer: ReturnType<typeof setTimeout> | undefined
}

const MAX_TOMBSTONES = 10_000
const FIRST_RETRY = 500
const LONGEST_RETRY = 30_000

export function createTombstones(options: TombstonesOptions): Tombstones {
  const { callStore, storeBudget, now } = options
  const graves = new Map<StoreKey, Grave>()

  async function retry(id: StoreKey, delay: number, milliseconds: number): Promise<void> {
    const grave = graves.get(id)
    if (grave === undefined) return
    try {
      if (await isMeant(id, grave, milliseconds)) {
        await callStore('delete', milliseconds, (store) => store.delete(id, now()))
      }
      graves.delete(id)
    } catch {
      schedule(id, Math.min(delay * 2, LONGEST_RETRY))
    }
  }

  async function isMeant(id: StoreKey, grave: Grave, milliseconds: number): Promise<boolean> {
    if (grave.secretHash === undefined) return true
    const record = await callStore('load', milliseconds, (store) => store.load(id, now()))
    const stored = record === undefined ? undefined : readRecord(id, record)
    return typeof stored === 'object' && stored.meta.secretHash === grave.secretHash
  }

  function schedule(id: StoreKey, delay: number): void {
    const grave = graves.get(id)
    if (grave === undefined) return
    const jittered = delay * (0.75 + Math.random() / 2)
    grave.timer = setTimeout(() => void retry(id, delay, storeBudget), jittered)
    grave.timer.unref()
  }

  return {
    has(id, secretHash) {
      const grave = graves.size > 0 ? graves.get(id) : undefined
      if (grave === undefined) return false
      return grave.secretHash === undefined || grave.secretHash === secretHash
    },
    add(id, secretHash) {
      if (graves.has(id)) return
      const oldest = graves.size >= MAX_TOMBSTONES ? graves.keys().next() : undefined
      if (oldest?.done === false) {
        clearTimeout(graves.get(oldest.value)?.timer)
        graves.delete(oldest.value)
      }
      graves.set(id, { secretHash, timer: undefined })
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
