'use strict'

const { createClient } = require('redis')

exports.open = (load, { port, prefix }) => {
  const client = createClient({ url: `redis://127.0.0.1:${port}` })
  client.connect().catch(() => {})
  return { store: load('redis').redisStore({ client, prefix }), close: () => client.destroy() }
}
