'use strict'
// A MariaDB at an address of its own, through a pool of five as docs/stores/mysql.md has it.

const { openPool } = require('../stores/mysql.open.cjs')

exports.open = (load, { port, client }) => {
  const login = { host: '127.0.0.1', port, user: 'application', password: 'application' }
  // Otherwise mariadb asks a connection that was idle for half a second whether it is alive: one trip more.
  const pings = client === 'mariadb' ? { minDelayValidation: 5000 } : {}
  const { pool, close } = openPool({ ...login, ...pings, database: 's_app', client })
  return { store: load('mysql').mysqlStore({ pool }), close }
}
