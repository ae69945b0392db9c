import type { SessionStore } from 'staykept'
import { describe, expect, onTestFinished, test } from 'vitest'
import { redisStore } from '../../src/stores/redis.js'
import { notRun } from '../not-run.js'
import type { RedisCluster } from '../servers/cluster.js'
import * as clusterServers from '../servers/cluster.js'
import type { ServerProcess } from '../servers/process.js'
import { ask } from '../servers/redis.js'
import * as sentinelServers from '../servers/sentinel.js'
import { type ClientKind, clusters, end, sentinels } from './redis/clients.js'
import {
  eventually,
  hearsOf,
  isOpen,
  NOW,
  newKey,
  record,
  type Watching,
  watch,
} from './redis/watching.js'

const why = sentinelServers.missing()
if (why !== undefined) notRun('the feed of redisStore in a fail-over', why)

describe.skipIf(why !== undefined)('the feed behind Sentinel', () => {
  test('goes over to the new primary, by each library', async () => {
    const servers = await sentinelServers.start()
    onTestFinished(() => servers.close())
    const watched = sentinels.map((kind) => opened(kind, servers))
    for (const { watching, other } of watched) await hearsOf(other, watching)
    for (const { watching } of watched) watching.wasReset()
    await servers.primary.kill()
    for (const { watching } of watched) {
      await eventually(() => expect(watching.wasReset()).toBe(true), 1000)
    }
    await promoted(servers.replica)
    for (const { kind, watching, other } of watched) {
      await eventually(() => other.load(newKey(), NOW))
      await hearsOf(other, watching)
      expect(watching.wasReset(), kind.name).toBe(true)
    }
  }, 60_000)
})

describe.skipIf(why !== undefined)('the feed of a cluster', () => {
  test('has a connection to each primary, and goes over to those that follow them', async () => {
    const cluster = await clusterServers.start()
    onTestFinished(() => cluster.close())
    const watched = clusters.map((kind) => opened(kind, cluster))
    for (const { watching, other } of watched) await hearsEverywhere(other, watching)

    const primaries = await withRole(cluster, 'master')
    for (const { port } of primaries) {
      const flags = (await ask(port, 'CLIENT', 'LIST')).match(/flags=\S*t/g) ?? []
      expect(flags).toHaveLength(clusters.length)
    }

    // One is asked to hand over: it lives on, as a replica that still tells of what it copies.
    const [replica] = (await withRole(cluster, 'slave')) as [ServerProcess]
    for (const { watching } of watched) watching.wasReset()
    await eventually(async () => {
      await ask(replica.port, 'CLUSTER', 'FAILOVER')
      await promoted(replica, 6000)
    }, 25_000)
    for (const { kind, watching, other } of watched) {
      await eventually(async () => {
        await watching.check()
        expect(watching.wasReset(), kind.name).toBe(true)
      })
      await hearsEverywhere(other, watching)
    }
    expect(await ask(replica.port, 'CLIENT', 'LIST')).toMatch(/flags=\S*t/)

    // One dies: no check answers before another has taken its place.
    const [victim] = (await withRole(cluster, 'master')).filter(({ port }) => port !== replica.port)
    await victim?.kill()
    for (const { watching } of watched) {
      await eventually(() => expect(watching.wasReset()).toBe(true), 1000)
    }
    const checks = watched.map(({ watching }) => watching.check())
    expect(await isOpen(Promise.race(checks), 1000)).toBe(true)
    await Promise.all(checks)
    for (const { watching, other } of watched) {
      // What finds out by a command that fails may lose some more.
      await eventually(() => hearsEverywhere(other, watching))
    }
  }, 90_000)

  test.runIf(process.env.STAYKEPT_LARGE === '1')(
    'listens to a node that joins, from its first slot on',
    async () => {
      const cluster = await clusterServers.start()
      onTestFinished(() => cluster.close())
      const watched = clusters.map((kind) => opened(kind, cluster))
      for (const { watching } of watched) await watching.check()
      const [node] = (await withRole(cluster, 'slave')) as [ServerProcess]
      await ask(node.port, 'CLUSTER', 'RESET', 'HARD')
      const others = cluster.nodes.filter(({ port }) => port !== node.port)
      const told = await ask(cluster.port, 'CLUSTER', 'NODES')
      const bus = /:\d+@(\d+)\S* myself/.exec(told)?.[1] as string
      await ask(node.port, 'CLUSTER', 'MEET', '127.0.0.1', String(cluster.port), bus)
      const id = /\w{40}/.exec(await ask(node.port, 'CLUSTER', 'MYID'))?.[0] as string
      await clusterServers.until(async () => {
        const known = await Promise.all(others.map(({ port }) => ask(port, 'CLUSTER', 'NODES')))
        return known.every((nodes) => new RegExp(`^${id} .* master .* connected`, 'm').test(nodes))
      })
      const key = newKey()
      const answer = await ask(node.port, 'CLUSTER', 'KEYSLOT', `staykept:${key}`)
      const slot = /:(\d+)/.exec(answer)?.[1] as string
      for (const { port } of [node, ...(await withRole(cluster, 'master'))]) {
        await ask(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', id)
      }
      for (const [at, { kind, watching, other }] of watched.entries()) {
        watching.wasReset()
        watching.events.length = 0
        // The node waits a while before it takes part.
        if (at === 0) await eventually(() => other.create(key, record(), NOW))
        else await other.touch(key, 'v', NOW + at, NOW + 60_000, NOW)
        await watching.check()
        // Told, or said that it may have been missed.
        const isTold = watching.events.some(({ type }) => type === 'changed')
        expect(isTold || watching.wasReset(), kind.name).toBe(true)
        watching.events.length = 0
        await other.touch(key, 'v', NOW + at + 10, NOW + 60_000, NOW)
        await watching.check()
        expect(watching.events, kind.name).toContainEqual({ type: 'changed', key })
      }
      expect(await ask(node.port, 'EXISTS', `staykept:${key}`)).toBe(':1\r\n')
    },
    60_000,
  )
})

function opened(kind: ClientKind, { port }: { readonly port: number }) {
  const stores = [0, 1].map(() => {
    const client = kind.open({ port })
    const store = redisStore({ client })
    onTestFinished(async () => {
      await store.close?.()
      await end(client)
    })
    return store
  })
  const [store, other] = stores as [SessionStore, SessionStore]
  return { kind, watching: watch(store), other }
}

async function promoted({ port }: ServerProcess, milliseconds?: number): Promise<void> {
  const isPrimary = async () => (await ask(port, 'INFO', 'replication')).includes('role:master')
  await clusterServers.until(isPrimary, milliseconds)
}

async function withRole({ nodes }: RedisCluster, role: 'master' | 'slave') {
  const found: ServerProcess[] = []
  for (const node of nodes) {
    const told = await ask(node.port, 'INFO', 'replication').catch(() => '')
    if (told.includes(`role:${role}`)) found.push(node)
  }
  return found
}

/** Keys of every primary; each end is told once, though every primary passes on the messages of all. */
async function hearsEverywhere(other: SessionStore, { events, check }: Watching): Promise<void> {
  await check()
  events.length = 0
  const keys = Array.from({ length: 20 }, newKey)
  await Promise.all(keys.map((key) => other.create(key, record(), NOW)))
  await check()
  for (const key of keys) expect(events).toContainEqual({ type: 'changed', key })
  await Promise.all(keys.map((key) => other.delete(key, NOW, 'signOut')))
  await check()
  await new Promise((resolve) => setTimeout(resolve, 50))
  const ends = events.flatMap((event) => (event.type === 'ended' ? [event.key] : []))
  expect(ends.sort()).toEqual(keys.sort())
}
