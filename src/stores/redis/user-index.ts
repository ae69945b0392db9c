import { isSessionError, storeError } from '../../core/errors.js'
import type { DeleteByUserOptions, KeyedRecord, SessionRecord, StoreKey } from '../../core/store.js'
import { PRUNE_SLACK } from '../../core/store.js'
import type { Commands } from './commands.js'
import type { Ends } from './ends.js'
import { decodeRecord, encodeTime, keepFor } from './record-text.js'
import type { Replication } from './replication.js'
import { DELETE_OF_USER, DELETE_OF_USER_AND_TELL, ENLIST, MARK } from './scripts.js'

/**
 * Which keys are a user's: a sorted set for each, by the absolute deadline of the session. An entry is written before the
 * record that it points to and goes after it, so that there may be too many of them, never too few; the records decide.
 * Everything happens on one key at a time, as a cluster demands.
 */
export interface UserIndex {
  enlist(
    userId: string,
    key: StoreKey,
    record: SessionRecord,
    now: number,
    how?: 'run' | 'runAgain',
  ): Promise<unknown>
  /** Removes the entries of records that were deleted. */
  strike(userId: string, keys: readonly StoreKey[]): Promise<unknown>
  list(userId: string, now: number): Promise<KeyedRecord[]>
  endAll(userId: string, options: DeleteByUserOptions): Promise<StoreKey[]>
  mark(userId: string, now: number): Promise<string | undefined>
}

/** How many entries one command reads: less than a millisecond of the engine's time. */
const PAGE = 500

export function createUserIndex(
  commands: Commands,
  prefix: string,
  ends: Ends,
  replication: Replication | undefined,
): UserIndex {
  // A session id has no colon: no record can stand under these.
  const indexKey = (userId: string): string => `${prefix}user:${userId}`
  const markKey = (userId: string): string => `${prefix}mark:${userId}`

  /**
   * The keys of sessions that may be alive, page by page. ZSCAN shows everything that is there all the while, whatever
   * comes and goes; pages by rank would lose an entry for each that goes before it. It may show one twice.
   */
  async function* pages(userId: string, now: number): AsyncGenerator<StoreKey[]> {
    const seen = new Set<string>()
    let cursor = '0'
    do {
      const [next, entries] = (await commands.read(
        ...([indexKey(userId), 'zscan', indexKey(userId), cursor, 'count', String(PAGE)] as const),
      )) as [unknown, unknown[]]
      cursor = String(next)
      const page: StoreKey[] = []
      for (let at = 0; at < entries.length; at += 2) {
        const key = String(entries[at])
        if (Number(entries[at + 1]) <= now || seen.has(key)) continue
        seen.add(key)
        page.push(key as StoreKey)
      }
      for (let at = 0; at < page.length; at += PAGE) yield page.slice(at, at + PAGE)
    } while (cursor !== '0')
  }

  function end(key: StoreKey, userId: string, now: number): Promise<unknown> {
    const args = [prefix + key, userId, String(now), ...ends.told(key, 'revokeByUser')] as const
    return replication === undefined
      ? commands.run(DELETE_OF_USER, ...args)
      : replication.confirmed(DELETE_OF_USER_AND_TELL, ...args)
  }

  function strike(userId: string, keys: readonly StoreKey[]): Promise<unknown> {
    return commands.write(indexKey(userId), 'zrem', indexKey(userId), ...keys)
  }

  return {
    enlist(userId, key, { absoluteExpiresAt }, now, how = 'run') {
      const deadline = Number(encodeTime(absoluteExpiresAt))
      const past = Math.floor(now - PRUNE_SLACK)
      return commands[how](
        ENLIST,
        indexKey(userId),
        ...[String(deadline), key, String(past), keepFor(deadline, now)],
      )
    },

    strike,

    async list(userId, now) {
      const found: KeyedRecord[] = []
      for await (const keys of pages(userId, now)) {
        const values = await Promise.all(
          keys.map((key) => commands.get(prefix + key, (value) => value)),
        )
        for (const [index, key] of keys.entries()) {
          const value = values[index]
          if (typeof value !== 'string') continue
          const record = decodeRecord(value, now)
          if (record.userId === userId && record.expiresAt > now) found.push({ key, record })
        }
      }
      return found
    },

    async endAll(userId, { except, mark, now }) {
      let fullError: unknown
      try {
        const args = [encodeTime(mark.expiresAt), mark.value, keepFor(mark.expiresAt, now)]
        await (replication?.confirmed ?? commands.run)(MARK, markKey(userId), ...args)
      } catch (error) {
        if (!isSessionError(error, 'ERR_SESSION_STORE_FULL')) throw error
        fullError = error
      }
      const staying = new Set(except)
      const ended: StoreKey[] = []
      for await (const page of pages(userId, now)) {
        const keys = page.filter((key) => !staying.has(key))
        const answers = await Promise.all(keys.map((key) => end(key, userId, now)))
        const gone = keys.filter((_, index) => Number(answers[index]) === 1)
        if (gone.length === 0) continue
        ended.push(...gone)
        // Sent, not waited for: an entry without a record does no harm.
        strike(userId, gone).catch(() => {})
      }
      // What stands there has ended, which needs no room; a sign-in under way is not caught.
      if (fullError !== undefined) {
        throw storeError(
          'Redis has no room left for the mark that ends sign-ins under way: the sessions that were there have ended; raise maxmemory and revoke once more',
          { cause: fullError, executed: 'unknown' },
        )
      }
      return ended
    },

    mark(userId, now) {
      return commands.get(markKey(userId), (value) => {
        if (typeof value !== 'string') return undefined
        const at = encodeTime(0).length
        return Number(value.slice(0, at)) > now ? value.slice(at) : undefined
      })
    },
  }
}
