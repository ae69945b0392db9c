import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { type ServerProcess, startServer } from './process.js'

/** Why there is no PostgreSQL here; `undefined` where there is one. */
export function missing(): string | undefined {
  return findPrograms() === undefined ? 'PostgreSQL is not installed' : undefined
}

export interface PostgresSettings {
  readonly port?: number
  /** Settings of postgresql.conf: `{ max_connections: 10 }`. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** A PostgreSQL with the one user postgres, who needs no password. What it wrote outlives `kill`, not a power cut. */
export async function start({
  port,
  settings = {},
}: PostgresSettings = {}): Promise<ServerProcess> {
  const programs = findPrograms() as string
  const user = process.getuid?.() === 0 ? accountOf('postgres') : undefined
  const all = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    full_page_writes: 'off',
    max_connections: 300,
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.max': 50_000,
    ...settings,
  }
  const server = await startServer({
    command: join(programs, 'postgres'),
    ...(port === undefined ? {} : { port }),
    user,
    prepare({ folder }) {
      if (user) chownSync(folder, user.uid, user.gid)
      const options = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '-N']
      const made = spawnSync(join(programs, 'initdb'), ['-D', join(folder, 'data'), ...options], {
        cwd: folder,
        ...user,
      })
      if (made.status !== 0) throw new Error(String(made.stderr))
    },
    args: (place) => [
      ...['-D', join(place.folder, 'data'), '-p', String(place.port)],
      ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    isReady: async (place) => (await ask(place.port, 'SELECT 1')).length === 1,
  })

  /** Each connection is a process of its own, which goes on when its parent is stopped. */
  function everyone(): number[] {
    const file = `/proc/${server.pid}/task/${server.pid}/children`
    if (!existsSync(file)) return []
    const children = readFileSync(file, 'utf8')
    return [server.pid, ...children.split(' ').filter(Boolean).map(Number)]
  }

  function signal(name: NodeJS.Signals, pids: readonly number[]): void {
    for (const pid of pids) {
      try {
        process.kill(pid, name)
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  async function kill(): Promise<void> {
    const pids = everyone()
    signal('SIGSTOP', pids.slice(0, 1))
    signal('SIGKILL', pids)
    await server.kill()
  }

  return {
    port: server.port,
    folder: server.folder,
    get pid() {
      return server.pid
    },
    output: server.output,
    kill,
    pause: () => signal('SIGSTOP', everyone()),
    resume: () => signal('SIGCONT', everyone()),
    async restart() {
      await kill()
      await server.restart()
    },
    async close() {
      await kill().catch(() => {})
      await server.close()
    },
  }
}

/** One or several statements on a connection of their own, as the administrator. */
export async function ask(
  port: number,
  text: string,
  values?: unknown[],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...login(port), connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}

/** From now on the server counts statements, in `pg_stat_statements`. Test files that say so at once wait for each other. */
export async function countStatements(port: number): Promise<void> {
  await ask(port, 'SELECT pg_advisory_lock(1); CREATE EXTENSION IF NOT EXISTS pg_stat_statements')
}

export function login(port: number) {
  return { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' }
}

export function accountOf(name: string): { uid: number; gid: number } {
  const [uid, gid] = ['-u', '-g'].map((flag) =>
    Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout),
  )
  return { uid: uid as number, gid: gid as number }
}

/** Debian keeps them out of the PATH, one folder for each version. */
function findPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian) : []
  const folders = [
    ...versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${debian}/${version}/bin`),
    ...(process.env.PATH ?? '').split(':'),
  ]
  return folders.find((folder) => existsSync(join(folder, 'initdb')))
}
