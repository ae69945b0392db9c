import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './cluster.js'
import { missingProgram, type ServerProcess, startServer } from './process.js'
import { ask, missing as missingRedis, start as startRedis } from './redis.js'

export function missing(): string | undefined {
  return missingRedis() ?? missingProgram('redis-sentinel')
}

export interface RedisSentinels {
  /** The port of one sentinel. */
  readonly port: number
  /** What the sentinels call the primary. */
  readonly name: string
  readonly primary: ServerProcess
  readonly replica: ServerProcess
  readonly sentinels: readonly ServerProcess[]
  close(): Promise<void>
}

/** A primary, a replica and three sentinels that know of each other. `downAfter` (ms) decides how soon a fail-over begins. */
export async function start({ downAfter = 1000 } = {}): Promise<RedisSentinels> {
  const name = 'sessions'
  const primary = await startRedis()
  const of = ['--replicaof', '127.0.0.1', String(primary.port)]
  const replica = await startRedis({ args: of })
  const sentinels = await Promise.all(
    [0, 1, 2].map(() =>
      startServer({
        command: 'redis-sentinel',
        prepare: ({ folder, port }) =>
          writeFileSync(
            join(folder, 'sentinel.conf'),
            [
              `port ${port}`,
              'bind 127.0.0.1',
              `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
              `sentinel down-after-milliseconds ${name} ${downAfter}`,
              `sentinel failover-timeout ${name} 5000`,
              '',
            ].join('\n'),
          ),
        args: ({ folder }) => [join(folder, 'sentinel.conf')],
        isReady: async ({ port }) => askSentinel(port, 'PING') === 'PONG\n',
      }),
    ),
  )
  const servers = [...sentinels, replica, primary]
  const close = async (): Promise<void> => {
    for (const server of servers) await server.close()
  }
  try {
    await until(async () => {
      for (const { port } of sentinels) {
        const told = askSentinel(port, 'SENTINEL', 'MASTER', name)
        if (!/num-slaves\n1\n/.test(told) || !/num-other-sentinels\n2\n/.test(told)) return false
      }
      return /master_link_status:up/.test(await ask(replica.port, 'INFO', 'replication'))
    })
  } catch (error) {
    await close()
    throw error
  }
  return { port: sentinels[0]?.port as number, name, primary, replica, sentinels, close }
}

/** A sentinel knows no QUIT, by which `ask` finds the end of an answer. */
function askSentinel(port: number, ...words: readonly string[]): string {
  return spawnSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8' }).stdout
}
