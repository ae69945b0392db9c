import { Budget } from './budget.js'
import { type Change, type Pending, writeChange } from './changes.js'
import { encodeData } from './codec.js'
import {
  CLEAR_COOKIE_ORDER,
  type CookieOrder,
  cookieOrderFor,
  NO_COOKIE_ORDER,
} from './cookie-order.js'
import type { AdoptedData } from './copied-data.js'
import { createRecord } from './creation.js'
import { rebaseData, replaceData } from './data-object.js'
import type { Engine } from './engine.js'
import { warnOfFixation } from './fixation.js'
import type { CookieSecret, Credential } from './identity.js'
import { chain } from './maybe.js'
import { NO_OPERATIONS, Operations } from './operations.js'
import { readData, type StoredSession } from './record.js'
import { ended, readOnly, rotated } from './refusals.js'
import type { Session } from './session.js'
import { createSessionObject, type SessionHost } from './session-object.js'
import { SessionText } from './session-text.js'
import type { MaybePromise, StoreKey } from './store.js'
import type { VisitClient } from './visit-client.js'

/**
 * - `new`: nothing is stored yet
 * - `loaded`: works on a record
 * - `superseded`: the cookie is from before the last rotation; anonymous, and never allowed to write
 * - `degraded`: the store does not answer and `onStoreError` is `'anonymous'`; read-only
 */
export type VisitKind = 'new' | 'loaded' | 'superseded' | 'degraded'

/** One request's dealings with its session, from the record it loaded to the commit before its response. */
export class Visit {
  readonly engine: Engine
  readonly client: VisitClient
  readonly openedAt: number
  /** Its place among the requests of this process. */
  readonly openedOrder: number
  /** The browser sent a cookie of ours, whatever it was worth. */
  readonly hadCookie: boolean
  kind: VisitKind = 'new'
  stored: StoredSession | undefined
  secret: CookieSecret | undefined
  /** With a store that does not answer: what the browser sent, not compared with any record. */
  unseen: readonly Credential[] = []
  /** The cookie that opened it. */
  credential: Credential | undefined
  /** It goes by what the near cache had. */
  isCached = false
  /** The cookie verifies, but with a secret that does not sign any more. */
  isSignedByOldKey = false
  /** More than one cookie of ours opened a session; which of them is this browser's, nobody can say. */
  isDuplicate = false
  order: CookieOrder = NO_COOKIE_ORDER
  session: Session | undefined
  /** An idle timeout that was assigned and is not stored yet. */
  pendingMaxAge: number | null | undefined
  /** A function given to `update` is at work on data of its own. */
  isUpdating = false
  readonly #text = new SessionText()
  /** Why this request cannot be acknowledged. */
  failure: { readonly error: unknown } | undefined
  #id: StoreKey | undefined
  #operations: Operations | undefined
  #budget: Budget | undefined
  readonly #hostFor: (visit: Visit) => SessionHost

  constructor(
    engine: Engine,
    client: VisitClient,
    opened: { readonly hadCookie: boolean; readonly hostFor: (visit: Visit) => SessionHost },
  ) {
    this.engine = engine
    this.client = client
    this.openedAt = engine.now()
    this.openedOrder = engine.revocations.nextOrder()
    this.hadCookie = opened.hadCookie
    this.#hostFor = opened.hostFor
  }

  get budget(): Budget {
    this.#budget ??= new Budget(this.engine.options.storeBudget)
    return this.#budget
  }

  /** What the application called on the session in this request. */
  get operations(): Operations {
    this.#operations ??= new Operations()
    return this.#operations
  }

  get id(): StoreKey {
    if (this.stored !== undefined) return this.stored.id
    this.#id ??= this.engine.random.id() as StoreKey
    return this.#id
  }

  /** The session object, built when it is first asked for. */
  open(): Session {
    if (this.isUpdating) {
      throw new TypeError(
        'inside req.session.update(), change the data that is passed in, not req.session',
      )
    }
    this.session ??= createSessionObject(this.#hostFor(this), this.#read())
    return this.session
  }

  /** Corrupt is absent: data that cannot be decoded are no session, and their owner can sign in again. */
  #read(): Record<string, unknown> {
    const { stored } = this
    if (stored === undefined) return {}
    const data = readData(stored)
    if (data === undefined) {
      this.meetCorrupt(stored)
      return {}
    }
    return this.#text.remember(stored.text, data, stored.decoded?.copy)
  }

  meetCorrupt({ id }: StoredSession): void {
    this.engine.events.emit('corrupt', { id, reason: 'corrupt' })
    this.leave('new')
  }

  /** What the application did to the data, encoded. Throws for data that cannot be stored. */
  pending(stored: StoredSession): Pending {
    return { base: stored, text: this.presentText(), maxAge: this.pendingMaxAge }
  }

  /** The data as they stand, encoded; `{}` for none. Throws for data that cannot be stored. */
  presentText(): string {
    const { stored, session } = this
    return session === undefined ? (stored?.text ?? '{}') : this.#text.of(session)
  }

  /** From now on this request cannot be acknowledged. */
  fail(error: unknown): void {
    this.failure ??= { error }
  }

  /** What the application called so far; not to be run. */
  get called(): Operations {
    return this.#operations ?? NO_OPERATIONS
  }

  /** Whether something was changed and not stored. */
  hasUnsavedChanges(): boolean {
    if (this.session === undefined) return false
    if (this.pendingMaxAge !== undefined && this.stored !== undefined) return true
    return !this.#text.isStill(this.stored?.text ?? '{}', this.presentText())
  }

  persist(): MaybePromise<void> {
    if (this.session === undefined) return
    switch (this.kind) {
      case 'new':
        return this.#persistNew()
      case 'loaded':
        return this.#persistLoaded(this.stored as StoredSession)
      case 'superseded':
      case 'degraded':
        if (encodeData(this.session) !== '{}') this.assertWritable()
        return
      default:
        return unreachable(this.kind)
    }
  }

  /** Commits a change and takes the record that came of it as the new base. */
  land(change: Change, pending: Pending): MaybePromise<StoredSession> {
    return chain(this.engine.commits.commit(change, this.budget), (stored) => {
      this.rebase(stored, pending.text)
      if (this.pendingMaxAge === pending.maxAge && pending.maxAge !== undefined) {
        this.pendingMaxAge = undefined
        this.orderCookie()
      }
      return stored
    })
  }

  giveUpId(): void {
    this.#id = undefined
  }

  /** The response is to carry the secret of this visit. */
  orderCookie(): void {
    const { stored, secret, engine } = this
    if (stored === undefined || secret === undefined) return
    this.order = cookieOrderFor(engine, stored, secret)
  }

  /** None of the cookies counts, and the response clears them all. */
  meetDuplicates(): void {
    this.isDuplicate = true
    this.order = CLEAR_COOKIE_ORDER
  }

  /** This visit has no session any more: what is assigned from here on is a new one. */
  startAnew(): void {
    this.kind = 'new'
    this.stored = undefined
    this.secret = undefined
    this.pendingMaxAge = undefined
    this.#id = undefined
    if (this.hadCookie || this.order.kind === 'set') this.order = CLEAR_COOKIE_ORDER
    this.replaceData({})
  }

  /** The record turned out to be gone, or not this cookie's any more. */
  leave(kind: VisitKind): void {
    this.kind = kind
    this.stored = undefined
    this.secret = undefined
    this.pendingMaxAge = undefined
    this.order = NO_COOKIE_ORDER
    this.replaceData({})
  }

  /** From now on this visit works on `stored`, and its response carries the secret of it. */
  settleOn(stored: StoredSession, secret: CookieSecret): void {
    this.kind = 'loaded'
    this.stored = stored
    this.secret = secret
    this.isCached = false
    this.pendingMaxAge = undefined
    this.orderCookie()
  }

  /** The request has failed: what an error page reads is an empty session that nobody can write to. */
  close(): void {
    this.fail(ended())
    this.kind = 'superseded'
    this.stored = undefined
    this.session = undefined
    Object.freeze(this.open())
  }

  /** Throws where this visit may not change a session. */
  assertWritable(): void {
    if (this.kind === 'superseded') throw rotated()
    if (this.kind === 'degraded') throw readOnly()
  }

  replaceData(data: Record<string, unknown>): void {
    if (this.session !== undefined) replaceData(this.session, data)
  }

  /**
   * Makes `stored` the base of this visit; `sent` is what its session object said when that was asked for. `given`: data of
   * which the record may have come.
   */
  rebase(stored: StoredSession, sent: string, given?: AdoptedData): void {
    this.stored = stored
    this.isCached = false
    if (this.session === undefined || stored.text === sent) return
    try {
      const known = given?.copy.text === stored.text ? given : undefined
      const decoded = known?.data
      const data = rebaseData(this.session, { sent, fresh: stored.text, decoded })
      if (data !== undefined) this.#text.remember(stored.text, data, known?.copy)
    } catch (error) {
      this.fail(error)
    }
  }

  #persistNew(): MaybePromise<void> {
    const text = this.presentText()
    if (text === '{}') return
    this.client.assertCanSetCookie()
    this.secret ??= this.engine.random.secret() as CookieSecret
    const { id, secret, pendingMaxAge: maxAge } = this
    const created = createRecord(this, { id, secret, text, meta: { maxAge } })
    return chain(created, (stored) => this.settleOn(stored, secret))
  }

  #persistLoaded(stored: StoredSession): MaybePromise<void> {
    const pending = this.pending(stored)
    if (pending.maxAge === undefined && this.#text.isStill(stored.text, pending.text)) return
    warnOfFixation(this.engine, pending)
    return chain(this.land(writeChange(pending), pending), () => undefined)
  }
}

function unreachable(kind: never): never {
  throw new TypeError(`unknown kind of visit: ${String(kind)}`)
}
