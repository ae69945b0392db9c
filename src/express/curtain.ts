import type { IncomingMessage, ServerResponse } from 'node:http'

type Socket = IncomingMessage['socket']

/**
 * While a response waits for its commit, the world must believe that it was sent: a second `send` would crash the
 * process, `compression` would wait for ever, Express would answer an error a second time.
 */
export interface Curtain {
  /** `end` was called. */
  end(): void
  /** The response is itself again, with the status that it had when the curtain was drawn. */
  lift(): void
  /** The held calls were carried out; whoever wanted the socket gone meanwhile may have it, after the answer. */
  settle(): void
}

const CURTAIN: unique symbol = Symbol('staykept curtain')

interface Covered {
  [CURTAIN]?: { readonly isEnded: boolean }
}

const looksEnded: PropertyDescriptor = {
  get(this: Covered) {
    return this[CURTAIN]?.isEnded
  },
  configurable: true,
}
const looksSent: PropertyDescriptor = { get: () => true, configurable: true }
const refusing: PropertyDescriptor = { value: refuseHeaders, writable: true, configurable: true }

/**
 * The same for all responses, which find theirs by a symbol: gates.ts says what a closure on each would cost. The curtain
 * is lifted from the last to the first, which V8 undoes without turning the response into a dictionary.
 */
const COVERS: readonly (readonly [name: string, descriptor: PropertyDescriptor])[] = [
  ['headersSent', looksSent],
  ['writableEnded', looksEnded],
  ['finished', looksEnded],
  ['setHeader', refusing],
  ['setHeaders', refusing],
  ['appendHeader', refusing],
  ['removeHeader', refusing],
]

export function drawCurtain(res: ServerResponse): Curtain {
  return isUsual(res) ? new UsualCurtain(res) : drawUnusual(res)
}

/**
 * What COVERS says, spelt out for a response whose methods are all its prototype's: by assignment, at a third of the price.
 */
class UsualCurtain implements Curtain {
  readonly #res: ServerResponse
  readonly #statusCode: number
  readonly #statusMessage: string
  readonly #state = { isEnded: false }
  readonly settle: () => void

  constructor(res: ServerResponse) {
    this.#res = res
    this.#statusCode = res.statusCode
    this.#statusMessage = res.statusMessage
    ;(res as Covered)[CURTAIN] = this.#state
    Object.defineProperty(res, 'headersSent', looksSent)
    Object.defineProperty(res, 'writableEnded', looksEnded)
    res.setHeader = refuseHeaders
    res.setHeaders = refuseHeaders
    res.appendHeader = refuseHeaders
    res.removeHeader = refuseHeaders
    this.settle = keepSocket(res)
  }

  end(): void {
    this.#state.isEnded = true
    this.#res.finished = true
  }

  lift(): void {
    const res = this.#res
    const covers = res as unknown as Covers
    // From the last to the first.
    delete covers.removeHeader
    delete covers.appendHeader
    delete covers.setHeaders
    delete covers.setHeader
    delete covers.writableEnded
    delete covers.headersSent
    res.finished = false
    res.statusCode = this.#statusCode
    res.statusMessage = this.#statusMessage
  }
}

type Covers = Partial<Record<(typeof COVERED)[number], unknown>>

const COVERED = [
  'headersSent',
  'writableEnded',
  'setHeader',
  'setHeaders',
  'appendHeader',
  'removeHeader',
] as const

/** By the prototype of a response: whether assignment covers its methods. */
const usualPrototypes = new WeakMap<object, boolean>()

function isUsual(res: ServerResponse): boolean {
  const finished = Object.getOwnPropertyDescriptor(res, 'finished')
  if (finished?.writable !== true || finished.value !== false || isHttp2(res)) return false
  for (const name of COVERED) if (Object.hasOwn(res, name)) return false
  const prototype = Object.getPrototypeOf(res) as object
  let isKnown = usualPrototypes.get(prototype)
  if (isKnown === undefined) {
    isKnown = COVERED.every((name) => isCoverable(prototype, name))
    usualPrototypes.set(prototype, isKnown)
  }
  return isKnown
}

function isCoverable(prototype: object, name: (typeof COVERED)[number]): boolean {
  let holder: object | null = prototype
  while (holder !== null && !Object.hasOwn(holder, name)) holder = Object.getPrototypeOf(holder)
  const found = holder === null ? undefined : Object.getOwnPropertyDescriptor(holder, name)
  if (name === 'headersSent' || name === 'writableEnded') return found !== undefined
  return typeof found?.value === 'function' && found.writable === true
}

function drawUnusual(res: ServerResponse): Curtain {
  const { statusCode } = res
  const statusMessage = isHttp2(res) ? undefined : res.statusMessage
  const state = { isEnded: false }
  /** Properties of the response's own that stand aside meanwhile. */
  let aside: Map<string, PropertyDescriptor> | undefined
  let isFinishedOwn = false
  ;(res as Covered)[CURTAIN] = state
  for (const [name, descriptor] of COVERS) {
    if (!(name in res)) continue
    const own = Object.getOwnPropertyDescriptor(res, name)
    if (name === 'finished' && own?.writable === true && own.value === false) {
      // Node's own, and a plain value: a getter in its place would slow the response down for the rest of its life.
      isFinishedOwn = true
      continue
    }
    if (own !== undefined) aside = (aside ?? new Map()).set(name, own)
    Object.defineProperty(res, name, descriptor)
  }
  const release = keepSocket(res)

  return {
    end() {
      state.isEnded = true
      if (isFinishedOwn) res.finished = true
    },
    lift() {
      for (let at = COVERS.length - 1; at >= 0; at -= 1) {
        const [name] = COVERS[at] as (typeof COVERS)[number]
        const own = aside?.get(name)
        if (own !== undefined) Object.defineProperty(res, name, own)
        else if (name !== 'finished' || !isFinishedOwn) Reflect.deleteProperty(res, name)
      }
      if (isFinishedOwn) res.finished = false
      res.statusCode = statusCode
      if (!isHttp2(res)) res.statusMessage = statusMessage as string
    },
    settle: release,
  }
}

/** What Node says to whoever comes too late. */
export function refuseHeaders(): never {
  throw Object.assign(new Error('Cannot set headers after they are sent to the client'), {
    code: 'ERR_HTTP_HEADERS_SENT',
  })
}

interface Keeper {
  /** Responses that wait; with pipelining there are several. */
  waiting: number
  isUnwanted: boolean
}

const keepers = new WeakMap<Socket, Keeper>()

/**
 * Express destroys the socket where an error comes after `send`. Without us the answer would have left by then, so
 * the socket has to last until it has. Whoever destroys it with an error (a pipeline, `res.destroy`) means it.
 */
function keepSocket(res: ServerResponse): () => void {
  const socket = res.req?.socket
  if (typeof socket?.destroy !== 'function' || isHttp2(res)) return () => {}
  const keeper = keepers.get(socket) ?? createKeeper(socket)
  keeper.waiting += 1

  return function release() {
    keeper.waiting -= 1
    if (!keeper.isUnwanted) return
    if (res.writableEnded && !res.writableFinished) res.once('finish', () => socket.destroy())
    else socket.destroy()
  }
}

function createKeeper(socket: Socket): Keeper {
  const keeper: Keeper = { waiting: 0, isUnwanted: false }
  keepers.set(socket, keeper)
  const { destroy } = socket
  socket.destroy = function destroyLater(...args: [Error?]) {
    // Not writable: the client has gone. Nobody will get the answer, and there will be no `finish`.
    const isNeeded = keeper.waiting > 0 && socket.writable
    if (!isNeeded || args.length > 0) return destroy.apply(socket, args)
    keeper.isUnwanted = true
    return socket
  }
  return keeper
}

/** The compatibility API of HTTP/2 shows a stand-in for its socket, and warns of `statusMessage`. */
export function isHttp2(res: object): boolean {
  return 'stream' in res
}
