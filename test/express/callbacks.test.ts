import type { RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { createClient, serve } from '../http.js'
import { versions } from './faces.js'
import { type Loose, setUp } from './stores.js'

for (const [version, create] of versions) {
  for (const pace of [0, 5]) {
    describe(`as express-session is used on ${version}, with a store ${pace} ms away`, () => {
      async function application(routes: Record<string, RequestHandler>) {
        const setup = await setUp()
        if (pace > 0) setup.faulty.slow(pace)
        const app = create()
        app.use(setup.sessions)
        app.get('/start', (req, res) => {
          ;(req.session as Loose).value = 'begun'
          res.send('begun')
        })
        app.get('/read', (req, res) => void res.json((req.session as Loose).value ?? null))
        for (const [path, handler] of Object.entries(routes)) app.get(path, handler)
        const { url } = await serve(app)
        const client = createClient(url)
        await client.get('/start')
        return { ...setup, url, client }
      }

      test('save, reload, regenerate, touch and destroy take callbacks and answer the session', async () => {
        const { client } = await application({
          '/all': (req, res, next) => {
            const data = req.session as Loose
            const { id } = data
            const seen: unknown[] = []
            data.value = 'saved'
            const answered = data.save((error) => {
              seen.push(error)
              data.value = 'not saved'
              req.session.reload((error) => {
                seen.push(error, (req.session as Loose).value)
                req.session.touch((error) => {
                  seen.push(error)
                  req.session.regenerate((error) => {
                    seen.push(error, req.session.id === id, Object.keys(req.session))
                    ;(req.session as Loose).value = 'anew'
                    if (error) next(error)
                    else res.json(seen)
                  })
                })
              })
            })
            seen.push(answered === data)
          },
          '/end': (req, res) => {
            req.session.destroy((error) => void res.json([error ?? null, Object.keys(req.session)]))
          },
        })
        const before = client.jar.clone()
        const none = null
        expect((await client.get('/all')).json()).toEqual([
          true,
          none,
          none,
          'saved',
          none,
          none,
          false,
          [],
        ])
        expect((await client.get('/read')).json()).toBe('anew')
        const end = await client.get('/end')
        expect(end.json()).toEqual([null, []])
        expect(client.jar.header()).toBe('')
        expect(
          (await client.get('/read', { headers: { cookie: before.header() } })).json(),
        ).toBeNull()
      })

      test('a callback is told the error, and the request goes to whoever answers errors', async () => {
        const { client, faulty } = await application({
          '/save': (req, res, next) => {
            ;(req.session as Loose).value = 'lost'
            req.session.save((error) => (error ? next(error) : res.send('saved')))
          },
        })
        faulty.refuse('no', { methods: ['update'] })
        const answer = await client.get('/save')
        expect([answer.status, answer.cookies]).toEqual([503, []])
        await faulty.heal()
        expect((await client.get('/read')).json()).toBe('begun')
      })

      test('a callback that throws fails the request, not the process', async () => {
        const { client } = await application({
          '/throw': (req) => {
            ;(req.session as Loose).value = 'kept'
            req.session.save(() => {
              throw new Error('thrown in a callback')
            })
          },
        })
        const answer = await client.get('/throw')
        expect(answer.status).toBe(500)
        expect((await client.get('/read')).status).toBe(200)
      })

      test('a method that nobody awaits holds the answer all the same', async () => {
        const { client, url, faulty } = await application({
          '/end': (req, res) => {
            void req.session.destroy()
            res.redirect('/')
          },
          '/change': (req, res) => {
            ;(req.session as Loose).value = 'lost'
            void req.session.save()
            res.send('saved')
          },
        })
        const before = client.jar.clone()
        faulty.refuse('no', { methods: ['update'], times: 1 })
        expect((await client.get('/change')).status).toBe(503)
        expect((await client.get('/end')).status).toBe(302)
        expect((await createClient(url, before).get('/read')).json()).toBeNull()
      })

      test('methods that nobody awaits run in order, and the cookie is that of the last', async () => {
        const { client, url } = await application({
          '/all': (req, res) => {
            void req.session.destroy()
            void req.session.signIn('ada')
            void req.session.update((data) => Object.assign(data, { value: 'updated' }))
            void req.session.regenerate({ keep: ['value'] })
            res.send('done')
          },
        })
        const before = client.jar.clone()
        const { cookies } = await client.get('/all')
        expect(cookies).toHaveLength(1)
        expect((await client.get('/read')).json()).toBe('updated')
        expect((await createClient(url, before).get('/read')).json()).toBeNull()
      })

      test('req.session = null ends the session; what is assigned afterwards is a new one', async () => {
        const { client, url } = await application({
          '/null': (req, res) => {
            const { id } = req.session
            ;(req as { session: unknown }).session = null
            res.json(id)
          },
          '/anew': (req, res) => {
            ;(req as { session: unknown }).session = undefined
            ;(req.session as Loose).value = 'anew'
            res.json(req.session.id)
          },
        })
        const before = client.jar.clone()
        const { cookies } = await client.get('/null')
        expect(cookies[0]).toMatch(/^sid=; Max-Age=0;/)
        expect((await createClient(url, before).get('/read')).json()).toBeNull()
        await client.get('/start')
        await client.get('/anew')
        expect((await client.get('/read')).json()).toBe('anew')
      })

      test('req.session = {} is an error that says what to write', async () => {
        const { client } = await application({
          '/replace': (req, res) => {
            try {
              ;(req as { session: unknown }).session = { value: 'replaced' }
            } catch (error) {
              res.json(String(error))
            }
          },
        })
        expect((await client.get('/replace')).json()).toContain('Object.assign(req.session, data)')
        expect((await client.get('/read')).json()).toBe('begun')
      })
    })
  }
}
