import type { KeyObject } from 'node:crypto'
import type { NearCacheOptions } from './near-cache.js'
import type { CookieAttributes } from './session-cookie.js'
import { showValue } from './show-value.js'
import type { SessionStore } from './store.js'
import type { Timeouts } from './timing.js'

/** The core's part of the options, checked and complete. */
export interface CoreOptions {
  readonly secrets: readonly (string | Uint8Array | KeyObject)[]
  readonly store: SessionStore
  readonly timeouts: Timeouts
  /** The idle timeout that the browser is told of; `null` for a cookie that ends with the browser. */
  readonly cookieMaxAge: number | null
  readonly cookieAttributes: CookieAttributes
  /** Milliseconds that one request may wait for the store. */
  readonly storeBudget: number
  readonly onStoreError: 'fail' | 'anonymous'
  readonly awaitTouch: boolean
  /** `undefined`: every session is read from the store. */
  readonly nearCache: Required<NearCacheOptions> | undefined
  readonly devices: boolean
  readonly maxBytes: number
  /** Milliseconds between prunings; 0 for never. */
  readonly pruneInterval: number
  readonly clock: Clock
  /** Whether `clock` is the machine's own, so that the store's may correct it. */
  readonly isSystemClock: boolean
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
}

const STORE_METHODS = ['load', 'create', 'update', 'touch', 'delete'] as const

/** Refuses what is no store, and says what it seems to be. */
export function checkStore(store: unknown): SessionStore {
  if (typeof store === 'function') {
    if (isIncumbentStore(store.prototype)) throw incumbentStore()
    throw new TypeError(
      `store must be a session store, not ${showValue(store)}. Call it, as in store: sqliteStore({ filename: 'sessions.db' }).`,
    )
  }
  if (typeof store !== 'object' || store === null) {
    // It may be the address of a database, password and all: not shown.
    throw new TypeError(
      `store must be a session store such as memoryStore() or sqliteStore({ filename: 'sessions.db' }), not ${store === null ? 'null' : `a ${typeof store}`}`,
    )
  }
  if (has(store, 'then')) {
    throw new TypeError('store must be a session store, not a promise of one; await it first')
  }
  const missing = STORE_METHODS.filter((name) => !has(store, name))
  if (missing.length === 0) return store as SessionStore
  if (isIncumbentStore(store)) throw incumbentStore()
  throw new TypeError(
    `store is no session store: it has no ${missing.join(', ')}. A database client or connection is not one yet; it goes into a store, as in store: sqliteStore({ database }).`,
  )
}

function has(object: unknown, name: string): boolean {
  return typeof (object as Record<string, unknown> | undefined)?.[name] === 'function'
}

function isIncumbentStore(store: unknown): boolean {
  return has(store, 'get') && has(store, 'set') && has(store, 'destroy')
}

function incumbentStore(): TypeError {
  return new TypeError(
    'store is an express-session store, which cannot keep the promises of staykept: it has no conditional write. Use a store of staykept, such as sqliteStore from staykept/sqlite.',
  )
}
