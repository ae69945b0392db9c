import type { IncomingMessage, ServerResponse } from 'node:http'
import { chain, isPromise } from '../core/maybe.js'
import { freshen, openVisit } from '../core/open-visit.js'
import type { Session, SessionSnapshot } from '../core/session.js'
import { createSessions, type SessionManager } from '../core/sessions.js'
import { showValue } from '../core/show-value.js'
import type { MaybePromise, SessionStore } from '../core/store.js'
import { Attachment, attach, attachmentOf, mount } from './attachment.js'
import { pathMatches } from './cookie-header.js'
import { createCookiePolicy } from './cookie-policy.js'
import { type Next, refuse } from './failure.js'
import { resolveOptions, type SessionOptions } from './options.js'
import { pathOf } from './request.js'

export type { Next } from './failure.js'

/** Mount it with `app.use(sessions)`; it is the manager of its sessions as well. */
export interface Sessions extends SessionManager {
  (req: IncomingMessage, res: ServerResponse, next: Next): void

  /**
   * The session of a request without the middleware: for WebSocket upgrades, and for single routes. With a response
   * (Express knows it from the request) changes are stored before that is sent, as with the middleware. Without one,
   * only `save`, `update` and the like store anything, and a new session cannot be made, for lack of a cookie.
   */
  of(req: IncomingMessage, res?: ServerResponse, options?: OfOptions): Promise<Session>

  /**
   * What is stored of the session of a request, to be read and not changed. With a near cache it costs the same however
   * large the session is, because nothing is parsed or copied. Neither does it hold up the response.
   *
   * @throws {TypeError} for a request that went past the middleware.
   */
  snapshot(req: IncomingMessage): SessionSnapshot

  /**
   * For routes that must not go by what the near cache has: `app.post('/transfer', sessions.fresh, transfer)`. Where it
   * was good enough so far, the session is read from the store. Without a near cache it does what the middleware does.
   */
  fresh(req: IncomingMessage, res: ServerResponse, next: Next): void
}

export interface OfOptions {
  /** Read from the store, whatever the near cache has. Default `false`. */
  readonly fresh?: boolean
}

export function createMiddleware(
  options: SessionOptions,
  createDefaultStore: () => SessionStore,
): Sessions {
  const resolved = resolveOptions(options, createDefaultStore)
  const { engine, manager } = createSessions(resolved.core)
  const policy = createCookiePolicy(resolved, engine.warn)
  const { skip } = resolved
  const { path } = resolved.cookie.attributes
  warnAtStart()
  engine.upkeep.checkSoon()

  function sessions(req: IncomingMessage, res: ServerResponse, next: Next): void {
    mountFor(req, { res, next, isFresh: false })
  }

  function fresh(req: IncomingMessage, res: ServerResponse, next: Next): void {
    mountFor(req, { res, next, isFresh: true })
  }

  function mountFor(req: IncomingMessage, { res, next, isFresh }: Mounting): void {
    let opened: MaybePromise<unknown>
    try {
      const attached = attachmentOf(req, engine)
      if (attached !== undefined) {
        mount(attached, req)
        opened = isFresh ? freshen(attached.visit) : undefined
      } else if (!isOutside(req)) {
        opened = open(req, { res, next, isFresh, isMounted: true })
      }
    } catch (error) {
      refuse(error, res, next)
      return
    }
    if (isPromise(opened)) {
      opened.then(
        () => next(),
        (error: unknown) => refuse(error, res, next),
      )
    } else {
      next()
    }
  }

  function isOutside(req: IncomingMessage): boolean {
    if (path !== '/' && !pathMatches(pathOf(req), path)) return true
    const isSkipped: unknown = skip?.(req)
    if (isPromise(isSkipped)) {
      isSkipped.then(undefined, () => {})
      throw new TypeError('skip answers true or false at once; it answered a promise')
    }
    return isSkipped === true
  }

  function open(
    req: IncomingMessage,
    { res, next, isFresh, isMounted }: Opening,
  ): MaybePromise<Attachment> {
    const attachment = new Attachment(engine, policy, req, res, next)
    return chain(openVisit(engine, attachment, policy.read(req), isFresh), (visit) => {
      attach(attachment, req, { visit, isMounted })
      return attachment
    })
  }

  function warnAtStart(): void {
    if (resolved.hasWeakSecret) {
      engine.warn(
        'WARN_SESSION_SECRET',
        () =>
          `secret is shorter than 32 characters. It keeps forged cookies from the store; a random one of 32 bytes does that best: node -p "require('node:crypto').randomBytes(32).toString('base64url')"`,
      )
    }
    if (resolved.isDefaultStore && process.env.NODE_ENV === 'production') {
      engine.warn(
        'WARN_SESSION_MEMORY_STORE',
        () =>
          "sessions are kept in the memory of this process: a restart ends them all, and other processes do not see them. For production pass a store, as in store: sqliteStore({ filename: 'sessions.db' }) from staykept/sqlite.",
      )
    }
  }

  const opening = new WeakMap<IncomingMessage, MaybePromise<Attachment>>()

  const face: Pick<Sessions, 'of' | 'fresh' | 'snapshot'> = {
    fresh,
    snapshot(req) {
      const attached = attachmentOf(req, engine)
      if (attached !== undefined) return attached.snapshot
      throw new TypeError(
        'sessions.snapshot(req): this request has no session yet. Mount app.use(sessions) before the route, or await sessions.of(req) first; requests that skip exempts have none.',
      )
    },
    async of(req, res = (req as { res?: ServerResponse }).res, options = {}) {
      const isFresh = checkFresh(options)
      const pending = attachmentOf(req, engine) ?? opening.get(req)
      if (pending !== undefined) {
        const attached = await pending
        if (isFresh) await freshen(attached.visit)
        return attached.session
      }
      const next = res === undefined ? undefined : (req as { next?: Next }).next
      const opened = open(req, { res, next, isFresh, isMounted: false })
      opening.set(req, opened)
      try {
        return (await opened).session
      } finally {
        opening.delete(req)
      }
    },
  }
  return Object.assign(sessions, manager, face) as Sessions
}

interface Mounting {
  readonly res: ServerResponse
  readonly next: Next
  readonly isFresh: boolean
}

interface Opening {
  readonly res: ServerResponse | undefined
  readonly next: Next | undefined
  readonly isFresh: boolean
  /** As middleware, not by `sessions.of`. */
  readonly isMounted: boolean
}

function checkFresh(options: OfOptions): boolean {
  const { fresh = false, ...others } = options ?? {}
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw new TypeError(`sessions.of has no option "${unknown}": it takes fresh`)
  if (typeof fresh === 'boolean') return fresh
  throw new TypeError(`sessions.of: fresh is true or false, not ${showValue(fresh)}`)
}
