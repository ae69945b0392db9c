import { postgresStore } from 'staykept/postgres'
import { endsSoon, type SessionPlace } from './place.js'
import { accepted, hostNames, readStoreUrl, urlError } from './url.js'

const FORM = 'postgres://user:password@localhost:5432/database'

/** The parameters are those of pg: `?sslmode=verify-full&sslrootcert=/path/to/ca.pem`. */
export function postgres(text: string): SessionPlace {
  const { hosts, path: database } = readStoreUrl(text, FORM)
  if (hosts.length > 1) throw urlError(FORM, 'names several hosts, and pg takes one')
  if (database === '') throw urlError(FORM, 'names no database')
  return {
    name: `PostgreSQL at ${hostNames(hosts, 5432)}, database ${database}`,
    async open(onTrouble) {
      const { Client, Pool } = await import('pg')
      const settings = { connectionString: text, connectionTimeoutMillis: 1000 }
      // A pool reads the address when it first connects, which is late to say that it cannot.
      accepted(FORM, () => new Client(settings))
      const pool = new Pool(settings)
      // Without a listener, an idle connection that breaks would end the process.
      pool.on('error', onTrouble)
      return { store: postgresStore({ pool, feed: true }), close: () => endsSoon(pool.end()) }
    },
  }
}
