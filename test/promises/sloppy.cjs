// Sloppy on purpose: without 'use strict', an assignment to a read-only property would be ignored in silence.

function assign(req, res) {
  req.session.before = 1
  req.session[req.params.key] = { isAdmin: true }
  res.send('fine')
}

function assignQuietly(req, res) {
  try {
    assign(req, { send() {} })
  } catch {
    // Swallowed: the answer must not say that all is well.
  }
  req.session.after = 1
  res.send('fine')
}

/** Goes around the setters. */
function define(req, res) {
  const descriptor = { value: 1, enumerable: true, configurable: true, writable: true }
  Object.defineProperty(req.session, req.params.key, descriptor)
  res.send('fine')
}

module.exports = { assign, assignQuietly, define }
