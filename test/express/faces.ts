import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import http2, { type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import express from 'express'
// @ts-expect-error: its types are those of the current version.
import express4 from 'express-4'
import type { Sessions } from 'staykept'
import { onTestFinished } from 'vitest'
import { type Served, serve } from '../http.js'

export type Handler = (req: IncomingMessage, res: ServerResponse) => unknown

/** One of the ways in which an application meets HTTP. */
export interface Face {
  readonly name: string
  /** Starts a server that answers every request with `handler`, and errors with their status and the text `error page`. */
  start(sessions: Sessions, handler: Handler): Promise<Site>
}

export interface Site extends Served {
  ask(init?: Ask): Promise<Reply>
}

export interface Ask {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A response whose headers have come. */
export interface Reply {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** The session cookie as a browser would send it back. */
  readonly cookie: string | undefined
  /** What came of the body until now. */
  received(): string
  /** All of it, or what came before it was cut. */
  body(): Promise<{ readonly text: string; readonly isWhole: boolean }>
}

function page(error: unknown, res: ServerResponse): void {
  const { status = 500 } = error as { status?: number }
  res.statusCode = status
  res.end('error page')
}

function plain(sessions: Sessions, handler: Handler) {
  return (req: IncomingMessage, res: ServerResponse) =>
    sessions(req, res, (error) => (error === undefined ? handler(req, res) : page(error, res)))
}

function onExpress(create: typeof express): Face['start'] {
  return async (sessions, handler) => {
    const app = create()
    app.disable('x-powered-by')
    app.use(sessions)
    app.use((req, res) => handler(req, res) as undefined)
    app.use((error: unknown, _req: unknown, res: express.Response, _next: unknown) =>
      page(error, res),
    )
    const site = await serve(app)
    return { ...site, ask: (init) => ask(site.url, init) }
  }
}

/** Each supported version of Express. */
export const versions: readonly [name: string, create: typeof express][] = [
  ['Express 5', express],
  ['Express 4', express4],
]
export const nodeFace: Face = {
  name: 'node:http',
  async start(sessions, handler) {
    const site = await serve(plain(sessions, handler))
    return { ...site, ask: (init) => ask(site.url, init) }
  },
}
export const http2Face: Face = {
  name: 'node:http2',
  async start(sessions, handler) {
    const listener = plain(sessions, handler) as unknown as (
      req: Http2ServerRequest,
      res: Http2ServerResponse,
    ) => void
    const site = await serve(http2.createServer(listener))
    const client = http2.connect(site.url)
    client.on('error', () => {})
    onTestFinished(() => client.destroy())
    return { ...site, ask: (init) => askHttp2(client, init) }
  },
}

export const faces: readonly Face[] = [
  ...versions.map(([name, create]) => ({ name, start: onExpress(create) })),
  nodeFace,
  http2Face,
]

export function ask(url: string, init: Ask & { agent?: http.Agent } = {}): Promise<Reply> {
  const { path = '/', ...rest } = init
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(path, url), rest, (answer) => {
      resolve({
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        cookie: cookieOf(answer.headers),
        ...read(answer, () => answer.complete),
      })
    })
    request.on('error', reject).end()
  })
}

function askHttp2(client: http2.ClientHttp2Session, init: Ask = {}): Promise<Reply> {
  const { method = 'GET', path = '/', headers: given } = init
  return new Promise((resolve, reject) => {
    const stream = client.request({ ':method': method, ':path': path, ...given })
    let hasEnded = false
    stream.once('end', () => {
      hasEnded = true
    })
    stream.on('error', reject).on('response', (headers) => {
      resolve({
        status: headers[':status'] ?? 0,
        headers: headers as http.IncomingHttpHeaders,
        cookie: cookieOf(headers as http.IncomingHttpHeaders),
        ...read(stream, () => hasEnded && stream.rstCode === 0),
      })
    })
    stream.end()
  })
}

function cookieOf(headers: http.IncomingHttpHeaders): string | undefined {
  const line = headers['set-cookie']?.find((one) => one.startsWith('sid='))
  return line?.split(';', 1)[0]
}

function read(
  stream: NodeJS.ReadableStream,
  isComplete: () => boolean,
): Pick<Reply, 'received' | 'body'> {
  let text = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    text += chunk
  })
  const closed = new Promise<{ text: string; isWhole: boolean }>((resolve) => {
    stream.on('error', () => {})
    stream.on('close', () => resolve({ text, isWhole: isComplete() }))
  })
  return { received: () => text, body: () => closed }
}
