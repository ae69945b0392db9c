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

const HEADER_METHODS = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const

export function drawCurtain(res: ServerResponse): Curtain {
  const { statusCode } = res
  const statusMessage = isHttp2(res) ? undefined : res.statusMessage
  let isEnded = false
  const undo: (() => void)[] = []

  function cover(name: string, descriptor: PropertyDescriptor): void {
    if (!(name in res)) return
    const own = Object.getOwnPropertyDescriptor(res, name)
    Object.defineProperty(res, name, { ...descriptor, configurable: true })
    undo.push(() => {
      if (own === undefined) Reflect.deleteProperty(res, name)
      else Object.defineProperty(res, name, own)
    })
  }

  cover('headersSent', { get: () => true })
  cover('writableEnded', { get: () => isEnded })
  cover('finished', { get: () => isEnded })
  for (const name of HEADER_METHODS) cover(name, { value: refuseHeaders, writable: true })
  const release = keepSocket(res)

  return {
    end() {
      isEnded = true
    },
    lift() {
      for (const step of undo.splice(0)) step()
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
