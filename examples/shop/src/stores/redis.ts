import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type RedisStoreOptions, redisStore } from 'staykept/redis'
import { endsSoon, type OpenedStore, type SessionPlace } from './place.js'
import { hostNames, readStoreUrl, refuseOtherParams, type StoreUrl, urlError } from './url.js'

const PORT = 6379
const SENTINEL_PORT = 26_379

/** A second at most from one attempt to connect to the next, and not all processes at once. */
function reconnectStrategy(attempts: number): number {
  return Math.min(50 * 2 ** attempts, 800) + Math.random() * 200
}

/** One server: `redis://`, or `rediss://` over TLS. */
export function redis(text: string): SessionPlace {
  const form = `${protocolOf(text)}://user:password@localhost:6379/0`
  const url = readStoreUrl(text, form)
  const [{ host, port = PORT }, ...others] = url.hosts
  const tls = readTls(url, form)
  const database = Number(url.path)
  if (others.length > 0) throw urlError(form, 'names several hosts, as for a cluster or sentinels')
  if (!/^\d*$/.test(url.path)) throw urlError(form, 'names a database that is no number')
  return {
    name: `Redis at ${hostNames(url.hosts, PORT)}${overTls(tls)}, database ${database}`,
    async open(onTrouble) {
      const { createClient } = await import('redis')
      // One address may serve several databases, told apart by the name that TLS asks for.
      const name = tls !== undefined && isIP(host) === 0 ? { servername: host } : {}
      const socket = { host, port, reconnectStrategy, ...tls, ...name }
      return use(createClient({ socket, database, ...loginOf(url) }), onTrouble)
    },
  }
}

/** `redis+cluster://` with some of the nodes: the others make themselves known. */
export function redisCluster(text: string): SessionPlace {
  const form = `${protocolOf(text)}+cluster://user:password@one:6379,two:6379`
  const url = readStoreUrl(text, form)
  const tls = readTls(url, form)
  if (url.path !== '') throw urlError(form, 'names a database, and a cluster has but one')
  return {
    name: `Redis Cluster at ${hostNames(url.hosts, PORT)}${overTls(tls)}`,
    async open(onTrouble) {
      const { createCluster } = await import('redis')
      const client = createCluster({
        rootNodes: url.hosts.map(({ host, port = PORT }) => ({ socket: { host, port } })),
        defaults: { ...loginOf(url), socket: { reconnectStrategy, ...tls } },
      })
      return use(client, onTrouble)
    },
  }
}

/** `redis+sentinel://` with the sentinels and their name for the primary. User and password are the primary's. */
export function redisSentinel(text: string): SessionPlace {
  const form = `${protocolOf(text)}+sentinel://user:password@one:26379,two:26379/name-of-the-primary`
  const url = readStoreUrl(text, form)
  const { hosts, path: name } = url
  const tls = readTls(url, form)
  if (name === '') throw urlError(form, 'does not end with what the sentinels call the primary')
  return {
    name: `Redis, primary ${name} of the sentinels at ${hostNames(hosts, SENTINEL_PORT)}${overTls(tls)}`,
    async open(onTrouble) {
      const { createSentinel } = await import('redis')
      const client = createSentinel({
        name,
        sentinelRootNodes: hosts.map(({ host, port = SENTINEL_PORT }) => ({ host, port })),
        nodeClientOptions: { ...loginOf(url), socket: { reconnectStrategy, ...tls } },
        ...(tls && { sentinelClientOptions: { socket: tls } }),
      })
      return use(client, onTrouble)
    },
  }
}

type Client = RedisStoreOptions['client'] & {
  readonly isOpen: boolean
  on(event: 'error', listener: (error: unknown) => void): unknown
  connect(): Promise<unknown>
  close(): Promise<unknown>
  destroy(): unknown
}

function use(client: Client, onTrouble: (error: unknown) => void): OpenedStore {
  let closed = false
  // Without a listener, a connection that breaks would end the process.
  client.on('error', onTrouble)

  /** The client of one server tries for ever; those of a cluster and of sentinels give up where nobody answers yet. */
  async function connect(): Promise<void> {
    while (!closed && !client.isOpen) {
      await client.connect().catch(onTrouble)
      await pause(1000, undefined, { ref: false })
    }
  }

  void connect()
  return {
    store: redisStore({ client, prefix: 'stillware:' }),
    async close() {
      closed = true
      if (client.isOpen && !(await endsSoon(client.close()))) client.destroy()
    },
  }
}

function protocolOf(text: string): string {
  return text.startsWith('rediss') ? 'rediss' : 'redis'
}

interface Tls {
  readonly tls: true
  readonly ca?: Buffer
  readonly rejectUnauthorized?: boolean
}

/** The parameters are called as in an address of MongoDB. */
function readTls(url: StoreUrl, form: string): Tls | undefined {
  if (!url.scheme.startsWith('rediss')) {
    if (url.params.size === 0) return undefined
    throw urlError(form, 'has parameters, which are for rediss:// only')
  }
  refuseOtherParams(url, ['tlsCAFile', 'tlsInsecure'], form)
  const file = url.params.get('tlsCAFile')
  const insecure = url.params.get('tlsInsecure') ?? 'false'
  if (!/^(true|false)$/.test(insecure)) {
    throw urlError(form, 'has a tlsInsecure that is neither true nor false')
  }
  return {
    tls: true,
    ...(file !== null && { ca: readFile(file, form) }),
    ...(insecure === 'true' && { rejectUnauthorized: false }),
  }
}

function readFile(name: string, form: string): Buffer {
  try {
    return readFileSync(name)
  } catch {
    throw urlError(form, 'names a tlsCAFile that cannot be read')
  }
}

function overTls(tls: Tls | undefined): string {
  if (tls === undefined) return ''
  return tls.rejectUnauthorized === false ? ' over TLS, certificate unchecked' : ' over TLS'
}

function loginOf({ username, password }: StoreUrl): { username?: string; password?: string } {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
}
