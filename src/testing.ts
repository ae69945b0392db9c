/** Doubles for tests: a clock that is moved, a store that fails on demand, and a store whose calls wait to be let go. */
export { type MovableClock, movableClock } from './testing/clock.js'
export {
  type FaultScope,
  type FaultyStore,
  type FaultyStoreOptions,
  faultyStore,
  type StoreMethod,
  type WhenHealed,
} from './testing/faulty-store.js'
export {
  type GatedStore,
  type GatedStoreOptions,
  gatedStore,
  type WaitingCall,
} from './testing/gated-store.js'
