'use strict'
// A server that lets its requests finish when it is told to end, and closes the store after them.

const { join } = require('node:path')
const express = require('express')

const { dist, filename } = JSON.parse(process.argv[2])
const { session } = require(join(dist, 'index.cjs'))
const { sqliteStore } = require(join(dist, 'sqlite.cjs'))

const sessions = session({
  secret: 'a secret of more than thirty-two characters',
  store: sqliteStore({ filename }),
})
const app = express().use(sessions)
app.post('/slow', async (req, res) => {
  void req.session.id
  process.send({ started: true })
  await new Promise((resolve) => setTimeout(resolve, 300))
  await req.session.signIn('ada', { data: { isDone: true } })
  res.send('done')
})

const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))

process.on('SIGTERM', () => {
  // Browsers keep their connections for the next request; there is none.
  const closing = setInterval(() => server.closeIdleConnections(), 20)
  server.close(async () => {
    clearInterval(closing)
    await sessions.close()
    process.disconnect()
  })
})
