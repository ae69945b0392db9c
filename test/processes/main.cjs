'use strict'
// One process of several that share a store. Told what to be by its first argument, and answers with its port.

const { join } = require('node:path')

const told = JSON.parse(process.argv[2])
const { dist, opener, place, clockError = 0, storeDelay = 0, options = {}, tellsEnds } = told

// Before the library is loaded, so that it never sees the right time.
if (clockError !== 0) {
  const { now } = Date
  Date.now = () => now() + clockError
}

const { session } = require(join(dist, 'index.cjs'))
const { createApp } = require('./app.cjs')
const { farAway } = require('./far-away.cjs')

process.on('warning', () => {})

const load = (name) => require(join(dist, `${name}.cjs`))
const { store } = require(join('../stores', opener)).open(load, place)
const sessions = session({
  secret: 'a secret of more than thirty-two characters',
  store: storeDelay === 0 ? store : farAway(store, storeDelay),
  ...options,
})
if (tellsEnds) {
  sessions.on('ended', (event) => {
    process.send({ ...event, at: performance.timeOrigin + performance.now() })
  })
}
const server = createApp(sessions).listen(0, '127.0.0.1', () => {
  process.send({ port: server.address().port })
})
// The parent is gone: so are we.
process.on('disconnect', () => process.exit())
