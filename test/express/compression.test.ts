import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import compression from 'compression'
import type express from 'express'
import type { RequestHandler } from 'express'
import type { FaultyStore } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { serve } from '../http.js'
import { versions } from './faces.js'
import { type Loose, setUp } from './stores.js'

const line = 'all work and no play makes a dull test\n'
const long = line.repeat(40_000)

const touch: RequestHandler = (req, _res, next) => {
  expect(req.session.info.isNew).toBe(true)
  next()
}

/** Where `compression` stands, seen from the session. */
const places: Record<string, (sessions: RequestHandler) => RequestHandler[]> = {
  'before the session': (sessions) => [compression(), sessions],
  'after the session': (sessions) => [sessions, compression()],
  'after someone who read the session': (sessions) => [sessions, touch, compression()],
}

const answers: Record<string, { text: string; answer: RequestHandler }> = {
  'a long text': { text: long, answer: (_, res) => void res.type('txt').send(long) },
  'a short text': { text: line, answer: (_, res) => void res.type('txt').send(line) },
  'writes one by one': {
    text: line.repeat(3),
    async answer(_, res) {
      res.type('txt')
      for (let count = 0; count < 3; count++) {
        res.write(line)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      res.end()
    },
  },
  'a pipe': {
    text: long,
    answer: (_, res) => void lines().pipe(res.type('txt')),
  },
  'a pipeline that minds the drain': {
    text: long,
    answer: (_, res) => pipeline(lines(), res.type('txt')).catch(() => {}),
  },
  'a loop that waits for drain': {
    text: long,
    async answer(_, res) {
      res.type('txt')
      for (const part of chunks()) {
        if (!res.write(part)) await new Promise((resolve) => res.once('drain', resolve as never))
      }
      res.end()
    },
  },
}

const stores: Record<string, (faulty: FaultyStore) => void> = {
  'answers at once': () => {},
  'is 10 ms away': (faulty) => faulty.slow(10),
}

for (const [version, create] of versions) {
  for (const [place, chain] of Object.entries(places)) {
    describe(`${version}, compression ${place}`, () => {
      for (const [name, { text, answer }] of Object.entries(answers)) {
        for (const [state, bring] of Object.entries(stores)) {
          test(`${name} arrives whole, when the store ${state}`, async () => {
            const { sessions, faulty, read } = await setUp()
            bring(faulty)
            const app = create()
            app.use(...chain(sessions))
            app.get('/', (req, res, next) => {
              ;(req.session as Loose).value = 'kept'
              return answer(req, res, next)
            })
            const { url } = await serve(app)

            const reply = await fetch(url, { headers: { 'accept-encoding': 'gzip' } })

            const isLong = text.length > 1024 || name === 'writes one by one'
            expect(reply.headers.get('content-encoding')).toBe(isLong ? 'gzip' : null)
            expect(await read(reply.headers.getSetCookie()[0]?.split(';')[0])).toBe('kept')
            expect(await reply.text()).toBe(text)
          })
        }

        test(`${name} gives way to a whole error page, when the store refuses`, async () => {
          const { sessions, faulty } = await setUp()
          faulty.slow(5)
          faulty.refuse('no', { methods: ['create'] })
          const app = create()
          app.use(...chain(sessions))
          app.get('/', (req, res, next) => {
            ;(req.session as Loose).value = 'lost'
            return answer(req, res, next)
          })
          const page: express.ErrorRequestHandler = (error, _req, res, _next) =>
            void res.status(error.status).type('txt').send(long)
          app.use(page)
          const { url } = await serve(app)

          const reply = await fetch(url, { headers: { 'accept-encoding': 'gzip' } })

          expect(reply.status).toBe(503)
          expect(await reply.text()).toBe(long)
        })
      }
    })
  }
}

/** The first is so small that a compressor has nothing to say `drain` for. */
function chunks(): string[] {
  return [line, ...Array.from({ length: 7 }, () => line.repeat(5000)), line.repeat(4999)]
}

function lines(): Readable {
  return Readable.from(chunks(), { objectMode: false })
}
