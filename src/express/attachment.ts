import type { IncomingMessage, ServerResponse } from 'node:http'
import { commitVisit } from '../core/commit-visit.js'
import type { CookieOrder } from '../core/cookie-order.js'
import type { Engine } from '../core/engine.js'
import { SessionError } from '../core/errors.js'
import { chain } from '../core/maybe.js'
import type { Device } from '../core/record.js'
import type { Session, SessionSnapshot } from '../core/session.js'
import { VisitSnapshot } from '../core/session-snapshot.js'
import type { MaybePromise } from '../core/store.js'
import type { Visit } from '../core/visit.js'
import type { VisitClient } from '../core/visit-client.js'
import type { CookiePolicy } from './cookie-policy.js'
import { askToRetry, cut, type Next, replaceAnswer } from './failure.js'
import { addHeaders, type CookieHeaders } from './headers.js'
import { Hold, type HoldHooks } from './hold.js'
import { deviceOf, hostOf, isNavigation } from './request.js'

/** Ties a visit to the request and the response it belongs to. */
export class Attachment implements VisitClient, HoldHooks {
  readonly engine: Engine
  /** That of another `session()` on the same request. */
  other: Attachment | undefined
  readonly #policy: CookiePolicy
  readonly #req: IncomingMessage
  readonly #res: ServerResponse | undefined
  readonly #next: Next | undefined
  #visit: Visit | undefined
  #hold: Hold | undefined
  #hasFailed = false

  constructor(
    engine: Engine,
    policy: CookiePolicy,
    req: IncomingMessage,
    res: ServerResponse | undefined,
    next: Next | undefined,
  ) {
    this.engine = engine
    this.#policy = policy
    this.#req = req
    // What engine.io and others pass as the response of an upgrade sends no cookies, and nobody waits for it.
    this.#res = (req as { upgrade?: unknown }).upgrade === true ? undefined : res
    this.#next = next
  }

  begin(visit: Visit): void {
    this.#visit = visit
    // A cookie to put right without the handler asking for its session: strays, or one signed with an old key.
    const mustResign = visit.isSignedByOldKey && isNavigation(this.#req)
    if (mustResign) visit.orderCookie()
    if (mustResign || visit.isDuplicate) this.#holdOnce()
  }

  get visit(): Visit {
    return this.#visit as Visit
  }

  /** `req.session`. Until it is read, nothing is parsed, built or hooked. */
  get session(): Session {
    this.#holdOnce()
    if (this.#hold?.canAddHeaders === false) this.#watchAfterEnd()
    return this.visit.open()
  }

  /** Nothing in it can change, so there is nothing to hold the response for. */
  get snapshot(): SessionSnapshot {
    return new VisitSnapshot(this.visit)
  }

  /** `req.session = null` ends the session, as in express-session. */
  end(): void {
    this.#holdOnce()
    void this.visit.open().destroy()
  }

  get device(): Device | undefined {
    return this.engine.options.devices ? deviceOf(this.#req) : undefined
  }

  assertCanSetCookie(): void {
    const res = this.#res
    if (res === undefined) {
      throw new SessionError(
        'ERR_SESSION_NO_RESPONSE',
        'a session needs a response to send its cookie with; pass one: sessions.of(req, res)',
      )
    }
    if (this.#hasFailed || !(this.#hold?.canAddHeaders ?? !res.headersSent)) {
      throw new SessionError(
        'ERR_SESSION_HEADERS_SENT',
        'the headers of this response have left, so it cannot carry a cookie; nothing was stored. Sign in, regenerate and write to a new session before the first byte.',
      )
    }
    this.#policy.assertAccepted(this.#req)
  }

  onLostError(error: unknown): void {
    const res = this.#res
    if (res === undefined || res.writableEnded || this.#hasFailed) return
    if (res.headersSent) cut(res)
    else this.onFailure(error)
  }

  #holdOnce(): void {
    if (this.#res !== undefined) this.#hold ??= new Hold(this.#res, this)
  }

  isSettled(): boolean {
    return this.visit.operations.running === undefined && !this.visit.hasUnsavedChanges()
  }

  hasUnsavedChanges(): boolean {
    return this.visit.hasUnsavedChanges()
  }

  commit(): MaybePromise<CookieHeaders | undefined> {
    const statusCode = this.#res?.statusCode ?? 200
    if (statusCode === 503 && this.visit.called.hasLostStore)
      askToRetry(this.#res as ServerResponse)
    return chain(commitVisit(this.visit, statusCode >= 400), (order) => this.#headersFor(order))
  }

  #headersFor(order: CookieOrder): CookieHeaders | undefined {
    if (order.kind === 'none') return undefined
    const writer = this.#policy.writerFor(this.#req)
    const own = writer.write(order)
    return {
      name: this.#policy.nameFor(this.#req),
      lines: this.visit.isDuplicate ? writer.clearElsewhere(hostOf(this.#req), own) : [own],
      onCacheable: () => this.#warnCacheable(),
    }
  }

  onFailure(error: unknown): void {
    this.#hasFailed = true
    const res = this.#res as ServerResponse
    // A sign-out that the store did not confirm: the user asked, so at least the browser forgets.
    if (this.visit.order.kind === 'clear') {
      addHeaders(res, this.#headersFor(this.visit.order) as CookieHeaders)
    }
    this.visit.close()
    replaceAnswer(error, res, this.#next)
  }

  #warnCacheable(): void {
    this.engine.warn(
      'WARN_SESSION_CACHEABLE',
      () =>
        `${this.#req.method} ${this.#req.url?.split('?', 1)[0]} lets caches keep a response that sets a session cookie; Cache-Control was replaced by private, no-store.`,
    )
  }

  /** Someone looks at the session after the answer: if they change it, nobody would ever know. */
  #watchAfterEnd(): void {
    if (this.#hasFailed || this.#res?.writableEnded !== true) return
    setImmediate(() => {
      // A write that is under way tells its own caller.
      if (this.visit.operations.running === undefined && this.#isChanged()) this.onLateChange()
    })
  }

  /** Data that cannot be stored are a change as well. */
  #isChanged(): boolean {
    try {
      return this.visit.hasUnsavedChanges()
    } catch {
      return true
    }
  }

  onLateChange(): void {
    const { id } = this.visit
    this.engine.events.emit('lateChange', { id })
    this.engine.warn(
      'WARN_SESSION_LATE_CHANGE',
      () =>
        `${this.#req.method} ${this.#req.url?.split('?', 1)[0]} changed req.session after its headers had left, and did not store it: the change is lost, and so is the end of the response where that was still to come. Change it before, or await req.session.save().`,
    )
  }
}

const ATTACHMENT: unique symbol = Symbol('staykept')

interface AttachedRequest extends IncomingMessage {
  [ATTACHMENT]?: Attachment
}

/** What `engine` has to do with a request, also where `req.session` is another one's. */
export function attachmentOf(req: IncomingMessage, engine: Engine): Attachment | undefined {
  let found = (req as AttachedRequest)[ATTACHMENT]
  while (found !== undefined && found.engine !== engine) found = found.other
  return found
}

/** One descriptor for all requests: no closure is made for one that never reads its session. */
const SESSION_PROPERTY: PropertyDescriptor = {
  get(this: AttachedRequest) {
    return this[ATTACHMENT]?.session
  },
  set(this: AttachedRequest, value: unknown) {
    if (value !== null && value !== undefined) {
      throw new TypeError(
        'req.session cannot be replaced; assign its keys, as in Object.assign(req.session, data), or end it with req.session = null',
      )
    }
    this[ATTACHMENT]?.end()
  },
  configurable: true,
  enumerable: true,
}

/** Mounted, a session becomes `req.session`; otherwise it does not take the place of one that is there. */
export function attach(
  attachment: Attachment,
  req: AttachedRequest,
  { visit, isMounted }: { readonly visit: Visit; readonly isMounted: boolean },
): void {
  const first = req[ATTACHMENT]
  if (first === undefined || isMounted) {
    mount(attachment, req)
  } else {
    attachment.other = first.other
    first.other = attachment
  }
  attachment.begin(visit)
}

/** Makes `req.session` that of `attachment`, which may be attached already, behind another one. */
export function mount(attachment: Attachment, req: AttachedRequest): void {
  const first = req[ATTACHMENT]
  if (first === attachment) return
  for (let before = first; before !== undefined; before = before.other) {
    if (before.other === attachment) before.other = attachment.other
  }
  attachment.other = first
  req[ATTACHMENT] = attachment
  Object.defineProperty(req, 'session', SESSION_PROPERTY)
}
