import { randomBytes } from 'node:crypto'
import { ask } from '../../servers/postgres.js'

/** A schema of its own: what a store needs for being alone in a database. */
export async function newSchema(
  port: number,
): Promise<{ schema: string; remove: () => Promise<void> }> {
  const schema = `s_${randomBytes(6).toString('hex')}`
  await ask(port, `CREATE SCHEMA ${schema}`)
  return {
    schema,
    async remove() {
      await ask(port, `SET client_min_messages = warning; DROP SCHEMA ${schema} CASCADE`)
    },
  }
}
