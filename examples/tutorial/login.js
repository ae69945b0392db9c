// Who is there? Log in, see the dashboard, log out: `node login.js`.
const express = require('express')
const { session } = require('staykept')

const app = express()
app.use(session({ secret: process.env.SESSION_SECRET ?? 'keyboard_cat' }))

app.get('/login', (req, res) => {
  // A real program checks a password here.
  req.session.user = { id: 1, username: 'JohnDoe', role: 'admin' }
  res.send('You are now logged in and your session is active.')
})

app.get('/dashboard', (req, res) => {
  if (!req.session.user) return res.status(401).send('Please log in first.')
  const { username, role } = req.session.user
  res.send(`Welcome back, ${username}! Your role is: ${role}`)
})

app.get('/logout', (req, res) => {
  // Gone from the store, and the cookie is cleared along: no clearCookie needed.
  req.session.destroy((error) => {
    if (error) return res.status(500).send('Could not log out at this time.')
    res.send('You have been logged out.')
  })
})

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`Listening on http://localhost:${server.address().port}`)
})
