import { KeyObject } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { NearCacheOptions } from '../core/near-cache.js'
import { type Clock, type CoreOptions, checkStore } from '../core/options.js'
import { showValue } from '../core/show-value.js'
import type { SessionStore } from '../core/store.js'
import { type CookieOptions, type ResolvedCookie, resolveCookie } from './cookie-options.js'
import { resolveNearCache } from './near-cache-option.js'
import { unknownOption } from './unknown-option.js'

/** The options of `session()`. Times are milliseconds. */
export interface SessionOptions {
  /**
   * Signs the cookie, so that a forged one costs no store call. Any string; 32 random characters or more are best. With
   * a list the first signs and all verify: put a new one in front, and take the old one out after `absoluteTimeout`.
   */
  readonly secret: SessionSecret | readonly SessionSecret[]
  /** Where sessions live. Default `memoryStore()`: this process only, gone with it. */
  readonly store?: SessionStore
  /**
   * Name of the cookie. Default `__Host-sid` on secure requests and `sid` on others (`__Secure-sid` with a `domain` or a
   * `path`, which `__Host-` does not allow).
   */
  readonly name?: string
  readonly cookie?: CookieOptions
  /** How long a session may lie idle, where `cookie.maxAge` does not say. Default 30 minutes. */
  readonly idleTimeout?: number
  /** How long a session may live however busy it is, from sign-in. Default 12 hours, or `cookie.maxAge` where that is longer. */
  readonly absoluteTimeout?: number
  /** How long one request may wait for the store before it is answered 503. Default 1000. */
  readonly storeBudget?: number
  /**
   * What a request with a session cookie gets while the store does not answer: `'fail'` (default) a 503 with Retry-After,
   * `'anonymous'` an empty read-only session. The cookie is left alone either way.
   */
  readonly onStoreError?: 'fail' | 'anonymous'
  /** Waits for last-seen to be stored before the handler runs, for platforms that freeze after the response. Default `false`. */
  readonly awaitTouch?: boolean
  /**
   * Serves sessions from the memory of this process while the store's change feed proves that nobody changed them:
   * `true`, or how much and how long. Reads only; a session that ended elsewhere may be read for `maxStaleness`, at the
   * most. Needs a store with `watch`. Default `false`.
   */
  readonly nearCache?: boolean | NearCacheOptions
  /** Requests that need no session: return `true`, and nothing is read for them. */
  readonly skip?: (req: IncomingMessage) => boolean
  /** Keeps user agent and address with each signed-in session, for `listByUser`. Default `false`. */
  readonly devices?: boolean
  /** Whether `X-Forwarded-Proto` is believed. Default: what Express says in `req.secure`, by its `trust proxy` setting. */
  readonly proxy?: boolean
  /** The largest session in bytes; a larger one is refused with 413. Default 262,144. */
  readonly maxBytes?: number
  /** Time between prunings of expired sessions; 0 for never. Default 10 minutes. */
  readonly pruneInterval?: number
  /** For tests: `movableClock()` from `staykept/testing`. */
  readonly clock?: Clock
  /** Accepted from express-session and not needed: a session is stored when it changed. */
  readonly resave?: boolean
  /** Accepted from express-session and not needed: a session is stored when there is something in it. */
  readonly saveUninitialized?: boolean
  /** Accepted from express-session and not needed: the idle timeout always slides, on the server. */
  readonly rolling?: boolean
}

export type SessionSecret = string | Uint8Array | KeyObject

export interface ResolvedOptions {
  readonly core: CoreOptions
  readonly cookie: ResolvedCookie
  readonly skip: ((req: IncomingMessage) => boolean) | undefined
  readonly proxy: boolean | undefined
  /** What to warn about as soon as there is someone to hear it. */
  readonly hasWeakSecret: boolean
  readonly isDefaultStore: boolean
}

const MINUTE = 60_000
const DEFAULT_IDLE_TIMEOUT = 30 * MINUTE
const DEFAULT_ABSOLUTE_TIMEOUT = 12 * 60 * MINUTE
const GOOD_SECRET_LENGTH = 32

const KNOWN = new Set([
  'secret',
  'store',
  'name',
  'cookie',
  'idleTimeout',
  'absoluteTimeout',
  'storeBudget',
  'onStoreError',
  'awaitTouch',
  'nearCache',
  'skip',
  'devices',
  'proxy',
  'maxBytes',
  'pruneInterval',
  'clock',
  'resave',
  'saveUninitialized',
  'rolling',
])

/** By their names in lower case, without dashes. */
const MENDS: Readonly<Record<string, string>> = {
  maxage: 'Did you mean cookie: { maxAge }?',
  expires: 'Did you mean cookie: { maxAge }, in milliseconds?',
  ttl: 'Did you mean cookie: { maxAge }, in milliseconds?',
  timeout: 'Did you mean idleTimeout or absoluteTimeout?',
  key: 'Did you mean name, the name of the cookie?',
  secrets: 'Did you mean secret? It takes a list too.',
  secure: 'Did you mean cookie: { secure }?',
  httponly: 'Did you mean cookie: { httpOnly }?',
  samesite: 'Did you mean cookie: { sameSite }?',
  domain: 'Did you mean cookie: { domain }?',
  path: 'Did you mean cookie: { path }?',
  partitioned: 'Did you mean cookie: { partitioned }?',
  genid: 'Ids are random and made by staykept; leave it out.',
  unset: 'Ending a session is req.session = null or await req.session.signOut(); leave it out.',
  cache: 'Did you mean nearCache?',
  adopt: 'Taking over sessions of express-session is not there yet.',
  touchafter: 'A session that is only read is stored at most once per tenth of its idle timeout.',
  prefix: 'Where sessions are kept is an option of the store, as in sqliteStore({ table }).',
  client: 'A database client goes into a store first, as in store: sqliteStore({ database }).',
  trustproxy: "Did you mean app.set('trust proxy', 1), or the option proxy: true?",
}

export function resolveOptions(
  options: SessionOptions,
  createDefaultStore: () => SessionStore,
): ResolvedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `session() takes options, at least a secret: session({ secret: process.env.SESSION_SECRET })`,
    )
  }
  for (const key of Object.keys(options)) {
    if (!KNOWN.has(key)) throw unknownOption(key, { known: KNOWN, mends: MENDS })
  }
  const secrets = checkSecrets(options.secret)
  const cookie = resolveCookie(options.cookie, options.name)
  const timeouts = resolveTimeouts(options, cookie.maxAge)
  const { clock } = options
  if (clock !== undefined && typeof clock?.now !== 'function') {
    throw new TypeError(
      `clock is an object with now(), as movableClock() from staykept/testing makes, not ${showValue(clock)}`,
    )
  }
  const store = options.store === undefined ? createDefaultStore() : checkStore(options.store)
  const core: CoreOptions = {
    secrets,
    store,
    timeouts,
    cookieMaxAge: cookie.maxAge,
    cookieAttributes: cookie.attributes,
    storeBudget: checkTimer(options.storeBudget, 'storeBudget') ?? 1000,
    onStoreError: checkOnStoreError(options.onStoreError),
    awaitTouch: checkFlag(options.awaitTouch, 'awaitTouch'),
    nearCache: resolveNearCache(options.nearCache, store),
    devices: checkFlag(options.devices, 'devices'),
    maxBytes: checkDuration(options.maxBytes, 'maxBytes', 'bytes') ?? 262_144,
    pruneInterval:
      options.pruneInterval === 0
        ? 0
        : (checkTimer(options.pruneInterval, 'pruneInterval') ?? 10 * MINUTE),
    clock: clock ?? Date,
    isSystemClock: clock === undefined,
  }
  if (options.skip !== undefined && typeof options.skip !== 'function') {
    throw new TypeError(
      `skip is a function of the request, as in skip: (req) => req.url.startsWith('/assets/'), not ${showValue(options.skip)}`,
    )
  }
  for (const name of ['resave', 'saveUninitialized', 'rolling'] as const) {
    checkFlag(options[name], name)
  }
  return {
    core,
    cookie,
    skip: options.skip,
    proxy: checkProxy(options.proxy),
    hasWeakSecret: secrets.some((secret) => lengthOf(secret) < GOOD_SECRET_LENGTH),
    isDefaultStore: options.store === undefined,
  }
}

const MAKE_ONE =
  "Make one with: node -p \"require('node:crypto').randomBytes(32).toString('base64url')\""

function checkSecrets(secret: unknown): readonly SessionSecret[] {
  if (secret === undefined || secret === null || secret === '') {
    const found = secret === '' ? 'is empty' : `is ${secret}`
    throw new TypeError(
      `session() needs a secret, and secret ${found}. If it comes from process.env, the variable is not set. ${MAKE_ONE}`,
    )
  }
  const list: readonly unknown[] = Array.isArray(secret) ? secret : [secret]
  if (list.length === 0)
    throw new TypeError(`secret is an empty list; it needs at least one secret. ${MAKE_ONE}`)
  for (const [index, one] of list.entries()) {
    const isText = typeof one === 'string' && one !== ''
    const isBytes = one instanceof Uint8Array && one.length > 0
    const isKey = one instanceof KeyObject && one.type === 'secret'
    if (isText || isBytes || isKey) continue
    const name = Array.isArray(secret) ? `secret[${index}]` : 'secret'
    throw new TypeError(
      `${name} is a non-empty string, a Buffer or a secret KeyObject, not ${describe(one)}. ${MAKE_ONE}`,
    )
  }
  return list as readonly SessionSecret[]
}

/** The kind of a value, never the value: it may be a secret. */
function describe(value: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'undefined'
  if (value === '') return 'an empty string'
  if (value instanceof Uint8Array) return 'an empty Buffer'
  return value instanceof KeyObject ? `a ${value.type} key` : `a value of type ${typeof value}`
}

function lengthOf(secret: SessionSecret): number {
  return secret instanceof KeyObject ? (secret.symmetricKeySize ?? 0) : secret.length
}

function resolveTimeouts(options: SessionOptions, maxAge: number | null): CoreOptions['timeouts'] {
  const idle = checkDuration(options.idleTimeout, 'idleTimeout')
  if (idle !== undefined && maxAge !== null) {
    throw new TypeError(
      'idleTimeout and cookie.maxAge say the same thing; keep cookie.maxAge for a cookie that outlives the browser, else idleTimeout',
    )
  }
  const absolute = checkDuration(options.absoluteTimeout, 'absoluteTimeout')
  const idleTimeout = maxAge ?? idle ?? Math.min(DEFAULT_IDLE_TIMEOUT, absolute ?? Infinity)
  if (absolute !== undefined && absolute < idleTimeout) {
    throw new TypeError(
      `absoluteTimeout (${absolute}) is shorter than the idle timeout (${idleTimeout}, from ${maxAge === null ? 'idleTimeout' : 'cookie.maxAge'}); make it at least as long`,
    )
  }
  return {
    idleTimeout,
    absoluteTimeout: absolute ?? Math.max(DEFAULT_ABSOLUTE_TIMEOUT, idleTimeout),
  }
}

function checkDuration(value: unknown, name: string, unit = 'milliseconds'): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  const hint = unit === 'milliseconds' ? '. One hour is 60 * 60 * 1000.' : ''
  throw new TypeError(`${name} is a number of ${unit} above 0; ${showValue(value)} is not${hint}`)
}

/** What Node's timers can count; with more they go off at once. */
const LONGEST_TIMER = 2 ** 31 - 1

function checkTimer(value: unknown, name: string): number | undefined {
  const duration = checkDuration(value, name)
  if (duration === undefined || duration <= LONGEST_TIMER) return duration
  throw new TypeError(
    `${name} is at most ${LONGEST_TIMER} milliseconds, 24 days; ${showValue(value)} is more`,
  )
}

function checkFlag(value: unknown, name: string): boolean {
  if (value === undefined) return false
  if (typeof value === 'boolean') return value
  throw new TypeError(`${name} is true or false, not ${showValue(value)}`)
}

function checkProxy(value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw new TypeError(
    `proxy is true or false, not ${showValue(value)}. Which proxies to trust is told to Express: app.set('trust proxy', 1).`,
  )
}

function checkOnStoreError(value: unknown): 'fail' | 'anonymous' {
  if (value === undefined) return 'fail'
  if (value === 'fail' || value === 'anonymous') return value
  throw new TypeError(`onStoreError is 'fail' or 'anonymous', not ${showValue(value)}`)
}
