import { seededRandom } from '../conformance/random.js'
import type { SessionStore, StoreKey } from '../core/store.js'
import { type StoreCall, type StoreMethod, wrapStore } from './store-methods.js'

export interface GatedStoreOptions {
  /** Decides the order in which `run` lets calls go. Default: 1. */
  readonly seed?: number
}

/** A call that waits at the gate: before it is executed, or with its reply in hand. */
export interface WaitingCall {
  readonly method: StoreMethod
  /** The key it is about, where it is about one. */
  readonly key: StoreKey | undefined
  readonly args: readonly unknown[]
  readonly stage: 'call' | 'reply'
  /** From `'call'`: executes it, and its reply waits next. From `'reply'`: answers. Resolves when all is quiet again. */
  go(): Promise<void>
  /** From `'call'`: executes and answers. From `'reply'`: answers. Resolves when all is quiet again. */
  finish(): Promise<void>
  /** From `'call'`: rejects, not executed. From `'reply'`: the reply is lost. Resolves when all is quiet again. */
  fail(error?: unknown): Promise<void>
  /** It never arrives, or its reply never does. */
  drop(): void
}

/** A store every call of which waits twice for the test, and the hand that lets them go. */
export interface GatedStore<Store extends SessionStore = SessionStore> {
  /** The store to hand to `session()`, with exactly the methods of the inner one. It answers by promise. */
  readonly store: Store
  /** The calls that wait, in the order in which they came. */
  readonly waiting: readonly WaitingCall[]
  /** What was let go so far, such as `update call`: print it with the seed when a test fails. */
  readonly trace: readonly string[]
  /**
   * Hands out the first waiting call of this method and stage, as soon as there is one. From then on it is in the hand of
   * the test: `run` and `open` leave it alone. Default stage: `'call'`. Rejects when none comes within 5 seconds.
   */
  next(method: StoreMethod, stage?: WaitingCall['stage']): Promise<WaitingCall>
  /** Lets calls go one by one, in the order of the seed, until `work` is done, and answers what `work` does. */
  run<Result>(work: PromiseLike<Result> | (() => PromiseLike<Result>)): Promise<Result>
  /** Lets everything through, now and later, until `shut`. */
  open(): Promise<void>
  /** Holds calls again. */
  shut(): void
}

/**
 * Puts a gate in front of `inner`, for tests of what happens when two requests meet.
 *
 * ```ts
 * const gate = gatedStore(memoryStore())
 * const slow = request(app).get('/write')
 * const update = await gate.next('update')      // the slow request is about to commit …
 * await gate.run(() => request(app).post('/logout'))
 * await update.finish()                         // … and commits after the sign-out
 * ```
 */
export function gatedStore<Store extends SessionStore>(
  inner: Store,
  { seed = 1 }: GatedStoreOptions = {},
): GatedStore<Store> {
  const random = seededRandom(seed)
  const waiting: Held[] = []
  const trace: string[] = []
  const watchers = new Set<() => void>()
  /** Calls whose reply passes without waiting. */
  const finishing = new WeakSet<StoreCall>()
  const inHand = new Set<WaitingCall>()
  let isOpen = false

  async function handle(call: StoreCall): Promise<unknown> {
    await pass(call, 'call')
    const answer = await call.execute()
    await pass(call, 'reply')
    return answer
  }

  function pass(call: StoreCall, stage: WaitingCall['stage']): Promise<void> | undefined {
    if (isOpen || finishing.delete(call)) return undefined
    return new Promise<void>((resolve, reject) => {
      const held: Held = {
        method: call.method,
        key: KEYED.has(call.method) ? (call.args[0] as StoreKey) : undefined,
        args: call.args,
        stage,
        release: () => leave(held, 'go', resolve),
        go: () => held.release().then(quiet),
        finish() {
          if (stage === 'call') finishing.add(call)
          return held.go()
        },
        async fail(error = new Error('The connection was closed')) {
          await leave(held, 'fail', () => reject(error))
          await quiet()
        },
        drop: () => void leave(held, 'drop', () => {}),
      }
      waiting.push(held)
      for (const tell of watchers) tell()
    })
  }

  async function leave(held: Held, how: string, then: () => void): Promise<void> {
    const place = waiting.indexOf(held)
    if (place < 0) throw new Error(`This ${held.method} was let go before`)
    waiting.splice(place, 1)
    trace.push(
      how === 'go' ? `${held.method} ${held.stage}` : `${held.method} ${held.stage} ${how}`,
    )
    then()
  }

  function free(): Held[] {
    return waiting.filter((held) => !inHand.has(held))
  }

  function next(method: StoreMethod, stage: WaitingCall['stage'] = 'call'): Promise<WaitingCall> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(giveUp, PATIENCE)

      function look(): void {
        const found = free().find((held) => held.method === method && held.stage === stage)
        if (found === undefined) return
        watchers.delete(look)
        clearTimeout(timer)
        inHand.add(found)
        resolve(found)
      }
      function giveUp(): void {
        watchers.delete(look)
        const there = waiting.map((held) => `${held.method} ${held.stage}`).join(', ') || 'nothing'
        const wanted = `${method} ${stage}`
        reject(new Error(`No ${wanted} came to the gate in ${PATIENCE} ms; waiting is: ${there}`))
      }

      watchers.add(look)
      look()
    })
  }

  async function run<Result>(
    work: PromiseLike<Result> | (() => PromiseLike<Result>),
  ): Promise<Result> {
    let done = false
    const outcome = Promise.resolve(typeof work === 'function' ? work() : work).finally(() => {
      done = true
    })
    // Watched here, so that a rejection while calls still wait is not an unhandled one.
    outcome.catch(() => {})
    while (!done) {
      await quiet()
      if (!done && free().length > 0) await random.pick(free()).release()
    }
    return outcome
  }

  async function open(): Promise<void> {
    isOpen = true
    for (const held of free()) await held.release()
    await quiet()
  }

  return {
    store: wrapStore(inner, handle),
    waiting,
    trace,
    next,
    run,
    open,
    shut() {
      isOpen = false
    },
  }
}

interface Held extends WaitingCall {
  release(): Promise<void>
}

const KEYED: ReadonlySet<StoreMethod> = new Set(['load', 'create', 'update', 'touch', 'delete'])

/** A few turns of the event loop: enough for everything that waits for no timer and no network. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

const PATIENCE = 5_000
