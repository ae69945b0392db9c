import http, { ServerResponse } from 'node:http'
import express from 'express'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient, exchange, serve } from '../http.js'
import { type Loose, type Setup, setUp } from './stores.js'

/** An application with socket.io on the same sessions, as socket.io's own guide has it. */
async function chat(setup: Setup) {
  const app = express()
  app.use(setup.sessions)
  app.get('/sign-in', async (req, res) => {
    await req.session.signIn('ada', { data: { value: 'kept' } as object })
    res.send('signed in')
  })
  app.get('/value', (req, res) => void res.json((req.session as Loose).value ?? null))
  app.get('/change', (req, res) => {
    ;(req.session as Loose).value = 'changed'
    res.send('changed')
  })
  const server = http.createServer(app)
  const hub = new Server(server)
  hub.engine.use(setup.sessions)
  hub.on('connection', (socket) => {
    const { session } = socket.request as http.IncomingMessage
    socket.on('read', (reply) => reply([session.info.userId, (session as Loose).value]))
    socket.on('reload', (reply) =>
      session.reload((error) => reply(error ? String(error) : (session as Loose).value)),
    )
    socket.on('save', async (value, reply) => {
      ;(session as Loose).value = value
      reply(
        await session.save().then(
          () => 'saved',
          (error) => error.code,
        ),
      )
    })
  })
  const site = await serve(server)
  onTestFinished(() => void hub.close())

  async function connect(transport: 'websocket' | 'polling', cookie: string) {
    const socket = io(site.url, {
      transports: [transport],
      extraHeaders: cookie === '' ? {} : { cookie },
      forceNew: true,
    })
    onTestFinished(() => void socket.close())
    await new Promise<void>((resolve, reject) => {
      socket.on('connect', resolve).on('connect_error', reject)
    })
    return socket
  }
  return { ...site, connect }
}

for (const transport of ['websocket', 'polling'] as const) {
  for (const pace of [0, 5]) {
    describe(`socket.io over ${transport}, with a store ${pace} ms away`, () => {
      test('a socket reads, reloads and saves the session of its browser', async () => {
        const setup = await setUp()
        if (pace > 0) setup.faulty.slow(pace)
        const site = await chat(setup)
        const client = createClient(site.url)
        await client.get('/sign-in')

        const socket = await site.connect(transport, client.jar.header())

        expect(await socket.emitWithAck('read')).toEqual(['ada', 'kept'])
        await client.get('/change')
        expect(await socket.emitWithAck('reload')).toBe('changed')
        expect(await socket.emitWithAck('save', 'from the socket')).toBe('saved')
        expect((await client.get('/value')).json()).toBe('from the socket')
        await setup.sessions.revokeByUser('ada')
        expect(await socket.emitWithAck('save', 'too late')).toBe('ERR_SESSION_ENDED')
      })

      test('a socket without a session cannot begin one', async () => {
        const setup = await setUp()
        if (pace > 0) setup.faulty.slow(pace)
        const site = await chat(setup)
        const socket = await site.connect(transport, '')
        expect(await socket.emitWithAck('save', 'lost')).toMatch(
          /ERR_SESSION_(NO_RESPONSE|HEADERS_SENT)/,
        )
        expect(setup.faulty.calls.create).toBe(0)
      })
    })
  }
}

describe('an upgrade', () => {
  test('has the session of its browser by of(req), and of nobody where the cookie is none', async () => {
    const { sessions } = await setUp()
    const server = http.createServer((req, res) =>
      sessions(req, res, () => void req.session.signIn('ada').then(() => res.end())),
    )
    server.on('upgrade', async (req, socket) => {
      const { info } = await sessions.of(req)
      socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${info.userId ?? 'nobody'}`)
    })
    const { url, port } = await serve(server)
    const client = createClient(url)
    await client.get('/')

    const upgrade = (cookie: string): Promise<string> => upgradeOn(port, '/', cookie)
    expect(await upgrade(client.jar.header())).toBe('ada')
    expect(await upgrade('sid=forged')).toBe('nobody')
  })

  test('run through an Express application with a made-up response, as express-ws does, keeps the session', async () => {
    const setup = await setUp()
    setup.faulty.slow(5)
    const { sessions, faulty } = setup
    const app = express()
    app.use(sessions)
    app.get('/sign-in', async (req, res) => {
      await req.session.signIn('ada')
      res.end()
    })
    app.get('/ws/.websocket', async (req) => {
      const data = req.session as Loose
      data.value = 'kept'
      const saved = await data.save().then(
        () => 'saved',
        (error) => error.code,
      )
      req.socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\n${saved}`)
    })
    const server = http.createServer(app)
    server.on('upgrade', (req) => {
      req.url += '/.websocket'
      const response = new ServerResponse(req)
      response.writeHead = function writeHead(this: ServerResponse) {
        req.socket.destroy()
        return this
      } as typeof response.writeHead
      app(req, response)
    })
    const { url, port } = await serve(server)
    const client = createClient(url)
    await client.get('/sign-in')
    const created = faulty.calls.create

    const upgrade = (cookie: string): Promise<string> => upgradeOn(port, '/ws', cookie)
    expect(await upgrade(client.jar.header())).toBe('saved')
    expect(await upgrade('')).toBe('ERR_SESSION_NO_RESPONSE')
    expect(faulty.calls.create).toBe(created)
  })
})

/** What the server says once it has switched protocols. */
async function upgradeOn(port: number, path: string, cookie: string): Promise<string> {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: Upgrade', 'Upgrade: test']
  const text = await exchange(port, [...lines, `Cookie: ${cookie}`, '\r\n'].join('\r\n'))
  return text.split('\r\n\r\n')[1] ?? ''
}

test('a response with hardly a method is no trouble', async () => {
  const { sessions, faulty } = await setUp()
  faulty.slow(2)
  const { url } = await serve(async (req, res) => {
    const bare = { end: () => res.end('bare') } as unknown as ServerResponse
    await new Promise<void>((resolve) => sessions(req, bare, () => resolve()))
    expect(req.session.info.isNew).toBe(true)
    bare.end()
  })
  expect((await createClient(url).get('/')).text).toBe('bare')
})
