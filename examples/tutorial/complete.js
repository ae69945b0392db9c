// The complete program: sessions outlive a restart, logging in takes a POST and changes the cookie's secret, logging
// out ends the session everywhere. `examples/shop` is what becomes of it.
const express = require('express')
const { session } = require('staykept')
const { sqliteStore } = require('staykept/sqlite')

const app = express()
app.use(express.urlencoded({ extended: false }))

// 1. Where sessions are kept: one file, nothing to install or to start.
const store = sqliteStore({ filename: process.env.SESSIONS ?? 'sessions.db' })

// 2. The middleware. The cookie is HttpOnly, SameSite=Lax, and Secure wherever the request is.
const sessions = session({
  secret: process.env.SESSION_SECRET ?? 'dev_secret_key',
  store,
  cookie: { maxAge: 1000 * 60 * 30 }, // 30 minutes
})
app.use(sessions)

app.post('/login', async (req, res) => {
  // A real program checks a password here.
  const user = { id: 1, username: 'JohnDoe', role: 'admin' }
  await req.session.signIn(user.id, { data: { user } })
  res.send('Login successful')
})

app.get('/dashboard', (req, res) => {
  if (!req.session.user) return res.status(401).json({ error: 'Unauthorized' })
  res.send(`Hello, ${req.session.user.username}. Accessing admin panel...`)
})

app.post('/logout', async (req, res) => {
  await req.session.signOut()
  res.send('Logged out successfully')
})

// For the phone that was left in a taxi.
app.post('/logout-elsewhere', async (req, res) => {
  const { userId } = req.session.info
  if (userId === undefined) return res.status(401).json({ error: 'Unauthorized' })
  const ended = await sessions.revokeByUser(userId, { except: req.session.id })
  res.send(`Logged out elsewhere: ${ended}`)
})

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`App listening on http://localhost:${server.address().port}`)
})
