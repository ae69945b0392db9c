import type { ServerResponse } from 'node:http'
import { isPromise } from '../core/maybe.js'
import type { MaybePromise } from '../core/store.js'
import { type Curtain, drawCurtain, refuseHeaders } from './curtain.js'
import { watchDrain } from './drain.js'
import { cut, keepOut } from './failure.js'
import { type Call, putGates, takeGatesAway } from './gates.js'
import {
  addHeaders,
  type CookieHeaders,
  cleanForError,
  mergeHead,
  rememberHeaders,
} from './headers.js'

/** What the gates of a response ask of the session behind it. */
export interface HoldHooks {
  /** Stores what changed; answers the headers to add. Throws or rejects where the response must not be sent. */
  commit(): MaybePromise<CookieHeaders | undefined>
  /** Whether nothing was asked of the session since, and nothing is under way. */
  isSettled(): boolean
  /** Whether the session was changed since. Throws for a change that cannot be stored. */
  hasUnsavedChanges(): boolean
  /** The response is not sent; somebody else answers. */
  onFailure(error: unknown): void
  /** A change after the headers was not stored, so the response does not get to its end. */
  onLateChange(): void
}

/** Whether the response can still carry a cookie, however it looks to others. */
export type CanAddHeaders = () => boolean

/**
 * Puts gates on a response: the first call that would let a header leave starts the commit, and nothing leaves before
 * that is done. Where the commit answers at once, the call goes straight through. Otherwise calls queue and are
 * replayed in order, and meanwhile the response looks to everyone as if it had been sent.
 */
export function holdResponse(res: ServerResponse, hooks: HoldHooks): CanAddHeaders {
  // What stood here when the gates went up. On failure it is used again, past everything that was mounted since: a
  // compressor that has seen `end` would swallow the error page.
  const beneath = putGates(res, pass)
  const before = rememberHeaders(res)
  const sayDrain = watchDrain(res)
  let state: 'open' | 'held' | 'passed' | 'failed' = res.headersSent ? 'passed' : 'open'
  let queue: Call[] = []
  let curtain: Curtain | undefined
  let added: CookieHeaders | undefined
  let isEnded = res.writableEnded === true

  if (state === 'passed') res.once?.('close', onBreak)

  function pass(call: Call): unknown {
    switch (state) {
      case 'open':
        return start(call)
      case 'held':
        return enqueue(call)
      case 'passed':
        return call.method === 'end' && !isEnded && isCutShort() ? res : forward(call)
      case 'failed':
        return answerFor(call)
    }
  }

  function start(call: Call): unknown {
    if (call.method !== 'end') res.once?.('close', onBreak)
    let committed: MaybePromise<CookieHeaders | undefined>
    try {
      committed = hooks.commit()
      if (!isPromise(committed)) open(committed)
    } catch (error) {
      // Told after the handler's own call has returned: an error must not come out of `end`.
      committed = Promise.reject(error)
    }
    if (!isPromise(committed)) return forward(call)
    state = 'held'
    curtain = drawCurtain(res)
    committed.then(replay, fail)
    return enqueue(call)
  }

  function open(headers: CookieHeaders | undefined): void {
    if (headers !== undefined && !res.headersSent) addHeaders(res, headers)
    added = headers
    state = 'passed'
  }

  function enqueue(call: Call): unknown {
    const { method, args } = call
    if (method === 'writeHead' && queue.length > 0) {
      // `compression` before 1.8 says this again and again until it sees a header.
      if (args.length > 1 || args[0] !== res.statusCode) refuseHeaders()
      return res
    }
    // Node would emit an error that nobody listens to.
    if (isEnded) return answerFor(call)
    queue.push(call)
    if (method === 'end') {
      isEnded = true
      curtain?.end()
    }
    return answerFor(call)
  }

  function replay(headers: CookieHeaders | undefined): void {
    try {
      // The handler went on after its `send`. Nothing has left yet, so what it changed is stored along.
      if (!hooks.isSettled()) {
        Promise.resolve(hooks.commit()).then(replay, fail)
        return
      }
      curtain?.lift()
      open(headers)
      let result: unknown
      for (const call of queue) result = forward(call)
      // Whoever was told `false` by `write` waits for this; where the socket is full, Node says it later by itself.
      const wasWriting = queue.some(({ method }) => method === 'write')
      if (wasWriting && result !== false && !isEnded) sayDrain()
      queue = []
      curtain?.settle()
    } catch (error) {
      fail(error)
    }
  }

  function fail(error: unknown): void {
    const calls = queue
    queue = []
    curtain?.lift()
    state = 'failed'
    takeGatesAway(res, beneath)
    if (res.headersSent) {
      cut(res)
    } else {
      cleanForError(res, before)
      const letIn = keepOut(res, isEnded)
      hooks.onFailure(error)
      letIn()
    }
    curtain?.settle()
    for (const { args } of calls) tell(args, error)
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
      isEnded = true
      hooks.onLateChange()
      cut(res)
    }
    return isLate
  }

  /** A stream that breaks off never comes to its `end`. */
  function onBreak(): void {
    if (state === 'passed' && !isEnded) isCutShort()
  }

  function forward({ method, args }: Call): unknown {
    if (method === 'end') isEnded = true
    const final = method === 'writeHead' && added !== undefined ? mergeHead(args, added) : args
    return beneath[method].apply(res, final)
  }

  function answerFor({ method }: Call): unknown {
    if (method === 'write') return state === 'failed'
    return method === 'flushHeaders' ? undefined : res
  }

  return () => state === 'held' || (state === 'open' && !res.headersSent)
}

/** The callback of a call that was not carried out. What it throws has nowhere to go: the request has failed already. */
function tell(args: readonly unknown[], error: unknown): void {
  const callback = args.at(-1)
  if (typeof callback !== 'function') return
  try {
    callback(error)
  } catch {}
}
