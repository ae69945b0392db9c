import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { redisStore } from 'staykept/redis'
import { expect, onTestFinished, test } from 'vitest'
import { slotOf } from '../../src/stores/redis/slot.js'
import { notRun } from '../not-run.js'
import { start as startCluster } from '../servers/cluster.js'
import { ask, missing, start } from '../servers/redis.js'

const why = missing()
if (why !== undefined) notRun("redisStore with revocation: 'replicated'", why)
const run = test.skipIf(why !== undefined)

const NOW = 1_700_000_000_000
const record = (version: string, userId?: string) => ({
  ...{ version, payload: 'x', userId, lastSeenAt: NOW },
  ...{ expiresAt: NOW + 60_000, absoluteExpiresAt: NOW + 600_000 },
})
const KEY = 'a'.repeat(22) as never
const replicated = { revocation: 'replicated', replicationTimeout: 150 } as const

run(
  'a session of a server without a replica is not confirmed to have ended, however often it is asked',
  async () => {
    const server = await start()
    onTestFinished(() => server.close())
    const client = createClient({ url: `redis://127.0.0.1:${server.port}` })
    onTestFinished(() => client.destroy())
    await client.connect()
    const store = redisStore({ client, ...replicated })
    await store.create(KEY, record('v', 'ada'), NOW)
    const unknown = {
      code: 'ERR_SESSION_OUTCOME_UNKNOWN',
      message: expect.stringMatching(/replica/),
    }
    await expect(store.delete(KEY, NOW)).rejects.toMatchObject(unknown)
    await expect(store.delete(KEY, NOW)).rejects.toMatchObject(unknown)
    const end = { except: [], mark: { value: 'm', expiresAt: NOW + 1000 }, now: NOW }
    await expect(store.deleteByUser?.('ada', end)).rejects.toMatchObject(unknown)
    expect(await store.load(KEY, NOW)).toBeUndefined()
  },
)

run('in a cluster it is the replica of the very shard that is asked', async () => {
  const cluster = await startCluster()
  onTestFinished(() => cluster.close())
  const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${cluster.port}` }] })
  onTestFinished(() => client.destroy())
  await client.connect()
  const store = redisStore({ client, ...replicated, replicationTimeout: 5000 })
  for (let index = 0; index < 30; index += 1) {
    const key = String(index).padStart(22, 'k') as never
    await store.create(key, record('v', 'ada'), NOW)
    expect(await store.delete(key, NOW)).toBe(true)
    expect(await store.delete(key, NOW)).toBe(false)
  }
  await store.create(KEY, record('v', 'ada'), NOW)
  const end = { except: [], mark: { value: 'm', expiresAt: NOW + 1000 }, now: NOW }
  expect(await store.deleteByUser?.('ada', end)).toEqual([KEY])
})

run('the slot of a key is the one that Redis says', async () => {
  const cluster = await startCluster()
  onTestFinished(() => cluster.close())
  for (const key of ['foo', 'staykept:user:ada', '{a}b', 'a{}b', 'x{y}z', 'é{ü}', '}{']) {
    expect([key, await ask(cluster.port, 'CLUSTER', 'KEYSLOT', key)]).toEqual([
      key,
      `:${slotOf(key)}\r\n`,
    ])
  }
})

test.each([
  ['a pool', () => createClientPool()],
  [
    'a sentinel',
    () => createSentinel({ name: 'm', sentinelRootNodes: [{ host: '::1', port: 1 }] }),
  ],
])(
  "%s is refused with revocation: 'replicated', since it does not say which connection it uses",
  (_, make) => {
    expect(() => redisStore({ client: make() as never, ...replicated })).toThrow(
      /revocation: 'replicated' needs .*createClient or createCluster/,
    )
  },
)

test.each([
  [{ revocation: 'all' }, /needs 'replicated' as revocation, or none of it, not 'all'/],
  [{ replicas: 1 }, /takes replicas together with revocation: 'replicated' only/],
  [{ ...replicated, replicas: 0 }, /whole number from 1 on as replicas, such as 1, not 0/],
  [{ ...replicated, replicationTimeout: '1s' }, /as replicationTimeout, such as 400, not '1s'/],
])('%j is refused', (options, message) => {
  expect(() => redisStore({ client: createClient(), ...(options as object) })).toThrow(message)
})
