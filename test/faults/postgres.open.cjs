'use strict'
// A PostgreSQL at an address of its own, through a pool of five as docs/stores/postgres.md has it.

const { openPool } = require('../stores/postgres.open.cjs')

exports.open = (load, { port }) => {
  const { pool, close } = openPool({ port, client: 'pg', connectionTimeoutMillis: 1000 })
  return { store: load('postgres').postgresStore({ pool }), close }
}
