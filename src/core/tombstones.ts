import { readRecord, type StoredSession } from './record.js'
import { createRetries } from './retries.js'
import type { DeleteByUserOptions, EndReason, StoreKey } from './store.js'
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
  add(id: StoreKey, reason: EndReason, secretHash?: string): void
  /** Asks the store now, for so many milliseconds. Never fails: what is not confirmed stays to be asked again. */
  attempt(id: StoreKey, milliseconds?: number): Promise<unknown>
  /** Whether all sessions of this one's user were ended, this one among them. */
  covers(stored: StoredSession): boolean
  /**
   * Refuses the sessions in which `user` was signed in by then, and ends them as soon as the store lets us: those that
   * the user signs in to meanwhile as well, for a sign-in that was under way cannot be told from a new one.
   */
  addUser(user: string, revocation: UserRevocation): void
  /** The store has confirmed a later revocation of this user. */
  dropUser(user: string): void
  /** The store is back. */
  resume(): void
  /** Stops trying. */
  close(): void
}

export interface UserRevocation {
  readonly at: number
  readonly except: readonly StoreKey[]
  readonly mark: DeleteByUserOptions['mark']
}

export interface TombstonesOptions {
  readonly callStore: StoreCall
  readonly storeBudget: number
  readonly now: () => number
  readonly onEnded: (id: StoreKey, reason: EndReason) => void
  readonly onRevoked: (id: StoreKey, user: string) => void
}

interface Grave {
  readonly reason: EndReason
  readonly secretHash: string | undefined
}

const MAX_TOMBSTONES = 10_000
const MAX_USERS = 1000

export function createTombstones(options: TombstonesOptions): Tombstones {
  const { callStore, storeBudget, now, onEnded, onRevoked } = options

  const sessions = createRetries<StoreKey, Grave>({
    limit: MAX_TOMBSTONES,
    storeBudget,
    async ask(id, { secretHash, reason }, milliseconds) {
      if (secretHash !== undefined && !(await hasSecret(id, secretHash, milliseconds))) return
      const existed = await callStore('delete', milliseconds, (store) =>
        store.delete(id, now(), reason),
      )
      if (existed) onEnded(id, reason)
    },
  })

  const users = createRetries<string, UserRevocation>({
    limit: MAX_USERS,
    storeBudget,
    async ask(user, { except, mark }, milliseconds) {
      const keys = await callStore('deleteByUser', milliseconds, (store) =>
        store.deleteByUser?.(user, { except, mark, now: now() }),
      )
      for (const id of keys ?? []) onRevoked(id, user)
    },
  })

  async function hasSecret(
    id: StoreKey,
    secretHash: string,
    milliseconds: number,
  ): Promise<boolean> {
    const record = await callStore('load', milliseconds, (store) => store.load(id, now()))
    const stored = record === undefined ? undefined : readRecord(id, record)
    return typeof stored === 'object' && stored.meta.secretHash === secretHash
  }

  return {
    has(id, secretHash) {
      const grave = sessions.get(id)
      if (grave === undefined) return false
      return grave.secretHash === undefined || grave.secretHash === secretHash
    },
    add(id, reason, secretHash) {
      if (sessions.get(id) === undefined) sessions.add(id, { reason, secretHash })
    },
    attempt: (id, milliseconds = storeBudget) => sessions.attempt(id, milliseconds),
    covers({ id, meta }) {
      if (meta.user === undefined) return false
      const revocation = users.get(String(meta.user))
      if (revocation === undefined || revocation.except.includes(id)) return false
      return (meta.signedInAt ?? meta.createdAt) <= revocation.at
    },
    addUser(user, revocation) {
      users.drop(user)
      users.add(user, revocation)
    },
    dropUser: users.drop,
    resume() {
      void sessions.resume()
      void users.resume()
    },
    close() {
      sessions.close()
      users.close()
    },
  }
}
