import { reservedKey } from './codec-refusal.js'
import { reloadSession, takeKey, updateSession } from './data-methods.js'
import { endSession, regenerate } from './endings.js'
import type { SessionError } from './errors.js'
import type { UserId } from './record.js'
import type { RegenerateOptions, SessionCookie, SessionInfo, SignInOptions } from './session.js'
import { createSessionCookie } from './session-cookie.js'
import { describeSession } from './session-info.js'
import type { SessionHost } from './session-object.js'
import { signIn } from './sign-in.js'
import type { Visit } from './visit.js'

/** Connects the methods of a session object with the visit behind it. */
export class VisitHost implements SessionHost {
  readonly #visit: Visit

  constructor(visit: Visit) {
    this.#visit = visit
  }

  get id(): string {
    return this.#visit.id
  }

  get info(): SessionInfo {
    return describeSession(this.#visit)
  }

  get cookie(): SessionCookie {
    const visit = this.#visit
    const { options, now } = visit.engine
    return createSessionCookie(options.cookieAttributes, {
      get maxAge() {
        if (visit.pendingMaxAge !== undefined) return visit.pendingMaxAge
        const own = visit.stored?.meta.maxAge
        return own === undefined ? options.cookieMaxAge : own
      },
      set maxAge(value) {
        visit.client.assertCanSetCookie()
        visit.pendingMaxAge = value
      },
      get expiresAt() {
        return describeSession(visit).expiresAt
      },
      get now() {
        return now()
      },
    })
  }

  signIn(userId: UserId, options: SignInOptions): Promise<void> {
    return this.#run((visit) => signIn(visit, userId, options))
  }

  end(reason: 'signOut' | 'destroy'): Promise<void> {
    return this.#run((visit) => endSession(visit, reason))
  }

  update<T>(change: (data: Record<string, unknown>) => T): Promise<T> {
    return this.#run((visit) => updateSession(visit, change))
  }

  take(key: string): Promise<unknown> {
    return this.#run((visit) => takeKey(visit, key))
  }

  regenerate(options: RegenerateOptions): Promise<void> {
    return this.#run((visit) => regenerate(visit, options))
  }

  save(): Promise<void> {
    return this.#run(async (visit) => visit.persist())
  }

  reload(): Promise<void> {
    return this.#run(reloadSession)
  }

  touch(): Promise<void> {
    return this.#run(async (visit) => {
      const { stored, engine, budget } = visit
      if (stored === undefined) return
      visit.stored = await budget.spend(Promise.resolve(engine.touches.move(stored, budget)))
    })
  }

  refuseKey(key: string): SessionError {
    const error = reservedKey(key)
    this.#visit.fail(error)
    return error
  }

  callbackThrew(error: unknown): void {
    this.#visit.fail(error)
    this.#visit.client.onLostError(error)
  }

  #run<T>(operation: (visit: Visit) => Promise<T>): Promise<T> {
    const visit = this.#visit
    if (visit.isUpdating) {
      throw new TypeError('methods of a session cannot be called inside req.session.update()')
    }
    return visit.operations.run(() =>
      visit.failure === undefined ? operation(visit) : Promise.reject(visit.failure.error),
    )
  }
}
