import { commitVisit } from '../../src/core/commit-visit.js'
import type { Engine } from '../../src/core/engine.js'
import { openVisit } from '../../src/core/open-visit.js'
import type { CoreOptions } from '../../src/core/options.js'
import type { Random } from '../../src/core/random.js'
import type { UserId } from '../../src/core/record.js'
import type { SessionMethods } from '../../src/core/session.js'
import type { SessionManager } from '../../src/core/sessions.js'
import { createSessions } from '../../src/core/sessions.js'
import type { SessionStore } from '../../src/core/store.js'
import type { Visit } from '../../src/core/visit.js'
import type { VisitClient } from '../../src/core/visit-client.js'

/** The doors of the core, so that a changed copy of it can stand behind them. */
export interface Core {
  readonly createSessions: typeof createSessions
  readonly openVisit: typeof openVisit
  readonly commitVisit: typeof commitVisit
}

export const core: Core = { createSessions, openVisit, commitVisit }

/** A browser as far as sessions go: one cookie, or none. */
export interface Jar {
  cookie: string | undefined
}

export function createJar(cookie?: string): Jar {
  return { cookie }
}

/** Data of a test session: whatever keys the test likes. */
export type Data = Record<string, unknown>

/** A session whose data are whatever a test likes. */
export type TestSession = Data &
  Omit<SessionMethods, 'update' | 'take' | 'signIn'> & {
    update<T>(change: (data: Data) => T): Promise<T>
    take(key: string): Promise<unknown>
    signIn(
      userId: UserId,
      options?: { keep?: readonly string[]; data?: Data; maxAge?: number | null },
    ): Promise<void>
  }

/** One request, without HTTP. */
export interface Visitor {
  readonly visit: Visit
  readonly session: TestSession
  /** Commits, and has the browser obey the answer's cookie. Rejects where the response would be an error. */
  respond(): Promise<void>
}

/** One process of an application: an engine and its manager. */
export interface Process {
  readonly engine: Engine
  readonly manager: SessionManager
  request(jar?: Jar): Promise<Visitor>
  /** A whole request: the handler, then the commit. */
  handle<T>(jar: Jar, handler: (session: TestSession, visit: Visit) => T | Promise<T>): Promise<T>
}

export const SECRET = 'a secret of more than thirty-two characters'

export function coreOptions(store: SessionStore, options: Partial<CoreOptions> = {}): CoreOptions {
  return {
    secrets: [SECRET],
    store,
    timeouts: { idleTimeout: 30 * 60_000, absoluteTimeout: 12 * 3_600_000 },
    cookieMaxAge: null,
    cookieAttributes: {
      path: '/',
      domain: undefined,
      httpOnly: true,
      secure: 'auto',
      sameSite: 'lax',
      partitioned: false,
      priority: undefined,
    },
    storeBudget: 1000,
    onStoreError: 'fail',
    awaitTouch: false,
    nearCache: undefined,
    devices: false,
    maxBytes: 262_144,
    pruneInterval: 0,
    clock: { now: () => Date.now() },
    isSystemClock: false,
    ...options,
  }
}

export function createProcess(
  store: SessionStore,
  options: Partial<CoreOptions> = {},
  { createSessions: create, openVisit: open, commitVisit: commit }: Core = core,
  random?: Random,
): Process {
  const { engine, manager } = create(coreOptions(store, options), random)

  async function request(jar: Jar = createJar()): Promise<Visitor> {
    const values = jar.cookie === undefined ? [] : [jar.cookie]
    const visit = await open(engine, createClient(), values)
    return {
      visit,
      get session() {
        return visit.open() as unknown as TestSession
      },
      async respond() {
        const order = await commit(visit)
        if (order.kind === 'set') jar.cookie = order.value
        if (order.kind === 'clear') jar.cookie = undefined
      },
    }
  }

  return {
    engine,
    manager,
    request,
    async handle(jar, handler) {
      const visitor = await request(jar)
      const answer = await handler(visitor.session, visitor.visit)
      await visitor.respond()
      return answer
    },
  }
}

export function createClient(client: Partial<VisitClient> = {}): VisitClient {
  return {
    assertCanSetCookie() {},
    device: undefined,
    onLostError(error) {
      throw error
    },
    ...client,
  }
}

/** What is in a session, without its methods. */
export function dataOf(session: object): Data {
  return { ...session }
}

/** The code of the error that `work` ends with, or `'ok'`. */
export function codeOf(work: PromiseLike<unknown>): Promise<string> {
  return Promise.resolve(work).then(
    () => 'ok',
    (error: { code?: string }) => error.code ?? String(error),
  )
}
