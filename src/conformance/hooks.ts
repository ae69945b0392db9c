import type { MaybePromise, SessionStore } from '../core/store.js'

/**
 * What only the test of a store can do, since only it knows the engine. All of it is optional; each hook that `open`
 * gives lets the kit look deeper.
 */
export interface EngineHooks {
  /** A second store on the same data, such as another process would open. The kit closes it. */
  reopen?(): MaybePromise<SessionStore>

  /**
   * Puts `around` in the way of every command that the store sends to its engine, until the returned function is
   * called. With it the kit stands between two commands of one call, and kills the caller there.
   */
  intercept?(around: Around): () => void

  /** Cuts the connection of the feed behind `watch`, without a word to the store. */
  cutFeed?(): MaybePromise<void>

  /** The next time `method` changes a record, the engine executes it and the connection breaks before the reply. */
  cutReply?(method: ChangingMethod): MaybePromise<void>

  /** How often the engine itself executed the step in which `method` changes a record. Counted at the engine. */
  executions?(method: ChangingMethod): MaybePromise<number>

  /** Called after the store is closed: removes what `open` made for it. */
  done?(): MaybePromise<void>
}

/** Sends one command by calling `send`, sooner or later or never. */
export type Around = <T>(send: () => Promise<T>) => Promise<T>

export type ChangingMethod = 'create' | 'update' | 'touch' | 'delete'
