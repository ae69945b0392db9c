/** Requests without a network: Node's own request and response on a socket that throws away what is written to it. */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'

export function openSocket() {
  let written = ''
  let isKept = false
  const socket = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      if (isKept) written += chunk
      done()
    },
  })
  return {
    socket,
    /** What `send` writes, for the checks. */
    async capture(send) {
      written = ''
      isKept = true
      await send()
      isKept = false
      return written
    },
  }
}

/** Sends one request through `middleware` to `handle`, and calls `done` when the response was given to the socket. */
export function send({ socket, cookie, middleware, handle, done }) {
  const req = new IncomingMessage(socket)
  req.httpVersion = '1.1'
  req.httpVersionMajor = 1
  req.httpVersionMinor = 1
  req.method = 'GET'
  req.url = '/'
  req.headers = cookie === undefined ? { host: 'localhost' } : { host: 'localhost', cookie }
  req.complete = true
  const res = new ServerResponse(req)
  res.assignSocket(socket)
  res.on('finish', () => {
    res.detachSocket(socket)
    done(res)
  })
  middleware(req, res, (error) => {
    if (error) throw error
    handle(req, res)
  })
}
