import type { Server, ServerResponse } from 'node:http'

/**
 * Prepares a server for a stop that tears no answer apart, and returns the function that stops it. `server.close()`
 * alone waits for keep-alive connections: while draining, each answer says that it is the last on its connection, and
 * idle connections are closed again after it. What has not ended by `deadline` (milliseconds) is cut.
 */
export function drainable(server: Server): (deadline: number) => Promise<void> {
  const open = new Set<ServerResponse>()
  let draining = false

  server.prependListener('request', (_req, res: ServerResponse) => {
    if (draining) res.setHeader('Connection', 'close')
    open.add(res)
    res.once('close', () => {
      open.delete(res)
      if (draining) setImmediate(() => server.closeIdleConnections())
    })
  })

  return function drain(deadline) {
    draining = true
    for (const res of open) if (!res.headersSent) res.setHeader('Connection', 'close')
    return new Promise((resolve) => {
      const cut = setTimeout(() => server.closeAllConnections(), deadline)
      server.close(() => {
        clearTimeout(cut)
        resolve()
      })
      server.closeIdleConnections()
    })
  }
}
