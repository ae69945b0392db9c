import type { SessionStore } from '../core/store.js'

/** The methods of a store that answer something and so can fail: all but `watch`, `reconnect` and `close`. */
export type StoreMethod =
  | 'load'
  | 'create'
  | 'update'
  | 'touch'
  | 'delete'
  | 'listByUser'
  | 'deleteByUser'
  | 'revocationMark'
  | 'deleteExpired'
  | 'ping'

export const STORE_METHODS: readonly StoreMethod[] = [
  'load',
  'create',
  'update',
  'touch',
  'delete',
  'listByUser',
  'deleteByUser',
  'revocationMark',
  'deleteExpired',
  'ping',
]

/** One call that is on its way to the inner store. */
export interface StoreCall {
  readonly method: StoreMethod
  readonly args: readonly unknown[]
  /** Calls the inner store, and answers as it does: at once or by promise. */
  execute(): unknown
}

/** A store with exactly the methods that `inner` has, each of which asks `handle` for its answer. */
export function wrapStore<Store extends SessionStore>(
  inner: Store,
  handle: (call: StoreCall) => unknown,
): Store {
  const wrapped: Record<string, unknown> = { name: inner.name }
  if (inner.limits !== undefined) wrapped.limits = inner.limits
  for (const method of ['watch', 'reconnect', 'close'] as const) {
    if (inner[method] !== undefined) wrapped[method] = inner[method].bind(inner)
  }
  for (const method of STORE_METHODS) {
    const call = inner[method] as ((...args: unknown[]) => unknown) | undefined
    if (call === undefined) continue
    wrapped[method] = (...args: unknown[]) =>
      handle({ method, args, execute: () => call.apply(inner, args) })
  }
  return wrapped as unknown as Store
}
