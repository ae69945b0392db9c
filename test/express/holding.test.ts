import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FaultyStore } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { faces, type Handler } from './faces.js'
import { type Loose, setUp } from './stores.js'

interface Way {
  readonly name: string
  readonly method?: string
  readonly status?: number
  readonly body?: string
  readonly answer: Handler
}

const big = 'x'.repeat(300_000)

/** Every way to answer that Node knows. Each is tried after a write to the session. */
const ways: readonly Way[] = [
  { name: 'end(text)', answer: (_, res) => res.end('done') },
  {
    name: 'end() alone',
    body: '',
    answer: (_, res) => res.end(),
  },
  {
    name: 'write and end',
    answer(_, res) {
      res.write('do')
      res.end('ne')
    },
  },
  {
    name: 'write, a pause, and end',
    async answer(_, res) {
      res.write('do')
      await pause()
      res.end('ne')
    },
  },
  {
    name: 'writeHead and end',
    status: 201,
    answer: (_, res) => res.writeHead(201, { 'X-Own': 'yes' }).end('done'),
  },
  {
    name: 'flushHeaders, a pause, and end',
    async answer(_, res) {
      res.flushHeaders()
      await pause()
      res.end('done')
    },
  },
  { name: 'a pipe', body: big, answer: (_, res) => source().pipe(res) },
  {
    name: 'a pipeline',
    body: big,
    answer: (_, res) => pipeline(source(), res).catch(() => {}),
  },
  { name: 'a HEAD request', method: 'HEAD', body: '', answer: (_, res) => res.end() },
  {
    name: '304',
    status: 304,
    body: '',
    answer(_, res) {
      res.statusCode = 304
      res.end()
    },
  },
  {
    name: '204',
    status: 204,
    body: '',
    answer: (_, res) => res.writeHead(204).end(),
  },
  {
    name: 'end(callback)',
    body: '',
    answer: (_, res) => new Promise<void>((resolve) => res.end(resolve)),
  },
  {
    name: 'end(text, encoding, callback)',
    answer: (_, res) => new Promise<void>((resolve) => res.end('646f6e65', 'hex', resolve)),
  },
  {
    name: 'write(text, callback), and end when it was called',
    async answer(_, res) {
      await new Promise((resolve) => res.write('do', resolve))
      res.end('ne')
    },
  },
  {
    name: 'end called twice',
    answer(_, res) {
      const answers = [res.end('done'), res.end()]
      answers.every((one) => one === res) || res.destroy()
    },
  },
  { name: 'end(null)', body: '', answer: (_, res) => res.end(null) },
]

const healthy: Record<string, (faulty: FaultyStore) => void> = {
  'answers at once': () => {},
  'is 10 ms away': (faulty) => faulty.slow(10),
}

const sick: Record<string, (faulty: FaultyStore) => void> = {
  'refuses writes': (faulty) => faulty.refuse('no', { methods: ['create', 'update'] }),
  hangs: (faulty) => faulty.hang({ methods: ['create', 'update'] }),
}

for (const face of faces) {
  describe(`${face.name}`, () => {
    for (const way of ways) {
      for (const [state, bring] of Object.entries(healthy)) {
        test(`${way.name}: what was written is stored before the headers come, when the store ${state}`, async () => {
          const { sessions, faulty, read } = await setUp()
          bring(faulty)
          const site = await face.start(sessions, (req, res) => {
            ;(req.session as Loose).value = 'kept'
            return way.answer(req, res)
          })

          const reply = await site.ask({ method: way.method ?? 'GET' })

          expect(await read(reply.cookie)).toBe('kept')
          expect(reply.status).toBe(way.status ?? 200)
          const { text, isWhole } = await reply.body()
          expect(text.length).toBe((way.body ?? 'done').length)
          expect(text).toBe(way.body ?? 'done')
          expect(isWhole).toBe(true)
        })
      }

      for (const [state, bring] of Object.entries(sick)) {
        test(`${way.name}: gives way to 503 without a cookie, when the store ${state}`, async () => {
          const { sessions, faulty } = await setUp({ storeBudget: 60 })
          bring(faulty)
          const site = await face.start(sessions, (req, res) => {
            ;(req.session as Loose).value = 'lost'
            res.setHeader('Content-Type', 'application/json')
            return way.answer(req, res)
          })

          const reply = await site.ask({ method: way.method ?? 'GET' })

          expect(reply.status).toBe(503)
          expect(reply.headers['retry-after']).toBe('1')
          expect(reply.headers['set-cookie']).toBeUndefined()
          expect(reply.headers['content-type']).toBeUndefined()
          const { text, isWhole } = await reply.body()
          expect(text).toBe(way.method === 'HEAD' ? '' : 'error page')
          expect(isWhole).toBe(true)
        })
      }
    }
  })
}

function source(): Readable {
  return Readable.from(Array.from({ length: 30 }, () => Buffer.alloc(10_000, 'x')))
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2))
}
