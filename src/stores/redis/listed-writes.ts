import { isSessionError, storeError } from '../../core/errors.js'
import type { SessionRecord, StoreKey, TellMark } from '../../core/store.js'
import type { Commands } from './commands.js'
import type { UserIndex } from './user-index.js'

/** Records of users, written together with their entries in the users' index. */
export interface ListedWrites {
  /**
   * Writes a record of a user that may not stand in the user's index yet. The entry comes first. Where the connection
   * keeps the order of what it is given, both travel together, and with `tellMark` a look at the user's mark behind them;
   * if the engine has forgotten the script of the entry and not that of the record, the entry comes a round trip late, and
   * still before anyone has the cookie.
   */
  write<T>(key: StoreKey, record: SessionRecord, write: ListedWrite<T>): Promise<T>
}

export interface ListedWrite<T> {
  readonly now: number
  readonly write: () => Promise<unknown>
  /** What its answer means. */
  readonly as: (answer: unknown) => T
  readonly tellMark?: TellMark | undefined
}

export interface ListedWritesOptions {
  readonly commands: Commands
  readonly users: UserIndex
  readonly isOrdered: boolean
  /** What the keys of records begin with. */
  readonly start: string
}

export function createListedWrites(options: ListedWritesOptions): ListedWrites {
  const { commands, users, isOrdered, start } = options
  function writeTogether<T>(
    key: StoreKey,
    record: SessionRecord,
    { now, write, as }: ListedWrite<T>,
  ): Promise<T> {
    const userId = record.userId as string
    let isListed = false
    let entryError: unknown
    const entry = users.enlist(userId, key, record, now).then(
      () => {
        isListed = true
      },
      (error: unknown) => {
        entryError = error
      },
    )
    const enlistAgain = (): Promise<unknown> => users.enlist(userId, key, record, now, 'runAgain')
    const mend = async (): Promise<void> => {
      await entry
      if (!isListed) await enlistAgain().catch((error: unknown) => takeBack(key, error))
    }
    return write().then(
      (answer) => (isListed || Number(answer) !== 1 ? as(answer) : mend().then(() => as(answer))),
      async (error: unknown) => {
        await entry
        if (isUnknown(error) && !isUnknown(entryError)) await mend()
        // Of two lost replies the first may have said that the script is forgotten. Who looks for the record looks behind this.
        else if (isUnknown(error)) enlistAgain().catch(enlistAgain).catch(ignore)
        throw error
      },
    )
  }

  /** A session that is in no list is one that nobody can end. */
  function takeBack(key: StoreKey, error: unknown): never {
    commands.write(start + key, 'getdel', start + key).catch(ignore)
    if (!isUnknown(error)) throw error
    // The core would look for a sign-in of which it is not known whether it landed, and may find what could not be deleted.
    throw storeError(
      'Redis did not confirm the entry of a session in the index of its user, so the session was taken back',
      { cause: error, executed: 'no' },
    )
  }

  return {
    write(key, record, one) {
      const { now, write, as, tellMark } = one
      const userId = record.userId as string
      if (!isOrdered) return users.enlist(userId, key, record, now).then(write).then(as)
      const before = commands.resent()
      const written = writeTogether(key, record, one)
      if (tellMark === undefined) return written
      return lookBehind(users.mark(userId, now), written, (mark) => {
        // Else it may be older than the record, or than its entry.
        if (commands.resent() === before) tellMark(mark)
      })
    },
  }
}

/** `written`, and before that what a look brought that was sent behind it. A look that fails is none. */
function lookBehind<T, Seen>(
  look: Promise<Seen>,
  written: Promise<T>,
  tell: (seen: Seen) => void,
): Promise<T> {
  // Not told as soon as it is there: only when all is done is it known whether anything came late.
  const looked = look.then(
    (seen) => () => tell(seen),
    () => ignore,
  )
  return written.then((answer) =>
    looked.then((tellNow) => {
      tellNow()
      return answer
    }),
  )
}

function isUnknown(error: unknown): boolean {
  return isSessionError(error, 'ERR_SESSION_OUTCOME_UNKNOWN')
}

function ignore(): void {}
