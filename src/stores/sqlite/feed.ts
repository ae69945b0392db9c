import type { MaybePromise, StoreEvent, StoreFeed } from '../../core/store.js'
import { inReading, inTransaction, type SqliteDatabase, type SqliteStatement } from './handle.js'
import { hasLog, lastOf, makeLog, newsOf, seqOf, toEntry } from './log.js'
import { isBusy } from './trouble.js'

/** How often the log is looked at, in milliseconds: a look takes some hundredths of one. */
const INTERVAL = 25

export interface Feed {
  watch(listener: (event: StoreEvent) => void): StoreFeed
  /** Runs a change in a transaction, and tells of it, as of all that came before, when it is committed. */
  change<Args extends unknown[], T>(step: (...args: Args) => T, args: Args): T
  close(): void
}

export interface FeedOptions {
  readonly db: SqliteDatabase
  readonly table: string
  /** Throws where the handle cannot be used just now. */
  assertUsable(): void
  /** Does `look`, again while the file is locked. */
  patiently(look: () => void): () => MaybePromise<void>
}

/** What was read of the log, and up to where. */
interface News {
  readonly last: number
  readonly events: readonly StoreEvent[]
}

/** Reads the log from where it was, several times a second, after each change of its own, and for each check. */
export function createFeed({ db, table, assertUsable, patiently }: FeedOptions): Feed {
  const listeners = new Set<(event: StoreEvent) => void>()
  let schemaVersion: SqliteStatement | undefined
  let timer: NodeJS.Timeout | undefined
  /** The statement that reads the log, while a feed stands. */
  let reading: SqliteStatement | undefined
  /** The last entry that was told. */
  let last = 0
  /** That of the file, when all of the log was there. */
  let version: number | undefined

  const check = patiently(look)

  /** Makes the log where there is none. Everything that is committed from then on is told. */
  function open(): void {
    const make = (): void => {
      if (!hasLog(db, table)) makeLog(db, table)
      last = seqOf(lastOf(db, table).get())
      version = versionNow()
    }
    inTransaction(db, make, [])
    reading = newsOf(db, table)
  }

  function versionNow(): number {
    schemaVersion ??= db.prepare('PRAGMA schema_version')
    return Number((schemaVersion.get() as { schema_version: number | bigint }).schema_version)
  }

  /** Whether nobody has taken the log away, or a part of it. */
  function isWhole(): boolean {
    const now = versionNow()
    if (version !== now && hasLog(db, table)) version = now
    return version === now
  }

  function readNews(statement: SqliteStatement): News {
    const [first, ...others] = statement.all(last).map(toEntry)
    const newest = others.at(-1) ?? first
    if (first !== undefined && first.seq === last) {
      return { last: newest?.seq ?? last, events: others.map(({ event }) => event) }
    }
    if (last === 0 && (first === undefined || first.seq === 1)) {
      const entries = first === undefined ? [] : [first, ...others]
      return { last: newest?.seq ?? last, events: entries.map(({ event }) => event) }
    }
    return { last: newest?.seq ?? seqOf(lastOf(db, table).get()), events: [RESET] }
  }

  function tell(news: News): void {
    last = news.last
    for (const event of news.events) for (const listener of listeners) listener(event)
  }

  function look(): void {
    if (listeners.size === 0) return
    assertUsable()
    const statement = reading
    const news = statement && inReading(db, () => (isWhole() ? readNews(statement) : undefined))
    if (news === undefined) {
      if (statement !== undefined) lose()
      open()
    }
    tell(news ?? { last, events: [RESET] })
  }

  function lose(): void {
    reading = undefined
    tell({ last, events: [RESET] })
  }

  function poll(): void {
    try {
      look()
    } catch (error) {
      // The next check says what is wrong.
      if (!isBusy(error) && reading !== undefined) lose()
    }
  }

  function end(): void {
    clearInterval(timer)
    timer = undefined
    reading = undefined
  }

  return {
    watch(listener) {
      const own = (event: StoreEvent): void => listener(event)
      if (listeners.size === 0) {
        timer = setInterval(poll, INTERVAL).unref()
        try {
          assertUsable()
          open()
        } catch {
          // It stands later, then, and begins with a reset.
        }
      }
      listeners.add(own)
      return {
        check,
        stop() {
          if (listeners.delete(own) && listeners.size === 0) end()
        },
      }
    },

    change(step, args) {
      const statement = reading
      if (statement === undefined) return inTransaction(db, step, args)
      const told = (...values: typeof args) => ({
        result: step(...values),
        news: readNewsIfThere(statement),
      })
      const { result, news } = inTransaction(db, told, args)
      if (news !== undefined) tell(news)
      return result
    },

    close() {
      listeners.clear()
      end()
    },
  }

  /** A change must not fail for a log that was taken away: the next look finds out. */
  function readNewsIfThere(statement: SqliteStatement): News | undefined {
    try {
      return readNews(statement)
    } catch {
      return undefined
    }
  }
}

const RESET: StoreEvent = Object.freeze({ type: 'reset' })
