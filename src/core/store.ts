/**
 * The store contract: what staykept asks of a database, and nothing more.
 *
 * **A session store is a compare-and-set register with a deadline.** It keeps records under keys and swaps a record
 * only for a caller who can name the version it replaces. It never sees a cookie or a secret, knows no option of
 * `session()`, and decides nothing: merging, timing and security live in the core, once. That keeps a store small.
 *
 * Four rules hold for every method:
 *
 * 1. **One atomic step.** Reading the version, judging the deadline and writing are one step of the engine (a script,
 *    one conditional statement), so that no other caller can come between them.
 * 2. **The clock is an argument.** A deadline is judged against the `now` that is passed in, never against a clock of
 *    the store. A record is alive while `expiresAt > now`; a dead record is answered as if it were not there, whether
 *    or not it was removed yet. An engine's own time-to-live is garbage collection: relative, with slack on top.
 * 3. **Never twice.** A change whose outcome is unknown (time ran out, the connection broke after sending) is not sent
 *    again, not by the store and not by its client. It rejects. What surely was not executed may be sent again, and an
 *    error may say so: throw `storeError(message, { cause, executed: 'no' })` from `staykept`.
 * 4. **Answer now if you can.** A method may return its answer or a promise of it; the core waits only for promises.
 *    Throwing and rejecting mean the same. Errors are for what the system failed to do, never for "not there".
 *
 * `testSessionStore` from `staykept/conformance` proves all of it for a store.
 */
export interface SessionStore {
  /** A short name for messages, such as `'memory'` or `'sqlite'`. */
  readonly name: string

  /** What the engine cannot exceed. The core refuses a larger session with `ERR_SESSION_TOO_LARGE` before it is sent. */
  readonly limits?: StoreLimits

  /**
   * The record under `key`, or `undefined` where there is none, or none alive. Never creates anything. Reads what the
   * last acknowledged write left: the primary, never a replica.
   */
  load(key: StoreKey, now: number): MaybePromise<SessionRecord | undefined>

  /**
   * Stores a first record under `key` and answers `true`; answers `false`, changing nothing, where a live record
   * stands there. A dead one is replaced. With a user index, the index entry is written before the record.
   *
   * With `tellMark`, a store that can look at the revocation mark of `record.userId` in the same trip, after the record
   * was written, tells it before it answers, and is not asked for it. Any store may leave that to `revocationMark`.
   */
  create(
    key: StoreKey,
    record: SessionRecord,
    now: number,
    tellMark?: TellMark,
  ): MaybePromise<boolean>

  /**
   * Swaps the record under `key` for `record` if a live one stands there with `expectedVersion`.
   *
   * - `updated`: swapped. A touch may have moved last-seen since the caller read; it is not moved back. Where the
   *   stored `lastSeenAt` is later than `record.lastSeenAt`, the stored one stays and the deadline moves along by the
   *   same span, never past the absolute one:
   *   `expiresAt = min(record.expiresAt + (stored.lastSeenAt - record.lastSeenAt), record.absoluteExpiresAt)`.
   *   A record whose own deadline is already past is stored as given.
   * - `conflict`: another version stands there. Nothing changed; `record` is the one that stood there in that instant.
   * - `missing`: nothing alive stands there. Nothing changed, and above all nothing was created.
   *
   * Versions are random marks, compared for equality only: never order them, never count.
   *
   * With `ends`, the session is over with this write and the record is what stays for late requests: a feed tells
   * `ended`, with this reason, instead of `changed`.
   */
  update(
    key: StoreKey,
    record: SessionRecord,
    expectedVersion: string,
    now: number,
    ends?: EndReason,
  ): MaybePromise<WriteResult>

  /**
   * Moves last-seen and the deadline of the live record under `key`, if it has `expectedVersion`, and answers as
   * `update` does. Changes neither payload nor version. Never moves last-seen back: with a `lastSeenAt` that is not
   * later than the stored one it changes nothing and still answers `updated`, however often it is repeated. A later one
   * brings its deadline along as given, nearer or not.
   */
  touch(
    key: StoreKey,
    expectedVersion: string,
    lastSeenAt: number,
    expiresAt: number,
    now: number,
  ): MaybePromise<WriteResult>

  /**
   * Removes the record under `key`, whatever its version, and answers whether a live one stood there. A dead one is
   * removed too and answered `false`. Repeating it is fine. The record goes first, then its index entry. The core never
   * creates a key again that was deleted: ids are random, and used once. `reason` is for the feed, where there is one.
   */
  delete(key: StoreKey, now: number, reason?: EndReason): MaybePromise<boolean>

  /**
   * The live records of a user, in no order; an empty array where there are none. Every record in the answer says
   * `userId === userId` itself: an index may be behind, the record decides. A session that was alive before the call
   * and stays alive through it is in the answer. Comes together with `deleteByUser`.
   */
  listByUser?(userId: string, now: number): MaybePromise<KeyedRecord[]>

  /**
   * Removes the live records of a user (the record decides, as in `listByUser`) but for `except`, and answers the keys
   * it removed. A session that was alive before the call does not survive it. An entry of an index goes only after its
   * own record was removed or past the absolute deadline of its session, never because a record is not there: it may
   * be about to be.
   *
   * With `revocationMark`, `mark` is stored as the user's mark first, before anything is looked up, and kept at least
   * until `mark.expiresAt`. A mark that is there stays where it expires later: of two calls at once, the older one must
   * not hide the newer.
   */
  deleteByUser?(userId: string, options: DeleteByUserOptions): MaybePromise<StoreKey[]>

  /** The mark that the latest `deleteByUser` left for this user, or `undefined`. It catches sign-ins still in flight. */
  revocationMark?(userId: string, now: number): MaybePromise<string | undefined>

  /**
   * Prunes: removes up to `limit` records whose deadline is past by more than `PRUNE_SLACK`, and answers how many went.
   * The deadline is judged again in the removing step, so a session that was touched or stored meanwhile stays.
   * It may look at a part of its records only and answer 0 though more is due elsewhere: the core asks a few times more,
   * and again later. An engine that removes expired records by itself has no need of it.
   */
  deleteExpired?(limit: number, now: number): MaybePromise<number>

  /**
   * Opens a feed: calls `listener` with every `create`, `update` and end of a record, whoever made it, this process
   * included, once the store answers with what the event tells of. A touch needs no event, and neither does a prune:
   * what is past its deadline is absent anyway.
   *
   * A feed that loses its connection tells a `reset` at once, makes itself a new one, and tells a `reset` again when
   * that stands: from then on every change is told. One that stands later than `watch` returns begins with a `reset`.
   */
  watch?(listener: (event: StoreEvent) => void): StoreFeed

  /**
   * Proves that the engine answers; rejects only where it does not. Says the engine's own clock where it has one, and in
   * `concerns` what is wrong with the engine's set-up. While the store is down it is called about once a second, so it
   * asks little each time; what it learnt of the set-up it may keep for a minute, but not over a new connection.
   */
  ping?(): MaybePromise<PingResult>

  /**
   * Lets go of the connections that the store has and makes new ones. Called after calls and pings went unanswered for
   * some seconds, or were refused for about ten, and every five seconds at most: a connection can be dead without its
   * client noticing (the other end lost power, a firewall forgot it), and a client can have given up. Calls under way may reject; changes among them count as unknown and are not sent again. Resolves when the new
   * connection is being made; that it answers is for the next `ping` to prove. For clients that notice by themselves
   * there is no need of it.
   */
  reconnect?(): MaybePromise<void>

  /**
   * Lets go of timers, files and connections that the store opened itself, and of nothing that was handed to it. May be
   * repeated. What is called afterwards may fail, and must not wait.
   */
  close?(): MaybePromise<void>
}

/** What a store keeps for one session. Times are milliseconds since 1970. */
export interface SessionRecord {
  /** A random mark, new with every `create` and `update`, chosen by the core. At most 32 ASCII characters. */
  readonly version: string
  /** The encoded session. Opaque: kept and returned to the letter. Well-formed Unicode without U+0000, at most `limits.maxPayloadBytes`. */
  readonly payload: string
  /** Whose session this is, for `listByUser`; absent while nobody is signed in. 1 to 256 characters, without U+0000. */
  readonly userId?: string | undefined
  /** When the session was last used. */
  readonly lastSeenAt: number
  /** The deadline: from this instant on the record counts as absent. */
  readonly expiresAt: number
  /** The latest deadline that the session can ever have, however much it is used. */
  readonly absoluteExpiresAt: number
}

/** A record with the key it stands under. */
export interface KeyedRecord {
  readonly key: StoreKey
  readonly record: SessionRecord
}

/** What became of an `update` or a `touch`. */
export type WriteResult =
  | { readonly outcome: 'updated' }
  | { readonly outcome: 'conflict'; readonly record: SessionRecord }
  | { readonly outcome: 'missing' }

/** Is told what `revocationMark` would answer. */
export type TellMark = (mark: string | undefined) => void

export interface DeleteByUserOptions {
  /** Keys that stay. */
  readonly except: readonly StoreKey[]
  /** The user's new revocation mark, and until when it must be kept. */
  readonly mark: { readonly value: string; readonly expiresAt: number }
  readonly now: number
}

export interface StoreLimits {
  /** The longest payload in UTF-8 bytes. */
  readonly maxPayloadBytes?: number
}

export interface PingResult {
  /** The engine's clock, milliseconds since 1970. The core corrects its own by the difference. */
  readonly now?: number | undefined
  /** What is wrong with the set-up of the engine; absent or empty where nothing is. */
  readonly concerns?: readonly StoreConcern[] | undefined
}

/** Something about an engine that its operator has to know. Told once as a warning, and in every `sessions.check()`. */
export interface StoreConcern {
  readonly code: StoreConcernCode
  /** What is wrong, what comes of it, and the mend: `maxmemory-policy is allkeys-lru, so …; set it to noeviction`. */
  readonly message: string
}

/**
 * - `WARN_SESSION_EVICTION`: the engine may drop sessions that are alive
 * - `WARN_SESSION_NEVER_REMOVED`: the engine keeps what has expired for ever, and grows
 * - `WARN_SESSION_NO_PERSISTENCE`: what was acknowledged may be lost when the engine restarts
 * - `WARN_SESSION_PERMISSION`: the engine does not let this user do what the store has to
 * - `WARN_SESSION_READ_ONLY`: the engine takes no changes, as a replica does
 * - `WARN_SESSION_STORE_VERSION`: the engine is too old
 *
 * With one of the last three the store cannot do its work, and `sessions.check()` says that it is not ok.
 */
export type StoreConcernCode =
  | 'WARN_SESSION_EVICTION'
  | 'WARN_SESSION_NEVER_REMOVED'
  | 'WARN_SESSION_NO_PERSISTENCE'
  | 'WARN_SESSION_PERMISSION'
  | 'WARN_SESSION_READ_ONLY'
  | 'WARN_SESSION_STORE_VERSION'

/**
 * - `changed`: a record was created or swapped. `version` is that of the record which stands there now, where the engine
 *   tells it along: who made that very write need not read it again.
 * - `ended`: a record was deleted, or swapped for what stays of an ended session. `reason` where the engine tells it along.
 *   May come together with a `changed` of the same key.
 * - `reset`: changes may have been missed.
 */
export type StoreEvent =
  | { readonly type: 'changed'; readonly key: StoreKey; readonly version?: string | undefined }
  | { readonly type: 'ended'; readonly key: StoreKey; readonly reason?: EndReason | undefined }
  | { readonly type: 'reset' }

/** How a session came to its end. `deleteByUser` tells `revokeByUser`. */
export type EndReason = 'destroy' | 'regenerate' | 'revoke' | 'revokeByUser' | 'signIn' | 'signOut'

/** An open feed. It keeps no process alive. */
export interface StoreFeed {
  /**
   * Answers once everything has been told that was acknowledged before this call: the proof that the feed is alive, and
   * has no more than this behind it. Rejects with what is wrong where the feed cannot work, within some seconds: the
   * engine does not allow it, or something in between swallows it. May stay unanswered while the connection is dead or
   * not there yet. Called several times a second; where it answers at once, not by a promise, before each read, which is
   * then never behind.
   */
  check(): MaybePromise<void>

  /** Ends it; may be repeated. The listener hears nothing more. */
  stop(): void
}

/** An answer, or a promise of one. */
export type MaybePromise<T> = T | PromiseLike<T>

/** The key of a record: the public id of its session, 22 characters of base64url. Branded, so that no other string passes for one. */
export type StoreKey = string & { readonly [storeKey]: true }
declare const storeKey: unique symbol

/** How long past its deadline a record stays before it is pruned, in milliseconds: room for clocks that disagree. */
export const PRUNE_SLACK: number = 10 * 60_000
