import { randomUUID } from 'node:crypto'
import type { SessionStore, StoreConcern } from 'staykept'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { redisStore } from '../../src/stores/redis.js'
import { notRun } from '../not-run.js'
import * as clusterServers from '../servers/cluster.js'
import type { ServerProcess } from '../servers/process.js'
import { ask, missing, start } from '../servers/redis.js'
import { type ClientKind, clusters, end, standalone } from './redis/clients.js'

const why = missing()
if (why !== undefined) notRun('the self-check of redisStore', why)

const [nodeRedis] = standalone as [ClientKind]
const PERSISTENT = ['--appendonly', 'yes']

describe.skipIf(why !== undefined)('ping', () => {
  test.each(standalone)('$name: says the clock, and that all is well where it is', async (kind) => {
    const { store } = await open({ args: PERSISTENT, kind })
    const { now, concerns } = await ping(store)
    expect(Math.abs((now as number) - Date.now())).toBeLessThan(1000)
    expect(concerns).toEqual([])
  })

  test.each(['allkeys-lru', 'volatile-ttl', 'allkeys-random'])(
    'says that %s drops live sessions, and how to stop it',
    async (policy) => {
      const { store } = await open({
        args: [...PERSISTENT, '--maxmemory', '100mb', '--maxmemory-policy', policy],
      })
      expect(await concernsOf(store)).toEqual([
        {
          code: 'WARN_SESSION_EVICTION',
          message: expect.stringMatching(new RegExp(`is ${policy}, .*set it to noeviction`)),
        },
      ])
    },
  )

  test('is content with a policy that never comes to bear, and with noeviction', async () => {
    const policy = ['--maxmemory-policy', 'allkeys-lru']
    expect(await concernsOf((await open({ args: [...PERSISTENT, ...policy] })).store)).toEqual([])
    const full = [...PERSISTENT, '--maxmemory', '100mb']
    expect(await concernsOf((await open({ args: full })).store)).toEqual([])
  })

  test('says that nothing is kept on disk, unless there are save points', async () => {
    expect(await concernsOf((await open({})).store)).toEqual([
      { code: 'WARN_SESSION_NO_PERSISTENCE', message: expect.stringMatching(/appendonly yes/) },
    ])
    expect(await concernsOf((await open({ args: ['--save', '60 1'] })).store)).toEqual([])
  })

  test('says that a replica cannot store anything', async () => {
    const primary = await server(PERSISTENT)
    const { store } = await open({
      args: [...PERSISTENT, '--replicaof', '127.0.0.1', String(primary.port)],
    })
    expect(await concernsOf(store)).toEqual([
      { code: 'WARN_SESSION_READ_ONLY', message: expect.stringMatching(/connect to its primary/) },
    ])
  })

  test('names each command that the user may not run, and keys that it may not touch', async () => {
    const { port } = await server(PERSISTENT)
    await ask(port, 'ACL', 'SETUSER', 'most', 'on', '>pw', '~*', '+@all', '-getdel', '-strlen')
    await ask(port, 'ACL', 'SETUSER', 'elsewhere', 'on', '>pw', '~other:*', '+@all')
    const as = (username: string): SessionStore => {
      const client = nodeRedis.open({ port }, { username, password: 'pw' })
      onTestFinished(() => end(client))
      return redisStore({ client, prefix: 'mine:' })
    }
    expect(await concernsOf(as('most'))).toEqual([
      {
        code: 'WARN_SESSION_PERMISSION',
        message: expect.stringMatching(/may not run getdel, strlen, so .*ACL SETUSER/),
      },
    ])
    expect(await concernsOf(as('elsewhere'))).toEqual([
      {
        code: 'WARN_SESSION_PERMISSION',
        message: expect.stringMatching(/may not use keys that begin with mine:, so/),
      },
    ])
  })

  test('makes no key and changes none', async () => {
    const { store, port } = await open({ args: PERSISTENT })
    await ask(port, 'SET', 'mine', 'untouched')
    await ping(store)
    expect(await ask(port, 'DBSIZE')).toBe(':1\r\n')
  })

  test('asks for the clock only, and for the rest once a minute and on a new connection', async () => {
    const { store, port, client } = await open({ args: PERSISTENT })
    await ping(store)
    const calls = async (command: string) => {
      const stats = await ask(port, 'INFO', 'commandstats')
      return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
    }
    // Each of these questions is an INFO itself.
    const [infos, times] = [await calls('info'), await calls('time')]
    await ping(store)
    await ping(store)
    expect((await calls('info')) - infos).toBe(2)
    expect((await calls('time')) - times).toBe(2)
    await end(client)
    await (client as unknown as { connect(): Promise<unknown> }).connect()
    await ping(store)
    expect((await calls('info')) - infos).toBe(4 + 1)
  })

  test('rejects where nobody answers, and says so', async () => {
    const { store, server: gone, client } = await open({})
    await ping(store)
    await gone.kill()
    await vi.waitFor(() => expect((client as { isReady?: boolean }).isReady).toBe(false))
    await expect(ping(store)).rejects.toThrow(/no connection to Redis|connection to Redis failed/)
    await expect(ping(store)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', status: 503 })
  })
})

describe.skipIf(why !== undefined)('ping of a cluster', () => {
  test('looks at every primary, and one of them is enough to answer', async () => {
    const cluster = await clusterServers.start({ nodeTimeout: 15_000 })
    onTestFinished(() => cluster.close())
    const primaries: ServerProcess[] = []
    for (const node of cluster.nodes) {
      if ((await ask(node.port, 'INFO', 'replication')).includes('role:master'))
        primaries.push(node)
    }
    const [first, last] = [primaries[0] as ServerProcess, primaries.at(-1) as ServerProcess]
    onTestFinished(() => first.resume())
    const clients = clusters.map((kind) => kind.open({ port: cluster.port }))
    onTestFinished(async () => void (await Promise.all(clients.map(end))))
    /** What new stores on all the clients say. */
    const pingAll = () => Promise.all(clients.map((client) => ping(redisStore({ client }))))
    const alike = (codes: readonly string[]) =>
      clusters.map(() =>
        expect.objectContaining({
          concerns: codes.map((code) => expect.objectContaining({ code })),
        }),
      )

    expect(await pingAll()).toEqual(alike(['WARN_SESSION_NO_PERSISTENCE']))
    await ask(last.port, 'CONFIG', 'SET', 'maxmemory', '100mb')
    await ask(last.port, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    for (const { concerns = [] } of await pingAll()) {
      expect(concerns.map(({ code }) => code).sort()).toEqual([
        'WARN_SESSION_EVICTION',
        'WARN_SESSION_NO_PERSISTENCE',
      ])
    }
    first.pause()
    for (const { now } of await pingAll()) expect(now).toBeTypeOf('number')
  }, 60_000)
})

async function server(args: readonly string[]): Promise<ServerProcess> {
  const started = await start({ args })
  onTestFinished(() => started.close())
  return started
}

async function open({
  args = [],
  kind = nodeRedis,
}: {
  args?: readonly string[]
  kind?: ClientKind
}) {
  const started = await server(args)
  const client = kind.open({ port: started.port })
  onTestFinished(() => end(client))
  const store = redisStore({ client, prefix: `${randomUUID()}:` })
  return { server: started, port: started.port, client, store }
}

async function ping(store: SessionStore) {
  return (await store.ping?.()) as Awaited<ReturnType<NonNullable<SessionStore['ping']>>>
}

async function concernsOf(store: SessionStore): Promise<readonly StoreConcern[]> {
  return (await ping(store)).concerns ?? []
}
