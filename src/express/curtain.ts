import type { ServerResponse } from 'node:http'

/**
 * While a response waits for its commit, the world must believe that it was sent: a second `send` would crash the
 * process, `compression` would wait for ever, Express would answer an error a second time.
 */
export interface Curtain {
  /** `end` was called. */
  end(): void
  /** The response is itself again. */
  lift(): void
  /** The held calls were carried out; whoever wanted the socket gone meanwhile may have it, after the answer. */
  settle(): void
}

const HEADER_METHODS = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const

export function drawCurtain(res: ServerResponse): Curtain {
  let isEnded = false
  const undo: (() => void)[] = []

  function cover(name: string, descriptor: PropertyDescriptor): void {
    const own = Object.getOwnPropertyDescriptor(res, name)
    Object.defineProperty(res, name, { ...descriptor, configurable: true })
    undo.push(() => {
      if (own === undefined) Reflect.deleteProperty(res, name)
      else Object.defineProperty(res, name, own)
    })
  }

  cover('headersSent', { get: () => true })
  cover('writableEnded', { get: () => isEnded })
  for (const name of HEADER_METHODS) {
    if (typeof (res as unknown as Record<string, unknown>)[name] === 'function') {
      cover(name, { value: refuseHeader, writable: true })
    }
  }
  const release = keepSocket(res)

  return {
    end() {
      isEnded = true
    },
    lift() {
      for (const step of undo.splice(0)) step()
    },
    settle() {
      release()
    },
  }
}

function refuseHeader(): never {
  throw Object.assign(new Error('Cannot set headers after they are sent to the client'), {
    code: 'ERR_HTTP_HEADERS_SENT',
  })
}

/**
 * Express destroys the socket where an error comes after `send`. Without us the answer would have left by then, so
 * the socket has to last until it has.
 */
function keepSocket(res: ServerResponse): () => void {
  const { socket } = res
  if (socket === null || socket === undefined || typeof socket.destroy !== 'function') {
    return () => {}
  }
  const { destroy } = socket
  const hadOwn = Object.hasOwn(socket, 'destroy')
  let wanted: unknown[] | undefined
  const later = function destroyLater(...args: unknown[]): unknown {
    wanted ??= args
    return socket
  }
  socket.destroy = later as typeof socket.destroy

  return function release() {
    if (socket.destroy === later) {
      if (hadOwn) socket.destroy = destroy
      else Reflect.deleteProperty(socket, 'destroy')
    }
    if (wanted === undefined) return
    const [error] = wanted as [Error?]
    if (res.writableFinished) socket.destroy(error)
    else res.once('finish', () => socket.destroy(error))
  }
}
