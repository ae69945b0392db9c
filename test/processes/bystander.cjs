'use strict'

/** A server that does nothing: what it takes to answer is what the machine takes. */
const { createServer } = require('node:http')

const server = createServer((_req, res) => res.end())
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
