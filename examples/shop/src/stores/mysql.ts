import { mysqlStore } from 'staykept/mysql'
import { endsSoon, type SessionPlace } from './place.js'
import { accepted, hostNames, readStoreUrl, urlError } from './url.js'

const FORM = 'mysql://user:password@localhost:3306/database'

/** The parameters are those of mysql2: `?ssl={"rejectUnauthorized":true}`. */
export function mysql(text: string): SessionPlace {
  const { scheme, hosts, path: database } = readStoreUrl(text, FORM)
  if (hosts.length > 1) throw urlError(FORM, 'names several hosts, and mysql2 takes one')
  if (database === '') throw urlError(FORM, 'names no database')
  const product = scheme === 'mariadb' ? 'MariaDB' : 'MySQL'
  return {
    name: `${product} at ${hostNames(hosts, 3306)}, database ${database}`,
    async open() {
      const { createPool } = await import('mysql2/promise')
      const pool = accepted(FORM, () => createPool({ uri: text, connectTimeout: 1000 }))
      return { store: mysqlStore({ pool }), close: () => endsSoon(pool.end()) }
    },
  }
}
