import { reloadSession, takeKey, updateSession } from './data-methods.js'
import { endSession, regenerate } from './endings.js'
import { SessionError } from './errors.js'
import { chain } from './maybe.js'
import { createSessionCookie } from './session-cookie.js'
import { describeSession } from './session-info.js'
import type { SessionHost } from './session-object.js'
import { signIn } from './sign-in.js'
import type { Visit } from './visit.js'

/** Connects the methods of a session object with the visit behind it. */
export function createSessionHost(visit: Visit): SessionHost {
  const { engine } = visit

  function run<T>(operation: () => Promise<T>): Promise<T> {
    if (!visit.isUpdating) return visit.operations.run(operation)
    return Promise.reject(
      new TypeError('methods of a session cannot be called inside req.session.update()'),
    )
  }

  return {
    get id() {
      return visit.id
    },
    get info() {
      return describeSession(visit)
    },
    get cookie() {
      return createSessionCookie(engine.options.cookieAttributes, {
        get maxAge() {
          if (visit.pendingMaxAge !== undefined) return visit.pendingMaxAge
          const own = visit.stored?.meta.maxAge
          return own === undefined ? engine.options.cookieMaxAge : own
        },
        set maxAge(value) {
          visit.client.assertCanSetCookie()
          visit.pendingMaxAge = value
        },
        get expiresAt() {
          return describeSession(visit).expiresAt
        },
        get now() {
          return engine.now()
        },
      })
    },
    signIn: (userId, options) => run(() => signIn(visit, userId, options)),
    end: (reason) => run(() => endSession(visit, reason)),
    update: (change) => run(() => updateSession(visit, change)),
    take: (key) => run(() => takeKey(visit, key)),
    regenerate: (options) => run(() => regenerate(visit, options)),
    save: () =>
      run(async () => {
        await visit.persist()
      }),
    reload: () => run(() => reloadSession(visit)),
    touch: () =>
      run(async () => {
        const { stored } = visit
        if (stored !== undefined) await chain(engine.touches.touch(stored), () => undefined)
      }),
    refuseKey(key) {
      const error = new SessionError(
        'ERR_SESSION_RESERVED_KEY',
        `req.session.${key} cannot be assigned: the name belongs to the session itself. Nothing of this request is stored; take input key by key, or under a key of your own.`,
        { path: key },
      )
      visit.fail(error)
      return error
    },
    callbackThrew(error) {
      visit.fail(error)
      visit.client.onLostError(error)
    },
  }
}
