import { afterAll, beforeAll, describe } from 'vitest'
import { notRun } from '../not-run.js'
import { missing, type RedisCluster, start } from '../servers/cluster.js'
import { clusters } from './redis/clients.js'
import { kitOn } from './redis/kit.js'

const why = missing()
if (why !== undefined) notRun('redisStore on a cluster', why)

describe.skipIf(why !== undefined)('a cluster of three primaries and three replicas', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await start()
  }, 60_000)
  afterAll(() => cluster.close())

  for (const kind of clusters) {
    kitOn(kind, () => ({ port: cluster.port, servers: cluster.nodes.map(({ port }) => port) }))
  }
})
