// The smallest program with a session: it counts your visits. `node first-session.js`, then reload the page.
const express = require('express')
const { session } = require('staykept')

const app = express()

app.use(
  session({
    secret: process.env.SESSION_SECRET ?? 'keyboard_cat', // signs the cookie; take a long random one in production
    cookie: { maxAge: 60_000 }, // the session ends 60 seconds after the last request
  }),
)

app.get('/', (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1
  res.send(`Visits: ${req.session.visits}`)
})

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`Listening on http://localhost:${server.address().port}`)
})
