import { EventEmitter, once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createClient, serve } from '../http.js'
import { ask, faces, nodeFace, versions } from './faces.js'
import { type Loose, type Setup, setUp } from './stores.js'

/** Everything that the manager says about changes that came too late. */
function listen({ sessions }: Setup): { late: string[]; warned: string[] } {
  const late: string[] = []
  const warned: string[] = []
  sessions.on('lateChange', ({ id }) => late.push(id))
  sessions.on('warning', ({ code }) => warned.push(code))
  return { late, warned }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

for (const face of faces) {
  describe(`${face.name}: a stream of events`, () => {
    for (const pace of [0, 10]) {
      const far = `a store ${pace} ms away`

      test(`sends its headers when the session is stored, and stores later updates, on ${far}`, async () => {
        const setup = await setUp()
        if (pace > 0) setup.faulty.slow(pace)
        const { late } = listen(setup)
        const signals = new EventEmitter()
        const site = await face.start(setup.sessions, async (req, res) => {
          const session = req.session as Loose
          session.value = 'begun'
          res.setHeader('Content-Type', 'text/event-stream')
          res.flushHeaders()
          await once(signals, 'update')
          await session.update((data) => {
            Object.assign(data, { value: 'updated' })
          })
          res.write('data: updated\n\n')
          await once(signals, 'save')
          session.value = 'saved'
          await session.save()
          res.end('data: saved\n\n')
        })

        const reply = await site.ask()

        expect(reply.received()).toBe('')
        expect(await setup.read(reply.cookie)).toBe('begun')
        signals.emit('update')
        await vi.waitFor(() => expect(reply.received()).toContain('updated'))
        expect(await setup.read(reply.cookie)).toBe('updated')
        signals.emit('save')
        expect((await reply.body()).isWhole).toBe(true)
        expect(await setup.read(reply.cookie)).toBe('saved')
        expect(late).toEqual([])
      })

      test(`is cut off where a later change was not stored, and says so, on ${far}`, async () => {
        const setup = await setUp()
        if (pace > 0) setup.faulty.slow(pace)
        const { late, warned } = listen(setup)
        const site = await face.start(setup.sessions, async (req, res) => {
          const session = req.session as Loose
          session.value = 'begun'
          res.write('data: begun\n\n')
          await pause(50)
          session.value = 'lost'
          res.end('data: lost\n\n')
        })

        const reply = await site.ask()
        const { text, isWhole } = await reply.body()

        expect(text).toBe('data: begun\n\n')
        expect(isWhole).toBe(false)
        expect(await setup.read(reply.cookie)).toBe('begun')
        expect(late).toHaveLength(1)
        expect(warned).toEqual(['WARN_SESSION_LATE_CHANGE'])
      })
    }

    test('that the browser leaves is told of a change that was not stored', async () => {
      const setup = await setUp()
      const { late } = listen(setup)
      const site = await face.start(setup.sessions, async (req, res) => {
        res.write('data: begun\n\n')
        ;(req.session as Loose).value = 'lost'
        await pause(10)
        res.destroy()
      })
      await site.ask().then(
        (reply) => reply.body(),
        () => {},
      )
      await vi.waitFor(() => expect(late).toHaveLength(1))
    })

    test('cannot sign anyone in after its headers, and nothing is stored', async () => {
      const { sessions, faulty } = await setUp()
      const errors: unknown[] = []
      const site = await face.start(sessions, async (req, res) => {
        res.write('begun')
        await pause(5)
        for (const call of [() => req.session.signIn('ada'), () => req.session.regenerate()]) {
          await call().catch((error: unknown) => errors.push(error))
        }
        res.end()
      })
      const reply = await site.ask()
      expect((await reply.body()).isWhole).toBe(true)
      expect(errors[0]).toMatchObject({ code: 'ERR_SESSION_HEADERS_SENT' })
      expect(faulty.calls.create).toBe(0)
    })
  })

  describe(`${face.name}: while it waits for the store`, () => {
    test('a source stands still, and goes on afterwards', async () => {
      const { sessions, faulty } = await setUp()
      faulty.slow(80)
      let made = 0
      const site = await face.start(sessions, (req, res) => {
        ;(req.session as Loose).value = 'kept'
        const source = new Readable({
          highWaterMark: 16_384,
          read() {
            made += 1
            this.push(made > 400 ? null : Buffer.alloc(10_000, 'x'))
          },
        })
        source.pipe(res)
      })
      const asked = site.ask()
      await pause(50)
      expect(made).toBeLessThan(10)
      const reply = await asked
      const { text, isWhole } = await reply.body()
      expect([text.length, isWhole]).toEqual([4_000_000, true])
    })

    test('a browser that goes away harms nobody, and the change is stored', async () => {
      const setup = await setUp()
      setup.faulty.slow(40)
      const done = vi.fn()
      const site = await face.start(setup.sessions, async (req, res) => {
        const session = req.session as Loose
        if (req.url !== '/leave') return res.end('done')
        session.value = 'kept'
        res.once('close', done)
        await pipeline(Readable.from(['all ', 'is ', 'well']), res).catch(() => {})
      })
      const first = await site.ask()
      await first.body()
      const leave = face.name === 'node:http2' ? leaveHttp2(site.url) : leaveHttp1(site.port)
      await pause(15)
      leave()
      await vi.waitFor(() => expect(done).toHaveBeenCalled())
      await vi.waitFor(() => expect(setup.faulty.calls.create).toBe(1))
      const next = await site.ask()
      expect((await next.body()).text).toBe('done')
    })
  })
}

function leaveHttp1(port: number): () => void {
  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET /leave HTTP/1.1\r\nHost: localhost\r\n\r\n')
  return () => socket.resetAndDestroy()
}

function leaveHttp2(url: string): () => void {
  const client = http2.connect(url)
  const stream = client.request({ ':path': '/leave' })
  stream.on('error', () => {}).end()
  return () => {
    stream.close(http2.constants.NGHTTP2_CANCEL)
    client.close()
  }
}

for (const [version, create] of versions) {
  describe(`${version}: files`, () => {
    async function folder(): Promise<string> {
      const path = await mkdtemp(join(tmpdir(), 'staykept-files-'))
      onTestFinished(() => rm(path, { recursive: true }))
      await writeFile(join(path, 'large.txt'), 'x'.repeat(700_000))
      return path
    }

    test('sendFile waits for the store, ranges and conditional requests too', async () => {
      const { sessions, faulty, read } = await setUp()
      const root = await folder()
      faulty.slow(10)
      const app = create()
      app.use(sessions)
      const told: unknown[] = []
      app.get('/', (req, res) => {
        const session = req.session as Loose
        session.value = Number(session.value ?? 0) + 1
        res.sendFile('large.txt', { root }, (error) => void told.push(error))
      })
      const { url } = await serve(app)

      const whole = await ask(url)
      const headers = { cookie: whole.cookie as string }
      expect(await read(whole.cookie)).toBe(1)
      expect((await whole.body()).text).toHaveLength(700_000)
      const part = await ask(url, { headers: { ...headers, range: 'bytes=0-9' } })
      expect([part.status, await read(whole.cookie)]).toEqual([206, 2])
      expect((await part.body()).text).toBe('xxxxxxxxxx')
      const none = await ask(url, {
        headers: { ...headers, 'if-none-match': whole.headers.etag as string },
      })
      expect([none.status, await read(whole.cookie)]).toEqual([304, 3])
      const head = await ask(url, { method: 'HEAD', headers })
      expect([head.headers['content-length'], await read(whole.cookie)]).toEqual(['700000', 4])
      expect(told.every((error) => error === undefined)).toBe(true)
    })

    test('sendFile gives way to an error, and the file is closed', async () => {
      const { sessions, faulty } = await setUp()
      const root = await folder()
      faulty.slow(5)
      faulty.refuse('no', { methods: ['create'] })
      const app = create()
      app.use(sessions)
      app.get('/', (req, res) => {
        ;(req.session as Loose).value = 'lost'
        res.sendFile('large.txt', { root })
      })
      const closed = vi.fn()
      app.get('/stream', (req, res) => {
        ;(req.session as Loose).value = 'lost'
        void pipeline(createReadStream(join(root, 'large.txt')).once('close', closed), res).catch(
          () => {},
        )
      })
      const { url } = await serve(app)
      for (const path of ['/', '/stream']) {
        const reply = await createClient(url).get(path)
        expect(reply.status).toBe(503)
        expect(reply.isWhole).toBe(true)
        expect(reply.text).not.toContain('xxx')
      }
      await vi.waitFor(() => expect(closed).toHaveBeenCalled())
    })
  })
}

for (const pace of [0, 5]) {
  for (const look of ['first looked at before it', 'first looked at after it']) {
    describe(`after the answer, the session ${look}, with a store ${pace} ms away`, () => {
      async function changed(change: (req: IncomingMessage) => void) {
        const setup = await setUp()
        const { late, warned } = listen(setup)
        const site = await nodeFace.start(setup.sessions, (req, res) => {
          if (req.url === '/start') (req.session as Loose).value = 'kept'
          else if (look.endsWith('before it')) expect(req.session.info.isNew).toBe(false)
          res.end()
          if (req.url !== '/start') setTimeout(() => change(req), 20)
        })
        const { cookie = '' } = await site.ask({ path: '/start' })
        if (pace > 0) setup.faulty.slow(pace)
        await site.ask({ headers: { cookie } })
        await pause(60)
        return { late, warned, value: await setup.read(cookie) }
      }

      test('a change is told, and not stored', async () => {
        const { late, warned, value } = await changed((req) => {
          ;(req.session as Loose).value = 'lost'
        })
        expect(late).toHaveLength(1)
        expect(warned).toEqual(['WARN_SESSION_LATE_CHANGE'])
        expect(value).toBe('kept')
      })

      test('a change that is saved is stored, and nothing is told', async () => {
        const { late, value } = await changed((req) => {
          ;(req.session as Loose).value = 'saved'
          void req.session.save()
        })
        expect(late).toEqual([])
        expect(value).toBe('saved')
      })
    })
  }
}
