import http, { type IncomingHttpHeaders, type RequestListener } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import { onTestFinished, TestRunner } from 'vitest'

export interface Served {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/** Starts a handler, an Express application or a server on a free loopback port. Closed when the test ends. */
export async function serve(target: RequestListener | net.Server): Promise<Served> {
  const server = target instanceof net.Server ? target : http.createServer(target)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(close)
  const scheme = server instanceof https.Server ? 'https' : 'http'
  return { url: `${scheme}://127.0.0.1:${port}`, port, close }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The Set-Cookie lines. */
  readonly cookies: readonly string[]
  readonly text: string
  /** Whether the whole response arrived; a cut one has what came. */
  readonly isWhole: boolean
  // biome-ignore lint/suspicious/noExplicitAny: a test knows what it asked for
  json(): any
}

export interface RequestInit {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is, or, where it is no string, as JSON. */
  readonly body?: unknown
  readonly agent?: http.Agent
  readonly signal?: AbortSignal
}

export interface Client {
  readonly jar: Jar
  request(path: string, init?: RequestInit): Promise<Answer>
  get(path: string, init?: RequestInit): Promise<Answer>
  post(path: string, init?: RequestInit): Promise<Answer>
}

/** A browser as far as cookies go. It follows no redirect, and `request` rejects where no header ever comes. */
export function createClient(url: string, jar: Jar = createJar()): Client {
  const isTls = url.startsWith('https')

  async function request(path: string, init: RequestInit = {}): Promise<Answer> {
    const { body, headers, ...rest } = init
    const isJson = body !== undefined && typeof body !== 'string'
    const cookie = jar.header(path)
    const send = isTls ? https.request : http.request
    const outgoing = send(new URL(path, url), {
      ...(isTls ? { rejectUnauthorized: false } : {}),
      ...rest,
      headers: {
        ...(cookie === '' ? {} : { cookie }),
        ...(isJson ? { 'content-type': 'application/json' } : {}),
        ...headers,
      },
    })
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve).on('error', reject)
    })
    outgoing.end(isJson ? JSON.stringify(body) : body)
    const answer = await answered
    const cookies = answer.headers['set-cookie'] ?? []
    for (const line of cookies) jar.store(line)
    const chunks: Buffer[] = []
    const whole = new Promise<boolean>((resolve) => {
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', () => {}).on('close', () => resolve(answer.complete))
    })
    const isWhole = await whole
    const text = Buffer.concat(chunks).toString()
    const { statusCode: status = 0 } = answer
    return { status, headers: answer.headers, cookies, text, isWhole, json: () => JSON.parse(text) }
  }

  return {
    jar,
    request,
    get: (path, init) => request(path, { ...init, method: 'GET' }),
    post: (path, init) => request(path, { ...init, method: 'POST' }),
  }
}

export interface Jar {
  store(line: string): void
  header(path?: string): string
  /** The value of a cookie, whatever its path and domain. */
  get(name: string): string | undefined
  clone(): Jar
}

/** RFC 6265bis §5.7: a cookie is known by name, domain and path; longer paths are sent first. */
export function createJar(cookies: Iterable<[string, string]> = []): Jar {
  const kept = new Map(cookies)
  const parse = (key: string): { name: string; path: string } => {
    const [name = '', , path = '/'] = key.split(';')
    return { name, path }
  }
  return {
    store(line) {
      const [pair = '', ...attributes] = line.split('; ')
      const find = (name: string): string =>
        attributes.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? ''
      const name = pair.slice(0, pair.indexOf('='))
      const key = `${name};${find('Domain')};${find('Path') || '/'}`
      kept.delete(key)
      if (find('Max-Age') !== '0') kept.set(key, pair.slice(name.length + 1))
    },
    header: (path = '/') =>
      [...kept]
        .map(([key, value]) => ({ ...parse(key), value }))
        .filter((cookie) => path.startsWith(cookie.path))
        .sort((left, right) => right.path.length - left.path.length)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; '),
    get: (name) => [...kept].find(([key]) => parse(key).name === name)?.[1],
    clone: () => createJar(kept),
  }
}

/** Writes bytes to a socket and answers all that came until it was closed. */
export function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}
