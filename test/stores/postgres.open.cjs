'use strict'

exports.open = (load, { port, client, schema, feed }) => {
  const { pool, close } = exports.openPool({ port, client })
  const store = load('postgres').postgresStore({ pool, schema, feed, timeout: 10_000 })
  return { store, close }
}

/** A pool of five connections, of `pg` or of `postgres`, which is postgres.js. */
exports.openPool = ({ port, client, ...settings }) => {
  const login = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres', max: 5 }
  if (client === 'postgres') {
    const sql = require('postgres')({ ...login, ...settings })
    return { pool: sql, close: () => sql.end({ timeout: 1 }) }
  }
  const { Pool } = require('pg')
  const pool = new Pool({ ...login, connectionTimeoutMillis: 10_000, ...settings })
  return { pool, close: () => pool.end() }
}
