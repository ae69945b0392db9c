import type { Mutation } from './reference.js'

/** A wrong store, by what is wrong with it. */
export interface BrokenStore {
  readonly mutation: Mutation
  /** The test of the kit that is there for this very mistake. */
  readonly caughtBy: string
}
