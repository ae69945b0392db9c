'use strict'
// Runs a program that is given as text, on a free port whatever port it asks for, with a clock that can be moved.

const { createRequire } = require('node:module')
const { Server } = require('node:net')
const { join } = require('node:path')

const { code, root, dist } = JSON.parse(process.argv[2])
const requireThere = createRequire(join(root, 'package.json'))
const { now } = Date
let ahead = 0
Date.now = () => now() + ahead

const { listen } = Server.prototype
Server.prototype.listen = function listenAnywhere(_port, ...others) {
  this.once('listening', () => process.send({ port: this.address().port }))
  return listen.call(this, 0, ...others)
}

const warnings = []
process.on('warning', ({ code: warning }) => warnings.push(warning))
process.on('message', ({ advance }) => {
  ahead += advance
  process.send({ warnings })
})
process.on('disconnect', () => process.exit())

const requirePackage = (name) => requireThere(name === 'staykept' ? join(dist, 'index.cjs') : name)
// biome-ignore lint/security/noGlobalEval: that is what this file is for
eval(`(function (require) { ${code}\n})`)(requirePackage)
