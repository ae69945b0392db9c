import { jittered } from './jitter.js'

/**
 * What was asked of the store and not confirmed: asked for again until it is, ever less often, and at once when a store
 * that was down is back. Only for what may be done twice.
 */
export interface Retries<Key, Wish> {
  get(key: Key): Wish | undefined
  /** The first try comes a little later. With more than `limit`, the oldest is given up. */
  add(key: Key, wish: Wish): void
  drop(key: Key): void
  /** Asks now, for so many milliseconds, and answers whether that is settled. Never fails. */
  attempt(key: Key, milliseconds: number): Promise<boolean>
  /** Asks for everything, one after the other, until the store fails again. */
  resume(): Promise<void>
  close(): void
}

export interface RetriesOptions<Key, Wish> {
  readonly limit: number
  readonly storeBudget: number
  /** Rejects where the store does not confirm. */
  readonly ask: (key: Key, wish: Wish, milliseconds: number) => Promise<void>
}

interface Entry<Wish> {
  readonly wish: Wish
  delay: number
  isAsking: boolean
  timer: ReturnType<typeof setTimeout> | undefined
}

const FIRST_RETRY = 500
const LONGEST_RETRY = 30_000

export function createRetries<Key, Wish>(options: RetriesOptions<Key, Wish>): Retries<Key, Wish> {
  const { limit, storeBudget, ask } = options
  const entries = new Map<Key, Entry<Wish>>()
  let isResuming = false

  function schedule(key: Key, entry: Entry<Wish>): void {
    clearTimeout(entry.timer)
    entry.timer = setTimeout(() => void attempt(key, storeBudget), jittered(entry.delay, 1 / 4))
    entry.timer.unref()
  }

  async function attempt(key: Key, milliseconds: number): Promise<boolean> {
    const entry = entries.get(key)
    if (entry === undefined) return true
    if (entry.isAsking) return false
    clearTimeout(entry.timer)
    entry.isAsking = true
    try {
      await ask(key, entry.wish, milliseconds)
      if (entries.get(key) === entry) entries.delete(key)
      return true
    } catch {
      // Told by `callStore`.
      entry.isAsking = false
      entry.delay = Math.min(entry.delay * 2, LONGEST_RETRY)
      if (entries.get(key) === entry) schedule(key, entry)
      return false
    }
  }

  function drop(key: Key): void {
    clearTimeout(entries.get(key)?.timer)
    entries.delete(key)
  }

  return {
    get: (key) => (entries.size > 0 ? entries.get(key)?.wish : undefined),
    add(key, wish) {
      const oldest = entries.size >= limit ? entries.keys().next() : undefined
      if (oldest?.done === false) drop(oldest.value)
      const entry = { wish, delay: FIRST_RETRY, isAsking: false, timer: undefined }
      entries.set(key, entry)
      schedule(key, entry)
    },
    drop,
    attempt,
    async resume() {
      if (isResuming) return
      isResuming = true
      for (const [key, entry] of [...entries]) {
        if (!entry.isAsking && !(await attempt(key, storeBudget))) break
      }
      isResuming = false
    },
    close() {
      for (const key of [...entries.keys()]) drop(key)
    },
  }
}
