import type { ServerResponse } from 'node:http'

type Listener = (this: unknown, ...args: unknown[]) => void

/**
 * A compressor mounted before us keeps its `drain` listeners for a stream of its own, which knows nothing of writes that
 * waited here: where `on` was replaced, those who ask for it are remembered, for `sayDrain`.
 */
export function rememberDrain(res: ServerResponse): ReadonlySet<Listener> | undefined {
  if (!Object.hasOwn(res, 'on')) return undefined
  const { on } = res
  const listeners = new Set<Listener>()
  res.on = function listen(this: ServerResponse, event: string, listener: Listener) {
    if (event === 'drain') listeners.add(listener)
    return on.call(this, event, listener)
  } as typeof res.on
  return listeners
}

/** Tells those who wait for `drain`, remembered or not. */
export function sayDrain(res: ServerResponse, remembered: ReadonlySet<Listener> = NOBODY): void {
  const known = new Set<unknown>(res.rawListeners('drain'))
  res.emit('drain')
  for (const listener of remembered) if (!known.has(listener)) listener.call(res)
}

const NOBODY: ReadonlySet<Listener> = new Set()
