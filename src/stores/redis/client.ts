import type { Connection } from './connection.js'
import { ioredis, isIoredis } from './ioredis.js'
import { isNodeRedis, nodeRedis } from './node-redis.js'

/** A client, pool, cluster or sentinel of node-redis 5 or 6. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand(...args: never[]): unknown
  withTypeMapping(...args: never[]): unknown
}

/** A client or cluster of ioredis 5 or 6, or of iovalkey. */
export interface IoredisClient {
  readonly status: string
  call(...args: never[]): unknown
  sendCommand(...args: never[]): unknown
}

/** Finds out by its shape what kind of client it is. Throws a `TypeError` that names the mend where it is none. */
export function connectionOf(client: unknown): Connection {
  const isObject = typeof client === 'object' && client !== null
  if (isObject && isNodeRedis(client)) return nodeRedis(client)
  if (isObject && isIoredis(client)) return ioredis(client)
  throw new TypeError(
    `redisStore: client must be a client of node-redis 5 or later, of ioredis 5 or later, or of iovalkey, ${whatElse(client)}`,
  )
}

function whatElse(client: unknown): string {
  const example = 'redisStore({ client: createClient({ url }) })'
  if (client === undefined) return `as in ${example}, and there is none`
  // It may have a password in it.
  if (typeof client === 'string' || client instanceof URL) return `not an address: ${example}`
  if (typeof client === 'function')
    return `not a function or class: call it first, as in ${example}`
  if (typeof client !== 'object' || client === null) return `not ${String(client)}`
  const { then, get, set, destroy, sendCommand, send_command, isOpen } = client as Partial<
    Record<string, unknown>
  >
  if (typeof then === 'function') {
    return 'not a promise of one: await it, or pass the client and call its connect() beside'
  }
  if (typeof sendCommand === 'function' && typeof isOpen === 'boolean') {
    return 'not of node-redis 4: npm install redis@latest'
  }
  if (typeof send_command === 'function')
    return 'not of node-redis 3 or earlier: npm install redis@latest'
  if (typeof get === 'function' && typeof set === 'function' && typeof destroy === 'function') {
    return 'not a session store: pass the client that it was made with'
  }
  return `not ${client.constructor?.name ?? 'an object'}`
}
