import type { ErrorRequestHandler, Express, RequestHandler, Response } from 'express'
import express from 'express'
import { SessionError } from 'staykept'
import { describe, expect, test, vi } from 'vitest'
import { createClient, serve } from '../http.js'
import { versions } from './faces.js'
import { type Loose, type Setup, setUp } from './stores.js'

const write: RequestHandler = (req, _res, next) => {
  ;(req.session as Loose).value = 'kept'
  next()
}

/** An application whose store is 10 ms away. */
async function slowApp(create: () => Express): Promise<Setup & { app: Express }> {
  const setup = await setUp()
  setup.faulty.slow(10)
  const app = create()
  app.use(setup.sessions)
  return { ...setup, app }
}

for (const [version, create] of versions) {
  describe(`${version}: an error after the answer`, () => {
    const late: Record<string, RequestHandler> = {
      // Express 4 never looks at what a handler returns.
      ...(version === 'Express 5' && {
        'rejected after send': async (_req: unknown, res: Response) => {
          res.send('done')
          await Promise.reject(new Error('late'))
        },
      }),
      'thrown after send': (_req, res) => {
        res.send('done')
        throw new Error('late')
      },
      'thrown after json': (_req, res) => {
        res.json('done')
        throw new Error('late')
      },
      'given to next after redirect': (_req, res, next) => {
        res.redirect('/done')
        next(new Error('late'))
      },
      'given to next after write and end': (_req, res, next) => {
        res.write('do')
        res.end('ne')
        next(new Error('late'))
      },
      'made by a second send': (_req, res) => {
        res.send('done')
        res.send('once more')
      },
      'made by a second redirect': (_req, res) => {
        res.redirect('/done')
        res.redirect('/elsewhere')
      },
    }
    for (const [name, handler] of Object.entries(late)) {
      test(`${name} does not cut it off`, async () => {
        const { app, read } = await slowApp(create)
        app.get('/', write, handler)
        const { url } = await serve(app)

        const reply = await createClient(url).get('/')

        expect([200, 302]).toContain(reply.status)
        expect(reply.text).toMatch(/done/)
        expect(reply.isWhole).toBe(true)
        expect(await read(reply.cookies[0]?.split(';')[0])).toBe('kept')
      })

      test(`${name} does not change it, whatever the error handler of the application says`, async () => {
        const { app } = await slowApp(create)
        app.get('/', write, handler)
        const answer: ErrorRequestHandler = (_error, _req, res, _next) => {
          res.statusCode = 500
          res.end('error page')
        }
        app.use(answer)
        const { url } = await serve(app)

        const reply = await createClient(url).get('/')

        expect([200, 302]).toContain(reply.status)
        expect(reply.text).toMatch(/done/)
        expect(reply.isWhole).toBe(true)
      })
    }

    test('cuts off a stream that never came to its end', async () => {
      const { app } = await slowApp(create)
      app.get('/', write, (_req, res) => {
        res.write('begun')
        throw new Error('late')
      })
      const { url } = await serve(app)
      const reply = await createClient(url)
        .get('/')
        .catch(() => undefined)
      expect(reply?.isWhole ?? false).toBe(false)
    })
  })

  describe(`${version}: an error before the answer`, () => {
    test('stores what was written, before the error page leaves', async () => {
      const { app, read } = await slowApp(create)
      app.get('/', write, () => {
        throw Object.assign(new Error('early'), { status: 418 })
      })
      const { url } = await serve(app)
      const reply = await createClient(url).get('/')
      expect([reply.status, reply.isWhole]).toEqual([418, true])
      expect(await read(reply.cookies[0]?.split(';')[0])).toBe('kept')
    })

    test('of the store comes to the error handler of the application before its routes', async () => {
      const { app, faulty } = await slowApp(create)
      const ran: string[] = []
      app.get('/', (req, res) => {
        ran.push(req.path)
        ;(req.session as Loose).value = 'kept'
        res.send('done')
      })
      const careless: ErrorRequestHandler = (error, req, res, _next) => {
        ran.push(error.code)
        res.send(`sorry, ${req.path}`)
      }
      app.use(careless)
      const { url } = await serve(app)
      const client = createClient(url)
      await client.get('/')
      faulty.fail(new Error('down'), { methods: ['load'] })
      const reply = await client.get('/')
      expect([reply.status, reply.text, reply.cookies]).toEqual([503, 'sorry, /', []])
      expect(reply.headers['retry-after']).toBe('1')
      expect(ran).toEqual(['/', 'ERR_SESSION_STORE'])
    })
  })

  describe(`${version}: while an answer waits for the store`, () => {
    test('it looks as if it had been sent', async () => {
      const { app } = await slowApp(create)
      const seen: Record<string, unknown> = {}
      const codes: unknown[] = []
      app.get('/', write, (_req, res) => {
        res.status(201).send('done')
        seen.flags = [res.headersSent, res.writableEnded, res.finished]
        for (const late of [
          () => res.setHeader('X-Late', 'yes'),
          () => res.appendHeader('X-Late', 'yes'),
          () => res.removeHeader('Content-Type'),
          () => res.writeHead(500, { 'X-Late': 'yes' }),
          () => res.status(500).json('again'),
        ]) {
          try {
            late()
          } catch (error) {
            codes.push((error as { code: unknown }).code)
          }
        }
      })
      const { url } = await serve(app)

      const reply = await createClient(url).get('/')

      expect(seen.flags).toEqual([true, true, true])
      expect(codes).toEqual(Array(5).fill('ERR_HTTP_HEADERS_SENT'))
      expect(reply.status).toBe(201)
      expect(reply.headers['x-late']).toBeUndefined()
      expect(reply.text).toBe('done')
    })

    test('it bears with compressors that announce the headers once too often, as compression 1.7 does', async () => {
      const { app } = await slowApp(create)
      app.get('/', write, (_req, res) => {
        res.writeHead(res.statusCode)
        res.write('do')
        res.writeHead(res.statusCode)
        res.end('ne')
      })
      const { url } = await serve(app)
      const reply = await createClient(url).get('/')
      expect([reply.status, reply.text, reply.isWhole]).toEqual([200, 'done', true])
    })

    test('what is still asked of the session is done before it leaves', async () => {
      const { app } = await slowApp(create)
      app.get('/', async (req, res) => {
        ;(req.session as Loose).first = true
        res.send('done')
        await req.session.signIn('ada')
      })
      app.get('/me', (req, res) => void res.json(req.session.info.userId ?? null))
      const { url } = await serve(app)
      const client = createClient(url)
      expect((await client.get('/')).text).toBe('done')
      expect((await client.get('/me')).json()).toBe('ada')
    })

    test('what is still written to the session is stored with it', async () => {
      const { app, read } = await slowApp(create)
      app.get('/', (req, res) => {
        const session = req.session as Loose
        session.first = true
        res.send('done')
        session.value = 'kept'
      })
      const { url } = await serve(app)
      const reply = await createClient(url).get('/')
      expect(await read(reply.cookies[0]?.split(';')[0])).toBe('kept')
    })
  })

  describe(`${version}: an error instead of the answer`, () => {
    /** Requests whose change cannot be stored, each for another reason. */
    async function brokenApp() {
      const setup = await setUp({ maxBytes: 4096, storeBudget: 60 })
      const { sessions, faulty } = setup
      const app = create()
      app.use((_req, res, next) => {
        res.setHeader('X-Frame-Options', 'DENY')
        res.setHeader('Content-Security-Policy', "default-src 'self'")
        res.cookie('theme', 'dark')
        next()
      })
      app.use(sessions)
      const router = express.Router()
      router.get('/start', (req, res) => {
        ;(req.session as Loose).value = 'kept'
        res.send('started')
      })
      router.get('/sign-in', async (req, res) => {
        await req.session.signIn('ada')
        res.send('signed in')
      })
      const breaks: Record<string, RequestHandler> = {
        ended: async (req, _res, next) => {
          ;(req.session as Loose).value = 'lost'
          await sessions.revoke(req.session.id)
          next()
        },
        late: (req, _res, next) => {
          ;(req.session as Loose).value = 'lost'
          next()
        },
        large: (req, _res, next) => {
          ;(req.session as Loose).value = 'x'.repeat(5000)
          next()
        },
        strange: (req, _res, next) => {
          ;(req.session as Loose).basket = { items: [1, () => 2] }
          next()
        },
        refused: (req, _res, next) => {
          ;(req.session as Loose).value = 'lost'
          faulty.refuse('no', { methods: ['update', 'create'], times: 1 })
          next()
        },
        unknown: (req, _res, next) => {
          ;(req.session as Loose).value = 'lost'
          faulty.loseReplies({ methods: ['update', 'create'], times: 1 })
          next()
        },
      }
      const answer: RequestHandler = (_req, res) => {
        res.cookie('seen', 'yes').set({
          ETag: '"1"',
          'Content-Language': 'en',
          'Content-Disposition': 'attachment',
          'Cache-Control': 'public, max-age=60',
          'Last-Modified': new Date(0).toUTCString(),
        })
        res.send('all is well')
      }
      for (const [path, break_] of Object.entries(breaks)) router.get(`/${path}`, break_, answer)
      const nested = express.Router()
      nested.use('/inner', router)
      app.use('/outer', nested)
      return { ...setup, app }
    }

    const cases = [
      { path: 'ended', status: 401, code: 'ERR_SESSION_ENDED' },
      { path: 'late', status: 409, code: 'ERR_SESSION_ROTATED' },
      { path: 'large', status: 413, code: 'ERR_SESSION_TOO_LARGE' },
      { path: 'strange', status: 500, code: 'ERR_SESSION_DATA' },
      { path: 'refused', status: 503, code: 'ERR_SESSION_STORE' },
      { path: 'unknown', status: 503, code: 'ERR_SESSION_OUTCOME_UNKNOWN' },
    ]

    for (const pace of ['at once', 'in 5 ms']) {
      for (const { path, status, code } of cases) {
        test(`${code} is ${status} on Express's own page, without a word of the answer, when the store answers ${pace}`, async () => {
          const { app, faulty } = await brokenApp()
          const { url } = await serve(app)
          const client = createClient(url)
          await client.get('/outer/inner/start')
          const before = client.jar.clone()
          if (path === 'late') await client.get('/outer/inner/sign-in')
          if (pace !== 'at once') faulty.slow(5)

          const reply = await createClient(url, before).get(`/outer/inner/${path}`)

          expect(reply.status).toBe(status)
          expect(reply.isWhole).toBe(true)
          expect(reply.text).not.toContain('all is well')
          expect(reply.cookies).toEqual(['theme=dark; Path=/'])
          expect(reply.headers).toMatchObject({
            'x-frame-options': 'DENY',
            'content-type': 'text/html; charset=utf-8',
          })
          for (const gone of ['etag', 'content-language', 'last-modified', 'cache-control']) {
            expect(reply.headers).not.toHaveProperty(gone)
          }
          expect(reply.headers['content-disposition']).toBeUndefined()
          expect(reply.headers['retry-after']).toBe(status === 503 ? '1' : undefined)
        })
      }
    }

    for (const { path, status, code } of cases) {
      test(`${code} comes to the error handler of the application, whose page keeps ${status}`, async () => {
        const { app } = await brokenApp()
        const errors: unknown[] = []
        const careless: ErrorRequestHandler = (error, req, res, _next) => {
          errors.push(error)
          expect(Object.keys(req.session)).toEqual([])
          res.send('sorry')
        }
        app.use(careless)
        const { url } = await serve(app)
        const client = createClient(url)
        await client.get('/outer/inner/start')
        const before = client.jar.clone()
        if (path === 'late') await client.get('/outer/inner/sign-in')

        const reply = await createClient(url, before).get(`/outer/inner/${path}`)

        expect(errors).toEqual([expect.objectContaining({ code, status })])
        expect(errors[0]).toBeInstanceOf(SessionError)
        expect(reply.status).toBe(status)
        expect(reply.text).toBe('sorry')
        expect(reply.headers['content-security-policy']).toBe("default-src 'self'")
      })
    }

    test('may send the user elsewhere', async () => {
      const { app } = await brokenApp()
      const toLogin: ErrorRequestHandler = (error, _req, res, next) =>
        error.status === 401 ? res.redirect('/login') : next(error)
      app.use(toLogin)
      const { url } = await serve(app)
      const client = createClient(url)
      await client.get('/outer/inner/start')
      const reply = await client.get('/outer/inner/ended')
      expect([reply.status, reply.headers.location]).toEqual([302, '/login'])
    })

    test('is not mixed with the answer of a handler that goes on writing', async () => {
      const { app, faulty } = await brokenApp()
      faulty.slow(5)
      const done = vi.fn()
      app.get('/stream', async (req, res) => {
        ;(req.session as Loose).value = 'lost'
        faulty.refuse('no', { methods: ['create'] })
        for (let count = 0; count < 20; count++) {
          res.write('all is well ')
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
        done(
          res.write('to the end'),
          res.end('and over', () => {}),
        )
      })
      const slow: ErrorRequestHandler = (_error, _req, res, _next) => {
        setTimeout(() => res.type('txt').send('sorry'), 10)
      }
      app.use(slow)
      const { url } = await serve(app)

      const reply = await createClient(url).get('/stream')

      expect(reply.status).toBe(503)
      expect(reply.text).toBe('sorry')
      expect(reply.isWhole).toBe(true)
      await vi.waitFor(() => expect(done).toHaveBeenCalledWith(false, expect.anything()))
    })

    test('is told to the callbacks of the answer', async () => {
      const { app, faulty } = await brokenApp()
      faulty.slow(5)
      const told: unknown[] = []
      app.get('/told', (req, res) => {
        ;(req.session as Loose).value = 'lost'
        faulty.refuse('no', { methods: ['create'] })
        res.write('all is', (error) => void told.push(error))
        res.end(' well', ((error?: Error) => {
          told.push(error)
          throw error
        }) as () => void)
      })
      const { url } = await serve(app)
      const reply = await createClient(url).get('/told')
      expect(reply.status).toBe(503)
      const error = expect.objectContaining({ code: 'ERR_SESSION_STORE' })
      expect(told).toEqual([error, error])
    })

    test('clears the cookie where the user asked to be signed out and the store did not answer', async () => {
      const { app, faulty } = await brokenApp()
      const end: RequestHandler = (req, res: Response) => {
        ;(req as { session: unknown }).session = null
        res.redirect('/')
      }
      app.get('/sign-out', end)
      const { url } = await serve(app)
      const client = createClient(url)
      await client.get('/outer/inner/start')
      faulty.hang({ methods: ['delete'] })
      const reply = await client.get('/sign-out')
      expect(reply.status).toBe(503)
      expect(client.jar.get('sid')).toBeUndefined()
    })
  })
}
