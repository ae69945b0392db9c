import * as ioredis6 from 'ioredis'
import * as ioredis5 from 'ioredis-5'
import * as iovalkey from 'iovalkey'
import * as redis6 from 'redis'
import * as redis5 from 'redis-5'
import type { RedisStoreOptions } from '../../../src/stores/redis.js'

export type Client = RedisStoreOptions['client']

/** Where the servers are, and through which ports they are reached: `through[port of the server]`. */
export interface Way {
  readonly port: number
  readonly through?: Readonly<Record<number, number>>
}

export interface ClientKind {
  readonly name: string
  /** Opens a client, which connects in the background. `settings` are the library's own. */
  // biome-ignore lint/suspicious/noExplicitAny: every library has its own
  open(way: Way, settings?: any): Client
}

const host = '127.0.0.1'
const quiet = () => {}

function nodeRedis(
  version: string,
  { createClient, createClientPool, createCluster, createSentinel }: typeof redis6,
) {
  const connect = <C extends { connect(): Promise<unknown>; on: Listen }>(client: C): C => {
    client.on('error', quiet)
    client.connect().catch(quiet)
    return client
  }
  const mapped = ({ through = {} }: Way) => ({
    nodeAddressMap: (address: string) => {
      const port = Number(address.split(':').at(-1))
      return { host, port: through[port] ?? port }
    },
  })
  const name = `node-redis ${version}`
  return {
    client: {
      name,
      open: ({ port }, settings) => connect(createClient({ socket: { host, port }, ...settings })),
    },
    pool: {
      name: `${name} pool`,
      open: ({ port }, settings) =>
        connect(createClientPool({ socket: { host, port }, ...settings })),
    },
    cluster: {
      name: `${name} cluster`,
      open: (way, settings) =>
        connect(
          createCluster({
            rootNodes: [{ socket: { host, port: way.port } }],
            ...mapped(way),
            ...settings,
          }),
        ),
    },
    sentinel: {
      name: `${name} sentinel`,
      open: (way, settings) =>
        connect(
          createSentinel({
            name: 'sessions',
            sentinelRootNodes: [{ host, port: way.port }],
            ...mapped(way),
            ...settings,
          }),
        ),
    },
  } satisfies Record<string, ClientKind>
}

function ioredis(name: string, { Redis, Cluster }: typeof ioredis6) {
  const mapped = ({ through = {} }: Way) => ({
    natMap: Object.fromEntries(
      Object.entries(through).map(([from, to]) => [`${host}:${from}`, { host, port: to }]),
    ),
  })
  const heard = <C extends { on: Listen }>(client: C): C => {
    client.on('error', quiet)
    return client
  }
  return {
    client: {
      name,
      open: ({ port }, settings) => heard(new Redis({ host, port, ...settings })),
    },
    cluster: {
      name: `${name} cluster`,
      open: (way, settings) =>
        heard(new Cluster([{ host, port: way.port }], { ...mapped(way), ...settings })),
    },
    sentinel: {
      name: `${name} sentinel`,
      open: (way, settings) =>
        heard(
          new Redis({
            sentinels: [{ host, port: way.port }],
            name: 'sessions',
            ...mapped(way),
            ...settings,
          }),
        ),
    },
  } satisfies Record<string, ClientKind>
}

type Listen = (event: 'error', listener: () => void) => unknown

const libraries = [
  nodeRedis('6', redis6),
  nodeRedis('5', redis5 as never),
  ioredis('ioredis 6', ioredis6),
  ioredis('ioredis 5', ioredis5 as never),
  ioredis('iovalkey', iovalkey as never),
]

export const standalone: readonly ClientKind[] = libraries.flatMap((library): ClientKind[] =>
  'pool' in library ? [library.client, library.pool] : [library.client],
)
export const clusters: readonly ClientKind[] = libraries.map(({ cluster }) => cluster)
export const sentinels: readonly ClientKind[] = libraries.map(({ sentinel }) => sentinel)

/** Ends a client of any kind, and what it has under way. */
export async function end(client: Client): Promise<void> {
  const { destroy, disconnect } = client as { destroy?(): unknown; disconnect?(): unknown }
  try {
    await (destroy ?? disconnect)?.call(client)
  } catch {
    // node-redis 5 cannot be ended twice.
  }
}
