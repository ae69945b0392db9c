'use strict'
// The application that the incumbent's failures were measured with, once for either library.

const express = require('express')

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** `sessions` is the middleware of staykept or, with `isIncumbent`, of express-session. */
function createApp(sessions, { isIncumbent = false } = {}) {
  const app = express()
  app.set('env', 'test')
  app.get('/public', (_req, res) => res.send('for everyone'))
  app.get('/heap', (_req, res) => {
    globalThis.gc?.()
    res.send(String(process.memoryUsage().heapUsed))
  })
  app.use(sessions)

  app.post('/begin', (req, res) => {
    req.session.visited = true
    res.json({ id: req.session.id })
  })

  app.post('/login', async (req, res) => {
    await signIn(req)
    res.json({ id: req.session.id })
  })

  app.post('/login-and-go', async (req, res) => {
    await signIn(req)
    res.redirect('/me')
  })

  async function signIn(req) {
    const name = String(req.query.user ?? 'ada')
    if (isIncumbent) req.session.user = name
    else await req.session.signIn(name, { data: { user: name } })
  }

  app.get('/me', (req, res) => {
    if (req.session.user === undefined) res.status(401).send('nobody')
    else res.send(req.session.user)
  })

  app.post('/logout', async (req, res, next) => {
    const { session } = req
    if (req.query.ms !== undefined) await sleep(Number(req.query.ms))
    session.destroy((error) => (error ? next(error) : res.send('bye')))
  })

  app.post('/regenerate', (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error)
      req.session.user = 'ada'
      res.send('new')
    })
  })

  app.get('/slow-read', async (req, res) => {
    const { user } = req.session
    await sleep(Number(req.query.ms ?? 30))
    res.send(String(user))
  })

  app.post('/slow-write', async (req, res) => {
    req.session.lastWrite = 0
    await sleep(Number(req.query.ms ?? 30))
    req.session.lastWrite = 1
    res.send('written')
  })

  app.post('/increment', async (req, res) => {
    if (isIncumbent) req.session.n = (req.session.n ?? 0) + 1
    else {
      await req.session.update((data) => {
        data.n = (data.n ?? 0) + 1
      })
    }
    res.send('counted')
  })

  app.post('/set/:key', async (req, res) => {
    void req.session.id
    await sleep(5)
    req.session[req.params.key] = 1
    res.send('set')
  })

  app.post('/tokens/:count', (req, res) => {
    for (let index = 0; index < Number(req.params.count); index++) req.session[`token${index}`] = 1
    res.send('made')
  })

  app.post('/redeem/:token', async (req, res) => {
    const { token } = req.params
    if (isIncumbent) {
      const value = req.session[token]
      await sleep(5)
      delete req.session[token]
      return res.json({ redeemed: value !== undefined })
    }
    res.json({ redeemed: (await req.session.take(token)) !== undefined })
  })

  app.get('/data', (req, res) => res.json({ ...req.session }))

  app.get('/lasting', (req, res) => {
    req.session.cookie.maxAge = 30 * 60_000
    req.session.kept = true
    res.send('kept')
  })

  app.get('/devices', async (req, res) => {
    res.json(await sessions.listByUser(req.query.user, { current: req.session.id }))
  })

  app.post('/revoke/:id', async (req, res) => res.json(await sessions.revoke(req.params.id)))

  app.post('/revoke-user/:user', async (req, res) => {
    res.json(await sessions.revokeByUser(req.params.user, { except: req.query.except ?? [] }))
  })

  app.post('/prune', async (_req, res) => res.json(await sessions.prune()))
  app.get('/check', async (_req, res) => res.json(await sessions.check()))

  app.use((error, _req, res, next) => {
    if (res.headersSent) return next(error)
    res.status(error.status ?? 500).json({ code: error.code, path: error.path })
  })
  return app
}

module.exports = { createApp }
