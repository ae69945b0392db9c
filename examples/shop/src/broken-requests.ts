import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Answers what never becomes a request. A browser whose cookies for this site have grown larger than a server reads is
 * locked out for good, unless somebody tells it to drop them.
 */
export function answerBrokenRequests(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return socket.destroy()
    const isTooLong = error.code === 'HPE_HEADER_OVERFLOW'
    const isTimeout = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
    const text = isTooLong
      ? 'The request headers were too long. Your cookies of this site are cleared: open the page again.'
      : 'The request could not be read.'
    socket.end(
      [
        `HTTP/1.1 ${isTooLong ? '431 Request Header Fields Too Large' : isTimeout ? '408 Request Timeout' : '400 Bad Request'}`,
        'Connection: close',
        'Cache-Control: no-store',
        'Content-Type: text/plain; charset=utf-8',
        'X-Content-Type-Options: nosniff',
        `Content-Length: ${Buffer.byteLength(text)}`,
        ...(isTooLong ? ['Clear-Site-Data: "cookies"'] : []),
        '',
        text,
      ].join('\r\n'),
    )
  })
}
