import type { ServerResponse } from 'node:http'
import { isPromise } from '../core/maybe.js'
import type { MaybePromise } from '../core/store.js'
import { type Curtain, drawCurtain, refuseHeaders } from './curtain.js'
import { rememberDrain, sayDrain } from './drain.js'
import { cut, keepOut } from './failure.js'
import { type Gate, type Method, type Methods, makeRoom, putGates, takeGatesAway } from './gates.js'
import {
  addHeaders,
  type CookieHeaders,
  cleanForError,
  type HeadersBefore,
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

interface Call {
  readonly method: Method
  readonly args: unknown[]
}

/**
 * Puts gates on a response: the first call that would let a header leave starts the commit, and nothing leaves before
 * that is done. Where the commit answers at once, the call goes straight through. Otherwise calls queue and are
 * replayed in order, and meanwhile the response looks to everyone as if it had been sent.
 */
export class Hold implements Gate {
  readonly #res: ServerResponse
  readonly #hooks: HoldHooks
  /**
   * What stood here when the gates went up. On failure it is used again, past everything that was mounted since: a
   * compressor that has seen `end` would swallow the error page.
   */
  readonly #beneath: Methods
  readonly #before: HeadersBefore
  readonly #drainListeners: ReturnType<typeof rememberDrain> | undefined
  #state: 'open' | 'held' | 'passed' | 'failed'
  #queue: Call[] = []
  #curtain: Curtain | undefined
  #added: CookieHeaders | undefined
  #isEnded: boolean

  constructor(res: ServerResponse, hooks: HoldHooks) {
    this.#res = res
    this.#hooks = hooks
    makeRoom(res)
    this.#beneath = putGates(res, this)
    this.#before = rememberHeaders(res)
    this.#drainListeners = rememberDrain(res)
    this.#state = res.headersSent ? 'passed' : 'open'
    this.#isEnded = res.writableEnded === true
    if (this.#state === 'passed') this.#watchForBreak()
  }

  /** Whether the response can still carry a cookie, however it looks to others. */
  get canAddHeaders(): boolean {
    return this.#state === 'held' || (this.#state === 'open' && !this.#res.headersSent)
  }

  pass(method: Method, args: unknown[]): unknown {
    switch (this.#state) {
      case 'open':
        return this.#start(method, args)
      case 'held':
        return this.#enqueue(method, args)
      case 'passed':
        return method === 'end' && !this.#isEnded && this.#isCutShort()
          ? this.#res
          : this.#forward(method, args)
      case 'failed':
        return this.#answerFor(method)
    }
  }

  #start(method: Method, args: unknown[]): unknown {
    if (method !== 'end') this.#watchForBreak()
    let committed: MaybePromise<CookieHeaders | undefined>
    try {
      committed = this.#hooks.commit()
      if (!isPromise(committed)) this.#open(committed)
    } catch (error) {
      // Told after the handler's own call has returned: an error must not come out of `end`.
      committed = Promise.reject(error)
    }
    if (!isPromise(committed)) return this.#forward(method, args)
    this.#state = 'held'
    this.#curtain = drawCurtain(this.#res)
    this.#replayAfter(committed)
    return this.#enqueue(method, args)
  }

  #open(headers: CookieHeaders | undefined): void {
    if (headers !== undefined && !this.#res.headersSent) addHeaders(this.#res, headers)
    this.#added = headers
    this.#state = 'passed'
  }

  #enqueue(method: Method, args: unknown[]): unknown {
    if (method === 'writeHead' && this.#queue.length > 0) {
      // `compression` before 1.8 says this again and again until it sees a header.
      if (args.length > 1 || args[0] !== this.#res.statusCode) refuseHeaders()
      return this.#res
    }
    // Node would emit an error that nobody listens to.
    if (this.#isEnded) return this.#answerFor(method)
    this.#queue.push({ method, args })
    if (method === 'end') {
      this.#isEnded = true
      this.#curtain?.end()
    }
    return this.#answerFor(method)
  }

  #replayAfter(committed: PromiseLike<CookieHeaders | undefined>): void {
    committed.then(
      (headers) => this.#replay(headers),
      (error: unknown) => this.#fail(error),
    )
  }

  #replay(headers: CookieHeaders | undefined): void {
    try {
      // The handler went on after its `send`. Nothing has left yet, so what it changed is stored along.
      if (!this.#hooks.isSettled()) {
        this.#replayAfter(Promise.resolve(this.#hooks.commit()))
        return
      }
      this.#curtain?.lift()
      this.#open(headers)
      let result: unknown
      for (const { method, args } of this.#queue) result = this.#forward(method, args)
      // Whoever was told `false` by `write` waits for this; where the socket is full, Node says it later by itself.
      const wasWriting = this.#queue.some(({ method }) => method === 'write')
      if (wasWriting && result !== false && !this.#isEnded) {
        sayDrain(this.#res, this.#drainListeners)
      }
      this.#queue = []
      this.#curtain?.settle()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    const res = this.#res
    const calls = this.#queue
    this.#queue = []
    this.#curtain?.lift()
    this.#state = 'failed'
    takeGatesAway(res, this.#beneath)
    if (res.headersSent) {
      cut(res)
    } else {
      cleanForError(res, this.#before)
      const letIn = keepOut(res, this.#isEnded)
      this.#hooks.onFailure(error)
      letIn()
    }
    this.#curtain?.settle()
    for (const { args } of calls) tell(args, error)
  }

  /** A change after the headers that was not stored: better no whole answer than one that is not true. */
  #isCutShort(): boolean {
    let isLate: boolean
    try {
      isLate = this.#hooks.hasUnsavedChanges()
    } catch {
      isLate = true
    }
    if (isLate) {
      this.#isEnded = true
      this.#hooks.onLateChange()
      cut(this.#res)
    }
    return isLate
  }

  /** A stream that breaks off never comes to its `end`. */
  #watchForBreak(): void {
    this.#res.once?.('close', () => {
      if (this.#state === 'passed' && !this.#isEnded) this.#isCutShort()
    })
  }

  #forward(method: Method, args: unknown[]): unknown {
    if (method === 'end') this.#isEnded = true
    const headers = method === 'writeHead' ? this.#added : undefined
    const final = headers === undefined ? args : mergeHead(args, headers)
    return this.#beneath[method].apply(this.#res, final)
  }

  #answerFor(method: Method): unknown {
    if (method === 'write') return this.#state === 'failed'
    return method === 'flushHeaders' ? undefined : this.#res
  }
}

/** The callback of a call that was not carried out. What it throws has nowhere to go: the request has failed already. */
function tell(args: readonly unknown[], error: unknown): void {
  const callback = args.at(-1)
  if (typeof callback !== 'function') return
  try {
    callback(error)
  } catch {}
}
