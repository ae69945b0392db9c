import type { SessionError } from './errors.js'
import { isPromise } from './maybe.js'
import type { UserId } from './record.js'
import { RESERVED_KEYS } from './reserved-keys.js'
import type {
  RegenerateOptions,
  Session,
  SessionCallback,
  SessionCookie,
  SessionInfo,
  SignInOptions,
} from './session.js'

/** What stands behind a session object. */
export interface SessionHost {
  readonly id: string
  readonly info: SessionInfo
  readonly cookie: SessionCookie
  signIn(userId: UserId, options: SignInOptions): Promise<void>
  end(reason: 'signOut' | 'destroy'): Promise<void>
  update<T>(change: (data: Record<string, unknown>) => T): Promise<T>
  take(key: string): Promise<unknown>
  regenerate(options: RegenerateOptions): Promise<void>
  save(): Promise<void>
  reload(): Promise<void>
  touch(): Promise<void>
  /** Someone assigned a name that belongs to the session: the request fails, and this is thrown too. */
  refuseKey(key: string): SessionError
  /** A callback threw: nobody else would ever hear of it. */
  callbackThrew(error: unknown): void
}

/** Data are own properties; everything of ours is on the prototype, so data and methods cannot be taken for each other. */
class SessionObject {
  #host: SessionHost

  constructor(host: SessionHost) {
    this.#host = host
  }

  static hostOf(session: unknown): SessionHost {
    if (typeof session === 'object' && session !== null && #host in session) return session.#host
    throw new TypeError('call the methods of a session on req.session itself')
  }

  static rehost(session: SessionObject, host: SessionHost): void {
    session.#host = host
  }
}

// What console.log shows: `Session { cart: [...] }`.
Object.defineProperty(SessionObject, 'name', { value: 'Session' })

const { hostOf } = SessionObject

type Method = (this: unknown, ...args: never[]) => unknown

const methods: Record<string, Method> = {
  signIn(userId: UserId, options: SignInOptions = {}) {
    return hostOf(this).signIn(userId, options)
  },
  signOut(callback?: SessionCallback) {
    const host = hostOf(this)
    return answer(this, host, host.end('signOut'), callback)
  },
  destroy(callback?: SessionCallback) {
    const host = hostOf(this)
    return answer(this, host, host.end('destroy'), callback)
  },
  update(change: (data: Record<string, unknown>) => unknown) {
    return hostOf(this).update(change)
  },
  take(key: string) {
    return hostOf(this).take(key)
  },
  regenerate(options?: RegenerateOptions | SessionCallback, callback?: SessionCallback) {
    const host = hostOf(this)
    const isCallback = typeof options === 'function'
    const done = isCallback ? options : callback
    return answer(this, host, host.regenerate(isCallback ? {} : (options ?? {})), done)
  },
  save(callback?: SessionCallback) {
    const host = hostOf(this)
    return answer(this, host, host.save(), callback)
  },
  reload(callback?: SessionCallback) {
    const host = hostOf(this)
    return answer(this, host, host.reload(), callback)
  },
  touch(callback?: SessionCallback) {
    const host = hostOf(this)
    return answer(this, host, host.touch(), callback)
  },
}

const properties: Record<string, (this: unknown) => unknown> = {
  id() {
    return hostOf(this).id
  },
  info() {
    return hostOf(this).info
  },
  cookie() {
    return hostOf(this).cookie
  },
}

for (const [name, method] of Object.entries(methods)) reserve(name, () => method)
for (const [name, read] of Object.entries(properties)) reserve(name, read)
// Assigning this one changes the object it is assigned to.
reserve('__proto__', function prototypeOf() {
  return Object.getPrototypeOf(this)
})

/** Refuses assignment with a throwing setter: a read-only property would be ignored in silence by sloppy code. */
function reserve(name: string, get: (this: unknown) => unknown): void {
  Object.defineProperty(SessionObject.prototype, name, {
    get,
    set(this: unknown) {
      throw hostOf(this).refuseKey(name)
    },
    enumerable: false,
    configurable: false,
  })
}

/** A promise, or for a callback, as Passport calls these methods, the session itself. */
function answer(
  session: unknown,
  host: SessionHost,
  result: Promise<void>,
  callback: SessionCallback | undefined,
): unknown {
  if (callback === undefined) return result
  if (typeof callback !== 'function') {
    throw new TypeError(`a callback must be a function, not ${typeof callback}`)
  }
  const call = (error?: Error): void => {
    try {
      const answer: unknown = callback(error)
      if (isPromise(answer)) answer.then(undefined, (thrown) => host.callbackThrew(thrown))
    } catch (thrown) {
      host.callbackThrew(thrown)
    }
  }
  result.then(() => call(), call)
  return session
}

export function createSessionObject(host: SessionHost, data: Record<string, unknown>): Session {
  const session = new SessionObject(host)
  for (const key of Object.keys(data)) {
    if (!RESERVED_KEYS.has(key)) (session as unknown as Record<string, unknown>)[key] = data[key]
  }
  return session as unknown as Session
}

/** Gives a session object that was replaced a host of its own: readable, and no longer anything's session. */
export function rehostSessionObject(session: Session, host: SessionHost): void {
  SessionObject.rehost(session as unknown as SessionObject, host)
}
