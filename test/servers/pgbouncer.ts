import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accountOf, ask, missing as missingPostgres, start as startPostgres } from './postgres.js'
import { missingProgram, type ServerProcess, startServer } from './process.js'

/** Why there is no PgBouncer here; `undefined` where there is one. */
export function missing(): string | undefined {
  return missingPostgres() ?? missingProgram('pgbouncer')
}

/** A PostgreSQL of its own behind a PgBouncer in transaction mode, which has `size` connections to it. */
export async function start({ size = 5 } = {}): Promise<ServerProcess> {
  const postgres = await startPostgres()
  const user = process.getuid?.() === 0 ? accountOf('postgres') : undefined
  const bouncer = await startServer({
    command: 'pgbouncer',
    user,
    prepare({ folder, port }) {
      if (user) chownSync(folder, user.uid, user.gid)
      const lines = [
        '[databases]',
        `postgres = host=127.0.0.1 port=${postgres.port} user=postgres`,
        '[pgbouncer]',
        'listen_addr = 127.0.0.1',
        `listen_port = ${port}`,
        'unix_socket_dir =',
        'auth_type = any',
        'pool_mode = transaction',
        `default_pool_size = ${size}`,
        'max_client_conn = 500',
      ]
      writeFileSync(join(folder, 'pgbouncer.ini'), `${lines.join('\n')}\n`)
    },
    args: ({ folder }) => [join(folder, 'pgbouncer.ini')],
    isReady: async ({ port }) => (await ask(port, 'SELECT 1')).length === 1,
  }).catch(async (error: unknown) => {
    await postgres.close()
    throw error
  })
  return {
    ...bouncer,
    get pid() {
      return bouncer.pid
    },
    async close() {
      await bouncer.close()
      await postgres.close()
    },
  }
}
