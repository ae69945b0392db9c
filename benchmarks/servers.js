/** Servers of stores on free ports of this machine: the starters of the tests, and what each server knows of its work. */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../scripts/entries.mjs'

/** `connect` opens a connection of the benchmark's own. */
const kinds = {
  redis: { title: 'Redis', variable: 'REDIS_PORT', connect: connectRedis },
  postgres: {
    title: 'PostgreSQL',
    variable: 'POSTGRES_PORT',
    connect: connectPostgres,
    // The tests do without. Who runs a database does not.
    options: { settings: { fsync: 'on', full_page_writes: 'on' } },
  },
  mariadb: { title: 'MariaDB', variable: 'MYSQL_PORT', connect: connectMysql },
}

let compiled

/** A module of test/servers. They are written in TypeScript, which Node 20 does not read. */
export async function testServers(name) {
  compiled ??= compile()
  return import(pathToFileURL(join(compiled, `test/servers/${name}.js`)).href)
}

function compile() {
  const out = join(root, 'node_modules/.staykept-bench')
  const require = createRequire(import.meta.url)
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc')
  const project = join(root, 'benchmarks/tsconfig.json')
  const result = spawnSync(process.execPath, [tsc, '-p', project, '--outDir', out], {
    encoding: 'utf8',
  })
  if (result.status !== 0) throw new Error(`test/servers cannot be compiled: ${result.stdout}`)
  writeFileSync(join(out, 'package.json'), '{ "type": "module" }\n')
  return out
}

/** Starts the server of that name, or says why it cannot be: `{ missing }`. */
export async function startServer(name) {
  const { missing, start } = await testServers(name)
  const why = missing()
  if (why !== undefined) return { missing: why }
  const { title, variable, connect, options } = kinds[name]
  const server = await start(options)
  const own = await connect(server.port)
  return {
    title,
    variable,
    port: server.port,
    version: `${title} ${await own.version()}`,
    commands: own.commands,
    connect,
    cpu: () => cpuOf(server.pid),
    async close() {
      await own.end()
      await server.close()
    },
  }
}

/** Microseconds of CPU that a process and its children have used, as far as the system tells (in steps of 10 ms). */
function cpuOf(pid) {
  const stat = `/proc/${pid}/stat`
  if (!existsSync(stat)) return Number.NaN
  // The name before it may have blanks.
  const fields = readFileSync(stat, 'utf8').split(') ')[1].split(' ')
  const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 10_000
  return childrenOf(pid).reduce((sum, child) => sum + cpuOf(child), own)
}

function childrenOf(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  )
}

async function connectRedis(port) {
  const { createClient } = await import('redis')
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect()

  /**
   * INFO commandstats would count what scripts call inside as well; MONITOR tells the two apart. PING belongs to no request:
   * with it a near cache asks its feed twice a second whether it is alive.
   */
  async function commands(run) {
    const monitor = await client.duplicate().connect()
    const names = new Map()
    const mark = randomUUID()
    let seen
    const end = new Promise((resolve) => {
      seen = resolve
    })
    await monitor.monitor((line) => {
      const [, source, command] = /^\S+ \[\d+ (\S+)\] "(\w+)"/.exec(line) ?? []
      if (line.includes(mark)) seen()
      else if (command && source !== 'lua' && !/^ping$/i.test(command))
        add(names, command.toUpperCase(), 1)
    })
    await run()
    await client.echo(mark)
    await end
    monitor.destroy()
    return [...names]
  }

  return {
    version: async () => /redis_version:(\S+)/.exec(await client.info('server'))[1],
    trip: () => client.ping(),
    commands,
    end: () => client.destroy(),
  }
}

async function connectPostgres(port) {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' })
  await client.connect()

  async function commands(run) {
    await client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements')
    await client.query('SELECT pg_stat_statements_reset()')
    await run()
    const { rows } = await client.query(
      "SELECT query, calls FROM pg_stat_statements WHERE query !~ 'pg_stat_statements'",
    )
    const names = new Map()
    for (const { query, calls } of rows) {
      add(names, /\w+/.exec(query)[0].toUpperCase(), Number(calls))
    }
    return [...names]
  }

  return {
    async version() {
      const { rows } = await client.query('SHOW server_version')
      return rows[0].server_version.split(' ')[0]
    },
    trip: () => client.query('SELECT 1'),
    commands,
    end: () => client.end(),
  }
}

const STATEMENTS = [
  ...['select', 'insert', 'update', 'delete', 'replace', 'begin', 'commit', 'rollback'],
  ...['call_procedure', 'set_option', 'execute_immediate'],
]

async function connectMysql(port) {
  const { default: mysql } = await import('mysql2/promise')
  const connection = await mysql.createConnection({
    ...{ host: '127.0.0.1', port, user: 'administrator', password: 'administrator' },
  })

  async function status() {
    const [rows] = await connection.query("SHOW GLOBAL STATUS LIKE 'Com\\_%'")
    return new Map(rows.map((row) => [row.Variable_name.slice(4), Number(row.Value)]))
  }

  async function commands(run) {
    const before = await status()
    await run()
    const after = await status()
    return STATEMENTS.map((name) => [
      name.toUpperCase(),
      after.get(name) - before.get(name),
    ]).filter(([, times]) => times > 0)
  }

  return {
    async version() {
      const [[{ version }]] = await connection.query('SELECT VERSION() AS version')
      return version.split('-')[0]
    },
    trip: () => connection.query('SELECT 1'),
    commands,
    end: () => connection.end(),
  }
}

function add(counts, name, times) {
  counts.set(name, (counts.get(name) ?? 0) + times)
}
