import type { SessionStore } from 'staykept'

/**
 * What a test of all stores needs to know of one. Every `test/stores/<name>.rig.ts` that exports a `rig` takes part in
 * every test of a promise, and, if processes can share it, in the races between two of them.
 */
export interface StoreRig {
  /** As in `staykept/<name>`; more than one rig of a store says which client it uses: `'redis, with ioredis'`. */
  readonly name: string
  /**
   * Another client of an engine that has a rig already. The kit proves it; the promises and races run on it only where
   * everything is asked for (`npm run test:large`), since the engine is the same.
   */
  readonly isVariant?: boolean
  /** Whether the store has a change feed there: then it is proven once more with a near cache in each process. */
  readonly hasFeed?: boolean
  /** With a near cache in each process. Not to be set by a rig: see `stores-under-test.ts`. */
  readonly isNear?: boolean
  /** Why it cannot be run on this machine; absent or `undefined` where it can. */
  missing?(): string | undefined
  /** A new and empty place for sessions. Starts what has to be started. */
  prepare(): Promise<Place>
  /** Opens the place in this process, once more at every call. */
  open(settings: Settings): OpenedStore
  /**
   * A CommonJS file that opens it in another process: `exports.open = (load, settings) => ({ store, close })`, with
   * `load('redis')` for the module `staykept/redis`. Absent where processes cannot share the store.
   */
  readonly opener?: string
}

/** Where sessions are: names and numbers that survive JSON. */
// biome-ignore lint/suspicious/noExplicitAny: every store has its own
export type Settings = Readonly<Record<string, any>>

export interface Place {
  readonly settings: Settings
  remove?(): Promise<void>
}

export interface OpenedStore {
  readonly store: SessionStore
  /** Ends the client; the store was closed before. */
  close?(): unknown
}
