import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type ServerProcess } from './process.js'
import { ask, missing, start as startRedis } from './redis.js'

export { missing }

export interface RedisCluster {
  /** The port of one node. */
  readonly port: number
  readonly nodes: readonly ServerProcess[]
  close(): Promise<void>
}

export interface ClusterSettings {
  readonly nodeTimeout?: number
  /** More lines of redis.conf, as arguments. */
  readonly args?: readonly string[]
}

/**
 * Three primaries and three replicas, formed and in sync. `nodeTimeout` (ms) decides how soon a dead primary is replaced.
 * Two traps: a new replica waits five seconds before its first sync, and a primary that dies before that is never
 * replaced; and the bus listens ten thousand ports higher, where the highest free ports have none.
 */
export async function start({
  nodeTimeout = 2000,
  args: more = [],
}: ClusterSettings = {}): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const args = [
        ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeout)],
        ...['--cluster-port', String(await freePort())],
        // Else the whole cluster refuses everything while one primary is being replaced.
        ...['--cluster-require-full-coverage', 'no'],
        ...['--repl-diskless-sync-delay', '0', '--cluster-replica-validity-factor', '0'],
        ...more,
      ]
      return startRedis({ args })
    }),
  )
  const close = async (): Promise<void> => void (await Promise.all(nodes.map((n) => n.close())))
  try {
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
    const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes']
    const { status, stdout, stderr } = spawnSync('redis-cli', create, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`redis-cli --cluster create: ${stdout}${stderr}`)
    await until(async () => {
      for (const { port } of nodes) {
        if (!(await ask(port, 'CLUSTER', 'INFO')).includes('cluster_state:ok')) return false
        const role = await ask(port, 'INFO', 'replication')
        if (/role:slave/.test(role) && !/master_link_status:up/.test(role)) return false
      }
      return true
    })
  } catch (error) {
    await close()
    throw error
  }
  return { port: nodes[0]?.port as number, nodes, close }
}

export async function until(isSo: () => Promise<boolean>, milliseconds = 30_000): Promise<void> {
  const end = performance.now() + milliseconds
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('it did not come about in time')
    await sleep(20)
  }
}
