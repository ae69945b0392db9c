'use strict'

exports.open = (load, { login, client }) => {
  const { pool, close } = exports.openPool({ ...login, client })
  return { store: load('mysql').mysqlStore({ pool }), close }
}

/** A pool of five connections, of `mysql2`, `mysql2/promise` or `mariadb`. */
exports.openPool = ({ client, ...settings }) => {
  const { createPool } = require(client)
  const pool = createPool({ connectionLimit: 5, connectTimeout: 1000, ...settings })
  return { pool, close: () => new Promise((done) => end(pool, client, done)) }
}

function end(pool, client, done) {
  if (client === 'mysql2') pool.end(() => done())
  else pool.end().then(done, done)
}
