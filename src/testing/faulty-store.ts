import { storeError } from '../core/errors.js'
import type { SessionStore } from '../core/store.js'
import { type Journal, newJournal } from './journal.js'
import { STORE_METHODS, type StoreCall, type StoreMethod, wrapStore } from './store-methods.js'

export type { StoreMethod } from './store-methods.js'

export interface FaultyStoreOptions {
  /** How `slow` waits. Default: a timer of the system. */
  readonly sleep?: (milliseconds: number) => Promise<void>
}

/** Which calls a fault is for. */
export interface FaultScope {
  /** Default: all methods. */
  readonly methods?: readonly StoreMethod[]
  /** For how many calls; then it is gone by itself. Default: until `heal`. */
  readonly times?: number
}

/** What becomes of the calls that hang, when the store is healed. */
export type WhenHealed =
  /** They are executed and answered, late. */
  | 'answer'
  /** They are executed, late, and never answered. */
  | 'apply'
  /** They are not executed, and reject. */
  | 'fail'
  /** They are not executed and never answered. */
  | 'never'

/** A store that goes wrong on demand, and the levers for it. Faults of different kinds can be on at once. */
export interface FaultyStore<Store extends SessionStore = SessionStore> {
  /** The store to hand to `session()`. It has exactly the methods of the inner one, and answers at once where that does. */
  readonly store: Store
  /** How often each method was called, failed calls too. */
  readonly calls: Readonly<Record<StoreMethod, number>>
  /** How often any method was called. */
  readonly total: number
  /** How many calls hang at the moment. */
  readonly hanging: number
  /** Each call takes so long, before it is executed or, with `at: 'reply'`, before its answer comes back. */
  slow(milliseconds: number, scope?: FaultScope & { at?: 'call' | 'reply' }): void
  /** Calls are not executed and reject with `error`, which says nothing of what was executed. */
  fail(error?: unknown, scope?: FaultScope): void
  /** Calls are not executed, and the error says so: `'no'`, or `'full'` for want of room. */
  refuse(executed?: 'no' | 'full', scope?: FaultScope): void
  /** Calls are neither executed nor answered, until `heal`. */
  hang(scope?: FaultScope): void
  /** Calls are executed, and then reject as on a broken connection or, with `instead: 'hang'`, never answer. */
  loseReplies(scope?: FaultScope & { instead?: 'reject' | 'hang' }): void
  /** Ends all faults. Resolves when the calls that hung have gone the way that `late` says (default `'answer'`). */
  heal(late?: WhenHealed): Promise<void>
  /** A point to come back to. */
  snapshot(): number
  /**
   * Fail-over to a server that had not seen all: undoes what was written since the snapshot. Exact where the inner store
   * answers at once, as `memoryStore` does; what is pruned stays pruned.
   */
  restore(snapshot: number): Promise<void>
  /** Undoes the last `count` writes. */
  loseWrites(count: number): Promise<void>
  /** Ends all faults and counts from zero. Calls that hang are never answered. */
  reset(): void
}

/**
 * Puts a store that can go wrong in front of `inner`.
 *
 * ```ts
 * const faulty = faultyStore(memoryStore())
 * app.use(session({ secret, store: faulty.store }))
 * faulty.hang({ methods: ['update'] })          // from here on no change is answered
 * ```
 */
export function faultyStore<Store extends SessionStore>(
  inner: Store,
  { sleep = sleepByTimer }: FaultyStoreOptions = {},
): FaultyStore<Store> {
  const calls = noCalls()
  const journal: Journal = newJournal(inner)
  let faults: Fault[] = []
  let hung: ((late: WhenHealed) => Promise<void>)[] = []

  function handle(call: StoreCall): unknown {
    calls[call.method] += 1
    const hit = takeFaults(call.method)
    return hit.length === 0 ? journal.execute(call) : answerFaulty(call, hit)
  }

  /** The faults that this call meets; those whose number of times is up are gone. */
  function takeFaults(method: StoreMethod): Fault[] {
    const hit = faults.filter(({ methods }) => methods.includes(method))
    for (const fault of hit) fault.left -= 1
    faults = faults.filter(({ left }) => left > 0)
    return hit
  }

  async function answerFaulty(call: StoreCall, hit: readonly Fault[]): Promise<unknown> {
    for (const fault of hit) await fault.before?.(call)
    const answer = await journal.execute(call)
    for (const fault of hit) await fault.after?.()
    return answer
  }

  function add(scope: FaultScope, parts: Pick<Fault, 'before' | 'after'>): void {
    const { methods = STORE_METHODS, times: left = Number.POSITIVE_INFINITY } = scope
    faults.push({ methods, left, ...parts })
  }

  /** Resolves when the call may go on to be executed, rejects when it may not, or does neither. */
  function hangUp(call: StoreCall): Promise<void> {
    return new Promise((goOn, reject) => {
      hung.push(async function release(late) {
        if (late === 'answer') goOn()
        if (late === 'fail') reject(new Error(`The connection was closed during ${call.method}()`))
        if (late === 'apply') await journal.execute(call)
      })
    })
  }

  async function restore(position: number): Promise<void> {
    await journal.undoTo(position)
  }

  return {
    store: wrapStore(inner, handle),
    calls,
    get total() {
      return Object.values(calls).reduce((sum, count) => sum + count, 0)
    },
    get hanging() {
      return hung.length
    },
    slow(milliseconds, { at = 'call', ...scope } = {}) {
      const wait = () => sleep(milliseconds)
      add(scope, at === 'call' ? { before: wait } : { after: wait })
    },
    fail(error = new Error('The store is down'), scope = {}) {
      add(scope, { before: () => Promise.reject(error) })
    },
    refuse(executed = 'no', scope = {}) {
      const message = executed === 'full' ? 'The store is full' : 'The store refused the call'
      add(scope, { before: () => Promise.reject(storeError(message, { executed })) })
    },
    hang(scope = {}) {
      add(scope, { before: hangUp })
    },
    loseReplies({ instead = 'reject', ...scope } = {}) {
      const lost = () =>
        instead === 'hang'
          ? new Promise<void>(() => {})
          : Promise.reject(new Error('The connection was closed before the reply'))
      add(scope, { after: lost })
    },
    async heal(late = 'answer') {
      faults = []
      const released = hung
      hung = []
      for (const release of released) await release(late)
      // A call that was let go is executed before `heal` is done.
      await new Promise((resolve) => setImmediate(resolve))
    },
    snapshot: () => journal.position,
    restore,
    loseWrites: (count) => restore(Math.max(0, journal.position - count)),
    reset() {
      faults = []
      hung = []
      Object.assign(calls, noCalls())
    },
  }
}

interface Fault {
  readonly methods: readonly StoreMethod[]
  /** For how many more calls. */
  left: number
  readonly before?: (call: StoreCall) => Promise<void>
  readonly after?: () => Promise<void>
}

function noCalls(): Record<StoreMethod, number> {
  return Object.fromEntries(STORE_METHODS.map((method) => [method, 0])) as Record<
    StoreMethod,
    number
  >
}

function sleepByTimer(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
