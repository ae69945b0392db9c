import type { ServerResponse } from 'node:http'

type Listener = (this: unknown, ...args: unknown[]) => void

/**
 * Answers a function that tells those who wait for `drain`. A compressor mounted before us keeps such listeners for a
 * stream of its own, which knows nothing of writes that waited here; so where `on` was replaced, they are remembered.
 */
export function watchDrain(res: ServerResponse): () => void {
  const { on } = res
  let hidden: Set<Listener> | undefined
  if (Object.hasOwn(res, 'on')) {
    res.on = function rememberDrain(this: ServerResponse, event: string, listener: Listener) {
      if (event === 'drain') hidden = (hidden ?? new Set()).add(listener)
      return on.call(this, event, listener)
    } as typeof res.on
  }

  return function sayDrain() {
    const known = new Set<unknown>(res.rawListeners('drain'))
    res.emit('drain')
    for (const listener of hidden ?? []) if (!known.has(listener)) listener.call(res)
  }
}
