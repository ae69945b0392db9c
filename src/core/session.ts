import type { UserId } from './record.js'

/**
 * What your sessions hold. Add to it from your own code, and `req.session` is typed everywhere:
 *
 * ```ts
 * declare module 'staykept' {
 *   interface SessionData { user?: { id: number; username: string } }
 * }
 * ```
 *
 * The names below are methods and properties of `req.session` itself; declaring one of them again is an error on your line.
 */
export interface SessionData {
  readonly id?: ReservedName
  readonly cookie?: ReservedName
  readonly info?: ReservedName
  readonly touch?: ReservedName
  readonly save?: ReservedName
  readonly reload?: ReservedName
  readonly destroy?: ReservedName
  readonly regenerate?: ReservedName
  readonly signIn?: ReservedName
  readonly signOut?: ReservedName
  readonly update?: ReservedName
  readonly take?: ReservedName
}

/** Marks the names that session data cannot have. */
export interface ReservedName {
  readonly 'this name belongs to req.session': never
}

/** The names that session data cannot have at its top level. */
export type ReservedKey =
  | 'id'
  | 'cookie'
  | 'info'
  | 'touch'
  | 'save'
  | 'reload'
  | 'destroy'
  | 'regenerate'
  | 'signIn'
  | 'signOut'
  | 'update'
  | 'take'

/** The data of a session as its handlers see it: your `SessionData`, each key optional. */
export type SessionFields = {
  [Key in keyof SessionData as Key extends ReservedKey ? never : Key]?: SessionData[Key] | undefined
}

/** `req.session`: a plain object with methods on its prototype. */
export type Session = SessionMethods & SessionFields

/**
 * `sessions.snapshot(req)`: what is stored of the session, to be read and not changed. What this request assigns to
 * `req.session` shows once it is stored. Reading it costs the same however large the session is, as long as the near
 * cache has it.
 */
export interface SessionSnapshot {
  /** As `req.session.id`. */
  readonly id: string
  /** As `req.session.info`. */
  readonly info: SessionInfo
  /** The data, frozen all the way down: one object for all requests that read this session. */
  readonly data: ReadonlyData<SessionFields>
}

/** The same values, none of which can be assigned to. */
export type ReadonlyData<T> = T extends Date
  ? Omit<Date, `set${string}`>
  : T extends ReadonlyMap<infer Key, infer Value>
    ? ReadonlyMap<ReadonlyData<Key>, ReadonlyData<Value>>
    : T extends ReadonlySet<infer Value>
      ? ReadonlySet<ReadonlyData<Value>>
      : T extends object
        ? { readonly [Key in keyof T]: ReadonlyData<T[Key]> }
        : T

/** Called once with an error, or with nothing where all went well. */
export type SessionCallback = (error?: Error) => void

export interface SessionMethods {
  /** The public id of the session: stable through sign-in, safe in pages and logs. It opens nothing. */
  readonly id: string
  /** What staykept knows about the session: a frozen snapshot. */
  readonly info: SessionInfo
  /** The cookie of this session. Assign `cookie.maxAge` to give it an idle timeout of its own. */
  readonly cookie: SessionCookie

  /**
   * Signs a user in: a new secret for the same session, bound to the user. Data from before is dropped, except for
   * the keys in `keep`; `data` is added. Use it at every sign-in and whenever rights change: an old cookie is worth
   * nothing afterwards (OWASP ASVS 7.2.4).
   *
   * Never fails because of the session it began with: where that has ended, a new one is made.
   *
   * @throws {TypeError} for a user id that is not a non-empty string, a finite number or a bigint.
   * @throws {SessionError} `ERR_SESSION_REVOKED` if the user's sessions were revoked since this request began;
   * `ERR_SESSION_STORE` or `ERR_SESSION_OUTCOME_UNKNOWN` if the store failed.
   */
  signIn(userId: UserId, options?: SignInOptions): Promise<void>

  /**
   * Ends the session in the store and clears the cookie. `req.session` is then a new, empty session.
   * If the store does not confirm, it rejects, the cookie is cleared all the same, this process refuses the session
   * at once and goes on asking the store.
   */
  signOut(): Promise<void>
  signOut(callback: SessionCallback): this

  /** The same as `signOut`. */
  destroy(): Promise<void>
  destroy(callback: SessionCallback): this

  /**
   * Changes the session exactly once on its newest data, whatever other requests do meanwhile. `change` must be
   * synchronous and may run several times. Answers what `change` returned last. Assignments made before in this
   * request are stored along.
   */
  update<T>(change: (data: SessionFields) => T extends PromiseLike<unknown> ? never : T): Promise<T>

  /** Removes a key and answers its value; of all readers, at most one gets it. `undefined` where there is none. */
  take<Key extends keyof SessionFields>(key: Key): Promise<SessionFields[Key] | undefined>

  /** Ends this session and starts a new one, with a new id, empty but for the keys in `keep`. Nobody is signed in to it. */
  regenerate(options?: RegenerateOptions): Promise<void>
  regenerate(callback: SessionCallback): this

  /** Stores what was changed now, not at the end of the request. */
  save(): Promise<void>
  save(callback: SessionCallback): this

  /** Reads the session again and drops what was not stored. */
  reload(): Promise<void>
  reload(callback: SessionCallback): this

  /** Counts as activity now. Not needed for it to happen: every request counts. */
  touch(): Promise<void>
  touch(callback: SessionCallback): this
}

export interface SignInOptions {
  /** Keys that outlive the sign-in. Everything else from before is dropped, so that nothing planted survives. */
  readonly keep?: readonly (keyof SessionFields | (string & {}))[]
  /** Data for the signed-in session. */
  readonly data?: SessionFields
  /** Idle timeout of this session in milliseconds, told to the browser ("remember me"); `null` ends it with the browser. */
  readonly maxAge?: number | null
}

export interface RegenerateOptions {
  /** Keys that move to the new session. */
  readonly keep?: readonly (keyof SessionFields | (string & {}))[]
}

/** Times are milliseconds since 1970. */
export interface SessionInfo {
  readonly userId: UserId | undefined
  /** Whether nothing is stored of this session yet. */
  readonly isNew: boolean
  readonly createdAt: number
  readonly signedInAt: number | undefined
  readonly lastSeenAt: number
  /** When the session ends unless it is used. */
  readonly expiresAt: number
  /** A name of the session for CSRF libraries: new at every rotation, and useless as a cookie. */
  readonly csrfId: string
}

/** The cookie of a session. Only `maxAge`, `originalMaxAge` and `expires` can be assigned; the rest is configuration. */
export interface SessionCookie {
  /** Idle timeout in milliseconds; `null` where the cookie ends with the browser. */
  get maxAge(): number | null
  set maxAge(value: number | null)
  /** The same as `maxAge`. */
  get originalMaxAge(): number | null
  set originalMaxAge(value: number | null)
  /** When the session ends unless it is used; `null` where the cookie ends with the browser. */
  get expires(): Date | null
  set expires(value: Date | null)
  readonly path: string
  readonly domain: string | undefined
  readonly httpOnly: boolean
  readonly secure: boolean | 'auto'
  readonly sameSite: 'lax' | 'strict' | 'none' | false
  readonly partitioned: boolean
  readonly priority: 'low' | 'medium' | 'high' | undefined
}
