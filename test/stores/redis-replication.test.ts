import { randomUUID } from 'node:crypto'
import { createClient } from 'redis'
import type { SessionRecord, SessionStore, StoreKey } from 'staykept'
import { redisStore } from 'staykept/redis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { slotOf } from '../../src/stores/redis/slot.js'
import { notRun } from '../not-run.js'
import * as clusterServers from '../servers/cluster.js'
import type { ServerProcess } from '../servers/process.js'
import { ask, missing, start } from '../servers/redis.js'
import * as sentinelServers from '../servers/sentinel.js'
import { type ClientKind, clusters, end, sentinels, standalone, type Way } from './redis/clients.js'

const why = missing()
if (why !== undefined) notRun("redisStore with revocation: 'replicated'", why)

const NOW = 2_000_000_000_000
const MARK = { value: 'm', expiresAt: NOW + 60_000 }
const replicated = { revocation: 'replicated', replicationTimeout: 150 } as const
/** For what is to succeed, also on a machine that is busy. */
const PATIENTLY = { replicationTimeout: 5000 }
const UNCONFIRMED = {
  code: 'ERR_SESSION_OUTCOME_UNKNOWN',
  message: expect.stringMatching(/replica/),
}

describe.skipIf(why !== undefined)('a server and its replica', () => {
  let primary: ServerProcess
  let replica: ServerProcess
  beforeAll(async () => {
    primary = await start({ args: ['--repl-diskless-sync-delay', '0'] })
    replica = await start({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
    // Its first word to the primary comes up to a second after the link is there.
    await clusterServers.until(async () => {
      await ask(primary.port, 'SET', 'known', 'to both')
      return (await ask(primary.port, 'WAIT', '1', '500')).startsWith(':1')
    })
  })
  afterAll(async () => {
    replica?.resume()
    await Promise.all([primary?.close(), replica?.close()])
  })

  test.each(standalone)(
    '$name: an end is confirmed when the replica has it, and not before',
    async (kind) => {
      const { store, prefix } = open(kind, primary, PATIENTLY)
      const hasty = open(kind, primary, { prefix }).store
      for (let round = 0; round < 20; round += 1) {
        await store.create(key(round), record({ userId: 'ada' }), NOW)
        expect(await store.delete(key(round), NOW)).toBe(true)
        expect(await ask(replica.port, 'EXISTS', prefix + key(round))).toBe(':0\r\n')
        expect(await store.delete(key(round), NOW)).toBe(false)
      }
      await store.create(key(1), record({ userId: 'ada' }), NOW)
      const options = { except: [], mark: MARK, now: NOW }
      expect(await store.deleteByUser?.('ada', options)).toEqual([key(1)])
      expect(await ask(replica.port, 'EXISTS', prefix + key(1))).toBe(':0\r\n')
      expect(await ask(replica.port, 'EXISTS', `${prefix}mark:ada`)).toBe(':1\r\n')

      await store.create(key(2), record(), NOW)
      replica.pause()
      try {
        await expect(hasty.delete(key(2), NOW)).rejects.toMatchObject(UNCONFIRMED)
        // There is nothing left to delete, and the replica still does not know.
        await expect(hasty.delete(key(2), NOW)).rejects.toMatchObject(UNCONFIRMED)
        await expect(hasty.deleteByUser?.('ada', options)).rejects.toMatchObject(UNCONFIRMED)
      } finally {
        replica.resume()
      }
      await expect.poll(() => succeeding(store.delete(key(2), NOW)), PATIENT).toBe(false)
    },
  )

  test.each(standalone)(
    '$name: while the replica is away, ends wait, and nothing else does',
    async (kind) => {
      const { store } = open(kind, primary)
      const sessions = Array.from({ length: 300 }, (_, at) => key(at))
      await Promise.all(sessions.map((at) => store.create(at, record({ userId: 'ada' }), NOW)))
      await expect.poll(() => succeeding(store.delete(key(0), NOW)), PATIENT).toBe(false)
      replica.pause()
      try {
        const options = { except: [], mark: MARK, now: NOW }
        const began = performance.now()
        const ends = [
          ...sessions.slice(0, 30).map((at) => store.delete(at, NOW)),
          store.deleteByUser?.('ada', options),
        ].map((answer) => expect(answer).rejects.toMatchObject(UNCONFIRMED))
        const loads = await slowestLoad(store, 400)
        await Promise.all(ends)
        // Some times 150 ms, not once for each of the 330.
        expect(performance.now() - began).toBeLessThan(3000)
        expect(loads).toBeLessThan(150)
      } finally {
        replica.resume()
      }
    },
  )

  test('as many replicas are asked for as is said', async () => {
    const { store } = open(nodeRedis, primary, { replicas: 2, replicationTimeout: 1000 })
    await store.create(key(1), record(), NOW)
    await expect(store.delete(key(1), NOW)).rejects.toThrow(/on 1 of 2 replicas .* after 1000 ms/)
  })

  test('a closed store has closed the connection that it opened', async () => {
    const { store } = open(nodeRedis, primary)
    const connections = async () => (await ask(primary.port, 'CLIENT', 'LIST')).split('\n').length
    await store.delete(key(1), NOW)
    const before = await connections()
    await store.close?.()
    await expect.poll(connections).toBe(before - 1)
    await expect(store.delete(key(1), NOW)).rejects.toThrow(/store was closed/)
  })

  test('without a replica no end is confirmed, though it has happened', async () => {
    const server = await start()
    onTestFinished(() => server.close())
    const { store } = open(nodeRedis, server)
    await store.create(key(1), record({ userId: 'ada' }), NOW)
    await expect(store.delete(key(1), NOW)).rejects.toMatchObject(UNCONFIRMED)
    expect(await store.load(key(1), NOW)).toBeUndefined()
  })
})

describe.skipIf(why !== undefined)('a cluster', () => {
  let cluster: clusterServers.RedisCluster
  beforeAll(async () => {
    cluster = await clusterServers.start()
  }, 60_000)
  afterAll(() => cluster?.close())

  test.each(clusters)('$name: the replica of the very shard is asked', async (kind) => {
    const { store } = open(kind, cluster, PATIENTLY)
    await expect.poll(() => succeeding(store.load(key(0), NOW)), PATIENT).toBe(undefined)
    const sessions = Array.from({ length: 30 }, (_, at) => key(at))
    for (const at of sessions) {
      await store.create(at, record({ userId: 'ada' }), NOW)
      expect(await store.delete(at, NOW)).toBe(true)
      expect(await store.delete(at, NOW)).toBe(false)
    }
    for (const at of sessions) await store.create(at, record({ userId: 'ada' }), NOW)
    const ended = await store.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW })
    expect([...(ended ?? [])].sort()).toEqual(sessions)
  })

  test('the slot of a key is the one that Redis says', async () => {
    for (const name of ['foo', 'staykept:user:ada', '{a}b', 'a{}b', 'x{y}z', 'é{ü}', '}{']) {
      const said = await ask(cluster.port, 'CLUSTER', 'KEYSLOT', name)
      expect([name, said]).toEqual([name, `:${slotOf(name)}\r\n`])
    }
  })
})

describe.skipIf(sentinelServers.missing() !== undefined)('behind Sentinel', () => {
  test('an end is confirmed by the replica, and after a fail-over by none until there is one', async () => {
    const watched = await sentinelServers.start()
    onTestFinished(() => watched.close())
    const all = sentinels.map((kind) => {
      const { store, prefix } = open(kind, watched, PATIENTLY)
      return { name: kind.name, store, hasty: open(kind, watched, { prefix }).store }
    })
    for (const { store, name } of all) {
      const created = () => succeeding(store.create(key(1), record(), NOW))
      await expect.poll(created, PATIENT).toBe(true)
      expect(await store.delete(key(1), NOW), name).toBe(true)
    }
    await watched.primary.kill()
    for (const { store, hasty, name } of all) {
      const created = () => succeeding(store.create(key(2), record(), NOW))
      await expect.poll(created, PATIENT).toBe(true)
      const ended = () => hasty.delete(key(2), NOW)
      await expect
        .poll(() => Promise.resolve(ended()).catch(({ message }) => message), PATIENT)
        .toMatch(/on 0 of 1 replicas/)
      expect(await store.load(key(2), NOW), name).toBe(undefined)
    }
    await watched.primary.restart()
    for (const { store } of all) {
      await expect.poll(() => succeeding(store.delete(key(2), NOW)), PATIENT).toBe(false)
    }
  }, 120_000)
})

test.each([
  [{ revocation: 'all' }, /needs 'replicated' as revocation, or none of it, not 'all'/],
  [{ replicas: 1 }, /takes replicas together with revocation: 'replicated' only/],
  [{ ...replicated, replicas: 0 }, /whole number from 1 on as replicas, such as 1, not 0/],
  [{ ...replicated, replicationTimeout: '1s' }, /as replicationTimeout, such as 400, not '1s'/],
])('%j is refused', (options, message) => {
  expect(() => redisStore({ client: createClient(), ...(options as object) })).toThrow(message)
})

const [nodeRedis] = standalone as [ClientKind]
const PATIENT = { timeout: 20_000, interval: 100 }

function open(kind: ClientKind, way: Way, settings: object = {}) {
  const client = kind.open(way)
  const prefix = `${randomUUID()}:`
  const store = redisStore({ client, prefix, ...replicated, ...settings })
  onTestFinished(async () => {
    await store.close?.()
    await end(client)
  })
  return { store, prefix }
}

function succeeding<T>(answer: T | PromiseLike<T>): Promise<T | string> {
  return Promise.resolve(answer).catch((error: Error) => `not yet: ${error.message}`)
}

async function slowestLoad(store: SessionStore, milliseconds: number): Promise<number> {
  const over = performance.now() + milliseconds
  let slowest = 0
  while (performance.now() < over) {
    const began = performance.now()
    await store.load(key(1), NOW)
    slowest = Math.max(slowest, performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return slowest
}

function key(number: number): StoreKey {
  return String(number).padStart(22, '0') as StoreKey
}

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 'v',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + 60_000,
    absoluteExpiresAt: NOW + 60_000,
    ...changes,
  }
}
