import type { SessionStore, StoreEvent } from '../../src/core/store.js'

/** A store with a feed that can be held up, and levers for it. Between stores on the same data, each has its own feed. */
export interface FeedDouble {
  readonly store: SessionStore
  /** From now on nothing arrives and no check is answered: the network is silent. */
  pause(): void
  /** All that was held up arrives. */
  resume(): void
  /** The connection breaks: what was held up is lost, a `reset` is told, and again when `mend` is called. */
  cut(): void
  mend(): void
  /** Checks reject with this, until it is `undefined`. */
  refusal: unknown
  /** How often the feed was opened, and how many stand open. */
  readonly opened: number
  readonly open: number
}

export function feedDouble(inner: SessionStore): FeedDouble {
  let waiting: (() => void)[] | undefined
  let isCut = false
  let opened = 0
  const feeds = new Set<(event: StoreEvent) => void>()

  function deliver(work: () => void): void {
    if (isCut) return
    if (waiting === undefined) work()
    else waiting.push(work)
  }

  function reset(): void {
    for (const listener of feeds) listener({ type: 'reset' })
  }

  const double: FeedDouble = {
    store: {
      ...inner,
      watch(listener) {
        opened += 1
        const own = (event: StoreEvent): void => listener(event)
        feeds.add(own)
        const feed = inner.watch?.((event) => deliver(() => feeds.has(own) && own(event)))
        return {
          async check() {
            if (double.refusal !== undefined) throw double.refusal
            await new Promise<void>((resolve) => deliver(resolve))
          },
          stop() {
            feeds.delete(own)
            feed?.stop()
          },
        }
      },
    },
    pause() {
      waiting ??= []
    },
    resume() {
      const late = waiting ?? []
      waiting = undefined
      for (const work of late) work()
    },
    cut() {
      isCut = true
      waiting = undefined
      reset()
    },
    mend() {
      isCut = false
      reset()
    },
    refusal: undefined,
    get opened() {
      return opened
    },
    get open() {
      return feeds.size
    },
  }
  return double
}
