import pg from 'pg'
import postgres from 'postgres'
import { onTestFinished } from 'vitest'
import type { SessionStore } from '../../../src/core/store.js'
import { type PostgresStoreOptions, postgresStore } from '../../../src/stores/postgres.js'
import { login } from '../../servers/postgres.js'
import { newSchema } from './schemas.js'

export { HOUR, key, NOW, record } from '../sql/records.js'

export type Kind = 'pg' | 'postgres.js'
export const KINDS: readonly Kind[] = ['pg', 'postgres.js']

export interface Opening extends Omit<Partial<PostgresStoreOptions>, 'pool'> {
  readonly port: number
  readonly kind?: Kind
  readonly max?: number
  /** Of the pool: who logs in, and where. */
  readonly user?: string
  readonly database?: string
  /** Settings of its connections: `{ default_transaction_isolation: 'serializable' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A store on a pool of its own, which ends with the test. */
export function openStore({
  port,
  kind = 'pg',
  max = 5,
  user = 'postgres',
  database = 'postgres',
  settings = {},
  ...options
}: Opening): Required<SessionStore> {
  const common = { ...login(port), user, database, max }
  if (kind === 'pg') {
    const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
    const pool = new pg.Pool({ ...common, options: flags.join(' '), connectionTimeoutMillis: 1000 })
    onTestFinished(() => pool.end())
    return postgresStore({ pool, ...options }) as Required<SessionStore>
  }
  const sql = postgres({ ...common, connection: settings, connect_timeout: 1, onnotice() {} })
  onTestFinished(() => sql.end({ timeout: 1 }))
  return postgresStore({ pool: sql, ...options }) as Required<SessionStore>
}

/** A new schema, which goes with the test. */
export async function emptySchema(port: number): Promise<string> {
  const { schema, remove } = await newSchema(port)
  onTestFinished(remove)
  return schema
}
