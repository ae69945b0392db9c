import type { ServerResponse } from 'node:http'
import { isPromise } from '../core/maybe.js'
import type { MaybePromise } from '../core/store.js'
import { type Curtain, drawCurtain } from './curtain.js'
import { addHeaders, type CookieHeaders, cleanForError, mergeHead } from './headers.js'

/** What the gates of a response ask of the session behind it. */
export interface HoldHooks {
  /** Stores what changed; answers the headers to add. Throws or rejects where the response must not be sent. */
  commit(): MaybePromise<CookieHeaders | undefined>
  /** Whether the session was changed since. Throws for a change that cannot be stored. */
  hasUnsavedChanges(): boolean
  /** The response is not sent; somebody else answers. */
  onFailure(error: unknown): void
  /** The response was cut: a change after its headers was not stored. */
  onLateChange(): void
}

type Method = 'writeHead' | 'write' | 'end' | 'flushHeaders'
type AnyMethod = (this: unknown, ...args: unknown[]) => unknown

const METHODS: readonly Method[] = ['writeHead', 'write', 'end', 'flushHeaders']

/**
 * Puts gates on a response: the first call that would let a header leave starts the commit, and nothing leaves before
 * that is done. Where the commit answers at once, the call goes straight through. Otherwise calls queue and are
 * replayed in order, and meanwhile the response looks to everyone as if it had been sent.
 */
export function holdResponse(res: ServerResponse, hooks: HoldHooks): void {
  const target = res as unknown as Record<Method, AnyMethod>
  // What stood here when the gates went up. On failure it is used again, past everything that was mounted since: a
  // compressor that has seen `end` would swallow the error page.
  const beneath = {} as Record<Method, AnyMethod>
  const before = {
    cookies: res.getHeader?.('set-cookie'),
    cacheControl: res.getHeader?.('cache-control'),
  }
  let state: 'open' | 'held' | 'passed' | 'failed' = res.headersSent ? 'passed' : 'open'
  let queue: { readonly method: Method; readonly args: unknown[] }[] = []
  let curtain: Curtain | undefined
  let added: CookieHeaders | undefined
  let statusCode = 200

  const gates: Record<Method, AnyMethod> = {
    writeHead: (...args) => pass('writeHead', args),
    write: (...args) => pass('write', args),
    end: (...args) => pass('end', args),
    flushHeaders: (...args) => pass('flushHeaders', args),
  }
  for (const method of METHODS) {
    // engine.io and others hand out responses that lack some of these.
    if (typeof target[method] !== 'function') continue
    beneath[method] = target[method]
    target[method] = gates[method]
  }

  function pass(method: Method, args: unknown[]): unknown {
    switch (state) {
      case 'open':
        return start(method, args)
      case 'passed':
        return method === 'end' && isCutShort() ? res : forward(method, args)
      case 'failed':
        return answerFor(method)
      case 'held':
        return enqueue(method, args)
    }
  }

  function start(method: Method, args: unknown[]): unknown {
    let committed: MaybePromise<CookieHeaders | undefined>
    try {
      committed = hooks.commit()
    } catch (error) {
      // Told after the handler's own call has returned: an error must not come out of `end`.
      committed = Promise.reject(error)
    }
    if (!isPromise(committed)) {
      open(committed)
      return forward(method, args)
    }
    state = 'held'
    statusCode = res.statusCode
    curtain = drawCurtain(res)
    committed.then(replay, fail)
    return enqueue(method, args)
  }

  function enqueue(method: Method, args: unknown[]): unknown {
    queue.push({ method, args })
    if (method === 'end') curtain?.end()
    return answerFor(method)
  }

  function open(headers: CookieHeaders | undefined): void {
    state = 'passed'
    added = headers
    if (headers !== undefined && !res.headersSent) addHeaders(res, headers)
  }

  function replay(headers: CookieHeaders | undefined): void {
    try {
      // The handler went on after its `send`. Nothing has left yet, so what it changed is stored along.
      if (hooks.hasUnsavedChanges()) {
        Promise.resolve(hooks.commit()).then(replay, fail)
        return
      }
      curtain?.lift()
      res.statusCode = statusCode
      open(headers)
      let result: unknown
      for (const { method, args } of queue) result = forward(method, args)
      // Whoever was told `false` by `write` waits for this; where the socket is full, Node says it later by itself.
      const wasWriting = queue.some(({ method }) => method === 'write')
      if (wasWriting && result !== false && !res.writableEnded) res.emit('drain')
      queue = []
      curtain?.settle()
    } catch (error) {
      fail(error)
    }
  }

  function fail(error: unknown): void {
    queue = []
    curtain?.lift()
    curtain?.settle()
    state = 'failed'
    for (const method of METHODS) {
      if (beneath[method] !== undefined) target[method] = beneath[method]
    }
    if (res.headersSent) {
      cut(res)
    } else {
      cleanForError(res, before)
      hooks.onFailure(error)
    }
  }

  /** A change after the headers that was not stored: better no whole answer than one that is not true. */
  function isCutShort(): boolean {
    let isLate: boolean
    try {
      isLate = hooks.hasUnsavedChanges()
    } catch {
      isLate = true
    }
    if (isLate) {
      hooks.onLateChange()
      cut(res)
    }
    return isLate
  }

  function forward(method: Method, args: unknown[]): unknown {
    const final = method === 'writeHead' && added !== undefined ? mergeHead(args, added) : args
    return beneath[method].apply(res, final)
  }

  function answerFor(method: Method): unknown {
    if (method === 'write') return state === 'failed'
    return method === 'flushHeaders' ? undefined : res
  }
}

/** The compatibility API of HTTP/2 has no `destroy` on its responses. */
function cut(res: ServerResponse): void {
  const { stream } = res as unknown as { stream?: { destroy?: () => void } }
  if (typeof res.destroy === 'function') res.destroy()
  else stream?.destroy?.()
}
