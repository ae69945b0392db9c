/**
 * Counts the work that a request makes in its process: hashes, session data written out as text or read from it, and what
 * is given to the system to send. Import it before what it is to count.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

/** Stands in all session data of the benchmark. */
const MARKER = '"Ada Lovelace"'

let counts = nothing()

for (const name of ['createHash', 'createHmac', 'hash']) {
  const original = crypto[name]
  if (original === undefined) continue
  crypto[name] = (...args) => {
    counts.hashes += 1
    return original(...args)
  }
}

const { stringify, parse } = JSON
JSON.stringify = (...args) => {
  const text = stringify(...args)
  if (text?.includes(MARKER)) counts.stringify += 1
  return text
}
JSON.parse = (...args) => {
  if (String(args[0]).includes(MARKER)) counts.parse += 1
  return parse(...args)
}

// Both `_write` and `_writev` of a socket end here.
const { _writeGeneric } = net.Socket.prototype
net.Socket.prototype._writeGeneric = function (...args) {
  // A socket that a server accepted knows it; the others lead to stores.
  if (this.server) counts.responseWrites += 1
  else counts.storeWrites += 1
  return _writeGeneric.apply(this, args)
}

syncBuiltinESMExports()

/** What was counted since the last call. */
export function take() {
  const taken = counts
  counts = nothing()
  return taken
}

function nothing() {
  return { hashes: 0, stringify: 0, parse: 0, responseWrites: 0, storeWrites: 0 }
}
