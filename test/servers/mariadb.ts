import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { missingProgram, type ServerProcess, startServer } from './process.js'

/** Why there is no MariaDB here; `undefined` where there is one. */
export function missing(): string | undefined {
  return missingProgram('mariadbd') ?? missingProgram('mariadb-install-db')
}

export interface MariadbSettings {
  readonly port?: number
  /** Options of mariadbd: `{ 'max-connections': 10 }`. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/**
 * A MariaDB with an administrator and a user for databases whose names begin with `s_`; the first, `s_app`, is there from
 * the beginning.
 */
export function start({ port, settings = {} }: MariadbSettings = {}): Promise<ServerProcess> {
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
  const all = {
    'bind-address': '127.0.0.1',
    'max-connections': 300,
    'innodb-buffer-pool-size': '64M',
    ...settings,
  }
  return startServer({
    command: 'mariadbd',
    ...(port === undefined ? {} : { port }),
    prepare({ folder }) {
      writeFileSync(join(folder, 'users.sql'), USERS)
      mkdirSync(join(folder, 'tmp'))
      const made = spawnSync(
        'mariadb-install-db',
        ['--no-defaults', ...asRoot, ...folders(folder), '--skip-test-db'],
        { cwd: folder },
      )
      if (made.status !== 0) throw new Error(`${made.stdout}${made.stderr}`)
    },
    args: (place) => [
      ...['--no-defaults', ...asRoot, ...folders(place.folder)],
      ...[`--port=${place.port}`, `--socket=${join(place.folder, 'socket')}`],
      `--init-file=${join(place.folder, 'users.sql')}`,
      ...Object.entries(all).map(([name, value]) => `--${name}=${value}`),
    ],
    isReady: async (place) => (await ask(place.port, 'SELECT 1')).length === 1,
  })
}

/** One that starts removes the temporary tables of all others in the same tmpdir, and crashes them. */
function folders(folder: string): string[] {
  return [`--datadir=${join(folder, 'data')}`, `--tmpdir=${join(folder, 'tmp')}`]
}

/** One statement on a connection of its own, as the administrator. */
export async function ask(
  port: number,
  text: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const connection = await mysql.createConnection({ ...administrator(port), connectTimeout: 5000 })
  connection.on('error', () => {})
  try {
    const [rows] = await connection.query(text, values)
    return rows as Record<string, unknown>[]
  } finally {
    connection.destroy()
  }
}

export function administrator(port: number) {
  return { host: '127.0.0.1', port, user: 'administrator', password: 'administrator' }
}

/** Whose databases begin with `s_`, and who may not go round read_only. */
export function login(port: number) {
  return { host: '127.0.0.1', port, user: 'application', password: 'application' }
}

/** Runs at every start. */
const USERS = `
CREATE USER IF NOT EXISTS administrator@'127.0.0.1' IDENTIFIED BY 'administrator';
GRANT ALL ON *.* TO administrator@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS application@'127.0.0.1' IDENTIFIED BY 'application';
GRANT ALL ON \`s\\_%\`.* TO application@'127.0.0.1';
CREATE DATABASE IF NOT EXISTS s_app;
`
