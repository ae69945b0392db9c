import { createRequire } from 'node:module'
import { postgresStore } from 'staykept/postgres'
import * as pgbouncer from '../servers/pgbouncer.js'
import * as postgres from '../servers/postgres.js'
import { sharedServer } from '../servers/shared.js'
import { newSchema } from './postgres/schemas.js'
import type { StoreRig } from './rig.js'

const { openPool } = createRequire(import.meta.url)('./postgres.open.cjs')

export const withPg: StoreRig = rig('postgres, with pg', 'postgres', 'pg')
export const withPostgresJs: StoreRig = {
  ...rig('postgres, with postgres.js', 'postgres', 'postgres'),
  isVariant: true,
}
export const behindPgBouncer: StoreRig = {
  ...rig('postgres, behind PgBouncer', 'pgbouncer', 'pg'),
  isVariant: true,
}

/** Each place is a schema of its own in the server that all tests share. */
function rig(name: string, server: 'postgres' | 'pgbouncer', client: 'pg' | 'postgres'): StoreRig {
  return {
    name,
    hasFeed: server === 'postgres',
    missing: server === 'postgres' ? postgres.missing : pgbouncer.missing,
    async prepare() {
      const { port } = await sharedServer(server)
      const { schema, remove } = await newSchema(port)
      // A pooler that hands connections around is not in the way of sessions, but of the feed.
      const feed = server === 'postgres'
      return { settings: { port, client, schema, feed }, remove }
    },
    open({ port, client, schema, feed }) {
      const { pool, close } = openPool({ port, client })
      return { store: postgresStore({ pool, schema, feed }), close }
    },
    opener: 'postgres.open.cjs',
  }
}
