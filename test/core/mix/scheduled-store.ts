import type { SessionStore } from '../../../src/core/store.js'

/** One step that the store can take next: a call arrives there, or its answer comes back. */
export interface Step {
  readonly method: string
  readonly stage: 'call' | 'reply'
  /** The whole of it goes well. */
  go(): void
  /** The caller is told of a broken connection. A call is not executed; of a reply, only the news is lost. */
  fail(): void
  /** The caller never hears of it again. A call is not executed unless that is asked for later. */
  vanish(): void
  /** Executes a call that had vanished. */
  executeLate(): void
}

/**
 * A store of which every call waits twice in `steps`. The random mix takes them in any order it likes. Its feed tells of a
 * change in the instant in which it is made.
 */
export function scheduledStore(inner: SessionStore, steps: Step[]): SessionStore {
  function schedule(method: string, execute: () => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const broken = (): void => reject(new Error('The connection was closed'))
      const vanish = (): void => {}
      const call: Step = {
        method,
        stage: 'call',
        go() {
          const answer = execute()
          steps.push({
            method,
            stage: 'reply',
            go: () => resolve(answer),
            fail: broken,
            vanish,
            executeLate: vanish,
          })
        },
        fail: broken,
        vanish,
        executeLate: () => void execute(),
      }
      steps.push(call)
    })
  }

  const scheduled: Record<string, unknown> = { name: inner.name, watch: inner.watch }
  for (const method of METHODS) {
    const call = inner[method] as (...args: unknown[]) => unknown
    scheduled[method] = (...args: unknown[]) => schedule(method, () => call.apply(inner, args))
  }
  return scheduled as unknown as SessionStore
}

const METHODS = [
  'load',
  'create',
  'update',
  'touch',
  'delete',
  'listByUser',
  'deleteByUser',
  'revocationMark',
] as const
