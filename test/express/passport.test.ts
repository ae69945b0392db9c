import flash from 'connect-flash'
import passport from 'passport'
import { Strategy } from 'passport-local'
import { describe, expect, test } from 'vitest'
import { createClient, serve } from '../http.js'
import { ask, versions } from './faces.js'
import { type Loose, setUp } from './stores.js'

const PASSWORD = 'correct horse battery staple'

function strategies() {
  const authenticator = new passport.Passport()
  authenticator.use(
    new Strategy((username, password, done) =>
      password === PASSWORD
        ? done(null, { id: username })
        : done(null, false, { message: 'Wrong password.' }),
    ),
  )
  authenticator.serializeUser((user, done) => done(null, (user as { id: string }).id))
  authenticator.deserializeUser((id: string, done) => done(null, { id }))
  return authenticator
}

for (const [version, create] of versions) {
  for (const pace of [0, 5]) {
    describe(`Passport on ${version}, with a store ${pace} ms away`, () => {
      async function application(keepSessionInfo: boolean) {
        const setup = await setUp()
        if (pace > 0) setup.faulty.slow(pace)
        const authenticator = strategies()
        const app = create()
        app.use(setup.sessions)
        app.use(flash())
        app.use(authenticator.session())
        app.get('/cart', (req, res) => {
          ;(req.session as Loose).value = 'kept'
          res.send('in the cart')
        })
        app.get('/login', (req, res) => void res.json(req.flash('error')))
        app.get(
          '/enter',
          authenticator.authenticate('local', {
            successRedirect: '/me',
            failureRedirect: '/login',
            failureFlash: true,
            keepSessionInfo,
          }),
        )
        app.get('/leave', (req, res, next) =>
          req.logout({ keepSessionInfo }, (error) => (error ? next(error) : res.redirect('/me'))),
        )
        app.get('/me', (req, res) => {
          const user = req.user as { id: string } | undefined
          res.json([user?.id ?? null, (req.session as Loose).value ?? null])
        })
        return { ...setup, ...(await serve(app)) }
      }

      for (const keepSessionInfo of [true, false]) {
        test(`signs in and out under a new cookie each, with keepSessionInfo: ${keepSessionInfo}`, async () => {
          const { url } = await application(keepSessionInfo)
          const client = createClient(url)
          const kept = keepSessionInfo ? 'kept' : null
          await client.get('/cart')
          const cart = client.jar.clone()

          const entered = await client.get(`/enter?username=ada&password=${encodeURI(PASSWORD)}`)
          expect(entered.headers.location).toBe('/me')
          expect(client.jar.get('sid')).not.toBe(cart.get('sid'))
          expect((await client.get('/me')).json()).toEqual(['ada', kept])
          expect((await createClient(url, cart).get('/me')).json()).toEqual([null, null])
          const signedIn = client.jar.clone()

          const left = await client.get('/leave')
          expect(left.headers.location).toBe('/me')
          expect((await client.get('/me')).json()).toEqual([null, kept])
          expect((await createClient(url, signedIn).get('/me')).json()).toEqual([null, null])
        })

        test(`signs in whoever comes without a cookie, before the redirect leaves, with keepSessionInfo: ${keepSessionInfo}`, async () => {
          const { url } = await application(keepSessionInfo)
          for (let round = 0; round < 10; round++) {
            const path = `/enter?username=ada&password=${encodeURI(PASSWORD)}`
            const entered = await ask(url, { path })
            const headers = { cookie: entered.cookie as string }
            const me = await ask(url, { path: '/me', headers })
            expect(JSON.parse((await me.body()).text)).toEqual(['ada', null])
          }
        })
      }

      test('flashes what was wrong, once', async () => {
        const { url } = await application(false)
        const client = createClient(url)
        const refused = await client.get('/enter?username=ada&password=wrong')
        expect(refused.headers.location).toBe('/login')
        expect((await client.get('/login')).json()).toEqual(['Wrong password.'])
        expect((await client.get('/login')).json()).toEqual([])
      })

      test('does not sign in where the store refuses', async () => {
        const { url, faulty } = await application(false)
        const client = createClient(url)
        faulty.refuse('no', { methods: ['create'] })
        const answer = await client.get(`/enter?username=ada&password=${encodeURI(PASSWORD)}`)
        expect([answer.status, answer.cookies]).toEqual([503, []])
      })
    })
  }
}
