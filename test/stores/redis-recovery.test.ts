import { randomUUID } from 'node:crypto'
import type { SessionRecord, SessionStore, StoreKey } from 'staykept'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type NodeRedisClient, redisStore } from '../../src/stores/redis.js'
import { notRun } from '../not-run.js'
import * as clusterServers from '../servers/cluster.js'
import type { ServerProcess } from '../servers/process.js'
import { startProxy, type TcpProxy } from '../servers/proxy.js'
import { ask, missing, start } from '../servers/redis.js'
import * as sentinelServers from '../servers/sentinel.js'
import { type ClientKind, clusters, end, sentinels, standalone, type Way } from './redis/clients.js'

const why = missing()
if (why !== undefined) notRun('the recovery of redisStore', why)

const NOW = 2_000_000_000_000

describe.skipIf(why !== undefined)('a connection that died without a word', () => {
  describe('to one server', () => {
    let server: ServerProcess
    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server.close())

    // A pool of node-redis gives no way to its connections.
    test.each(standalone.filter(({ name }) => !name.includes('pool')))(
      '$name: is renewed when the store is told to',
      async (kind) => {
        const proxy = await proxyTo(server.port)
        await renewed(kind, { port: proxy.port }, [proxy])
      },
    )
  })

  describe('whose client gave up', () => {
    // The default reconnectStrategy of node-redis does, where the socket timed out.
    test.each(standalone.filter(({ name }) => /^node-redis \d$/.test(name)))(
      '$name: is opened again when the store is told to, but not if the application closed it',
      async (kind) => {
        const server = await start()
        onTestFinished(() => server.close())
        const proxy = await proxyTo(server.port)
        const socket = { host: '127.0.0.1', port: proxy.port, socketTimeout: 200 }
        const client = kind.open({ port: proxy.port }, { socket }) as NodeRedisClient
        onTestFinished(() => end(client))
        const store = redisStore({ client, prefix: `${randomUUID()}:` })
        await store.create(key(1), record(), NOW)
        proxy.silence()
        expect(await codeOf(store.load(key(1), NOW))).toBe('ERR_SESSION_STORE')
        expect(client.isOpen).toBe(false)
        await store.reconnect?.()
        expect(await store.load(key(1), NOW)).toEqual(record())
        await end(client)
        await store.reconnect?.()
        await expect(store.load(key(1), NOW)).rejects.toThrow(/not open/)
      },
    )
  })

  describe.skipIf(sentinelServers.missing() !== undefined)('to a primary behind Sentinel', () => {
    let watched: sentinelServers.RedisSentinels
    beforeAll(async () => {
      watched = await sentinelServers.start()
    }, 60_000)
    afterAll(() => watched.close())

    test.each(sentinels)('$name: is renewed when the store is told to', async (kind) => {
      const proxy = await proxyTo(watched.primary.port)
      const through = { [watched.primary.port]: proxy.port }
      await renewed(kind, { port: watched.port, through }, [proxy])
    })
  })

  describe('to one primary of a cluster', () => {
    let cluster: clusterServers.RedisCluster
    beforeAll(async () => {
      cluster = await clusterServers.start()
    }, 60_000)
    afterAll(() => cluster.close())

    test.each(clusters)(
      '$name: is renewed by itself, and no call to the others fails',
      async (kind) => {
        const proxies = await Promise.all(cluster.nodes.map(({ port }) => proxyTo(port)))
        const through = Object.fromEntries(
          cluster.nodes.map(({ port }, at) => [port, proxies[at]?.port as number]),
        )
        const client = kind.open({ port: cluster.port, through })
        onTestFinished(() => end(client))
        const prefix = `${randomUUID()}:`
        const traffic = await startTraffic(redisStore({ client, prefix }), prefix, cluster)
        const at = performance.now()
        const [first] = [...traffic.keys]
        const shard = first?.[0] as number
        proxies[cluster.nodes.findIndex(({ port }) => port === shard)]?.silence()
        await traffic.recovered(shard, at, 8000)
        expect(traffic.failuresOfOthers(shard)).toEqual([])
      },
      30_000,
    )
  })

  async function codeOf(answer: unknown): Promise<string> {
    try {
      await answer
      return 'answered'
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  async function renewed(kind: ClientKind, way: Way, proxies: readonly TcpProxy[]): Promise<void> {
    const client = kind.open(way)
    onTestFinished(() => end(client))
    const store = redisStore({ client, prefix: `${randomUUID()}:` })
    await store.create(key(1), record(), NOW)
    for (const proxy of proxies) proxy.silence()
    const held = store.load(key(1), NOW)
    const quick = new Promise((resolve) => setTimeout(resolve, 200, 'nothing'))
    expect(await Promise.race([held, quick])).toBe('nothing')
    const read = codeOf(held)
    const changed = codeOf(store.touch(key(1), 'v', NOW + 1, NOW + 60_000, NOW))

    await store.reconnect?.()
    // What was to be changed may have been.
    expect(await read).toBe('ERR_SESSION_STORE')
    expect(await changed).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    expect(await store.load(key(1), NOW)).toEqual(record())
  }
})

describe.skipIf(why !== undefined)('a primary of a cluster that is gone', () => {
  const NODE_TIMEOUT = 2000

  test.each(['kill', 'pause'] as const)(
    '%s: every running client finds its successor, and no call to the other primaries fails',
    async (how) => {
      const cluster = await clusterServers.start({ nodeTimeout: NODE_TIMEOUT })
      onTestFinished(() => cluster.close())
      const all = await Promise.all(
        clusters.map(async (kind) => {
          const client = kind.open({ port: cluster.port })
          onTestFinished(() => end(client))
          const prefix = `${randomUUID()}:`
          return {
            kind,
            traffic: await startTraffic(redisStore({ client, prefix }), prefix, cluster),
          }
        }),
      )
      const shard = [...(all[0]?.traffic.keys.keys() ?? [])][1] as number
      const victim = cluster.nodes.find(({ port }) => port === shard)
      const at = performance.now()
      await victim?.[how]()
      onTestFinished(() => victim?.resume())
      for (const { kind, traffic } of all) {
        const took = await traffic.recovered(shard, at, 30_000)
        console.log(`${how} of a primary, ${kind.name}: back after ${Math.round(took)} ms`)
        expect(traffic.failuresOfOthers(shard), kind.name).toEqual([])
        // The promise is the node timeout and 3 s; twice that is for a machine that is busy.
        expect(took, kind.name).toBeLessThan(2 * (NODE_TIMEOUT + 3000))
      }
    },
    90_000,
  )
})

interface Traffic {
  /** One key for each primary, by its port. */
  readonly keys: ReadonlyMap<number, StoreKey>
  /** Milliseconds from `at` until calls to the primary that had this port succeed again, and go on to. */
  recovered(port: number, at: number, patience: number): Promise<number>
  failuresOfOthers(port: number): unknown[]
}

/** Loads and stores a session of each primary over and over. */
async function startTraffic(
  store: SessionStore,
  prefix: string,
  cluster: clusterServers.RedisCluster,
): Promise<Traffic> {
  const keys = new Map<number, StoreKey>()
  await vi.waitFor(async () => store.load(key(0), NOW), { timeout: 20_000 })
  for (let number = 0; keys.size < 3; number += 1) {
    await store.create(key(number), record(), NOW)
    for (const { port } of cluster.nodes) {
      if ((await ask(port, 'INFO', 'replication')).includes('role:slave')) continue
      if (/^\$\d/.test(await ask(port, 'GET', prefix + key(number)))) keys.set(port, key(number))
    }
  }
  const seen = [...keys].map(([port, at]) => {
    const failures: unknown[] = []
    const successes: number[] = []
    let isOver = false
    let version = 'v'
    async function go(): Promise<void> {
      while (!isOver) {
        try {
          const next = record(randomUUID().slice(0, 22))
          const answer = await inTime(store.update(at, next, version, NOW))
          if (answer.outcome === 'updated') version = next.version
          else if (answer.outcome === 'conflict') version = answer.record.version
          successes.push(performance.now())
        } catch (error) {
          failures.push(error)
        }
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    void go()
    onTestFinished(() => {
      isOver = true
    })
    return { port, failures, successes }
  })
  return {
    keys,
    async recovered(port, at, patience) {
      const { successes } = seen.find((one) => one.port === port) as (typeof seen)[number]
      await vi.waitFor(() => expect(gapEnd()).toBeDefined(), { timeout: patience, interval: 50 })
      return (gapEnd() as number) - at

      /** The first of ten successes in a row after the outage. */
      function gapEnd(): number | undefined {
        const gap = successes.findIndex(
          (time, index) => time > at && time - (successes[index - 1] ?? at) > 300,
        )
        return gap >= 0 && successes.length > gap + 10 ? successes[gap] : undefined
      }
    },
    failuresOfOthers: (port) =>
      seen.filter((one) => one.port !== port).flatMap(({ failures }) => failures),
  }
}

/** As the core waits: for a second. */
function inTime<T>(answer: PromiseLike<T> | T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, 1000, new Error('not in time'))
    Promise.resolve(answer)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}

async function proxyTo(port: number): Promise<TcpProxy> {
  const proxy = await startProxy(port)
  onTestFinished(() => proxy.close())
  return proxy
}

function key(number: number): StoreKey {
  return String(number).padStart(22, '0') as StoreKey
}

function record(version = 'v'): SessionRecord {
  return {
    version,
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + 60_000,
    absoluteExpiresAt: NOW + 60_000,
  }
}
