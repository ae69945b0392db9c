import { type Connection, type Emitter, rememberErrors } from './connection.js'

/**
 * What the store uses of a client, a pool, a cluster or a sentinel of node-redis 5 and 6. The four differ in what stands
 * before the command in `sendCommand`.
 */
export interface NodeRedis extends Emitter {
  readonly isOpen: boolean
  readonly isReady?: boolean
  readonly masters?: readonly unknown[]
  readonly _keyPrefix?: string | undefined
  sendCommand(...args: unknown[]): Promise<unknown>
  execute?(run: (client: NodeRedis) => Promise<unknown>): Promise<unknown>
  nodeClient?(node: unknown): unknown
  getMasterNode?(): unknown
  _execute?(isReadonly: boolean, run: (client: NodeRedis) => Promise<unknown>): Promise<unknown>
}

/**
 * Set for each command, over the settings of the application's client. Its timeout is built on `AbortSignal.timeout`, and
 * costs five times as much as the command itself; the core bounds every call. Replies are text here, whatever it maps.
 */
const OPTIONS = Object.freeze({
  timeout: undefined,
  abortSignal: undefined,
  asap: false,
  typeMapping: Object.freeze({}),
})

export function isNodeRedis(client: object): client is NodeRedis {
  const { isOpen, sendCommand, withTypeMapping } = client as Partial<Record<string, unknown>>
  return (
    typeof isOpen === 'boolean' &&
    typeof sendCommand === 'function' &&
    // The first release that has it is 5.
    typeof withTypeMapping === 'function'
  )
}

export function nodeRedis(client: NodeRedis): Connection {
  const kind = kindOf(client)
  const lastError = rememberErrors(client, true)
  const isReady = READY[kind]
  const send = senders[kind](client)
  return {
    kind: `node-redis ${kind}`,
    isOrdered: kind === 'client',
    keyPrefix: client._keyPrefix ?? '',
    state: () => (client.isOpen ? (isReady(client) ? 'ready' : 'waiting') : 'closed'),
    send,
    lastError,
  }
}

type Kind = 'client' | 'pool' | 'cluster' | 'sentinel'

function kindOf(client: NodeRedis): Kind {
  if (typeof client.nodeClient === 'function') return 'cluster'
  if (typeof client.getMasterNode === 'function') return 'sentinel'
  return typeof client.execute === 'function' ? 'pool' : 'client'
}

const READY: Readonly<Record<Kind, (client: NodeRedis) => boolean>> = {
  client: (client) => client.isReady === true,
  // It does not say. A call that finds no connection waits in the pool.
  pool: () => true,
  // 5 does not say; before it has found the nodes it fails with a TypeError of its own.
  cluster: (client) => client.isReady ?? (client.masters?.length ?? 0) > 0,
  sentinel: (client) => client.isReady === true,
}

const senders: Readonly<Record<Kind, (client: NodeRedis) => Connection['send']>> = {
  client: (client) => (_key, command) => client.sendCommand(command, OPTIONS),
  pool: (client) => (_key, command) => client.sendCommand(command, OPTIONS),
  // `false`: never to a replica, whatever the client does with its own reads.
  cluster: (client) => (key, command) => client.sendCommand(key, false, command, OPTIONS),
  sentinel: (client) => (_key, command) => sendOnce(client, command),
}

/**
 * A sentinel client sends a command again whose connection broke (`execute` in its index.js), but not where it failed
 * with something that is no `Error`. So what may have been executed is thrown as that.
 */
async function sendOnce(sentinel: NodeRedis, command: readonly string[]): Promise<unknown> {
  try {
    return await sentinel._execute?.(false, async (client) => {
      try {
        return await client.sendCommand(command, OPTIONS)
      } catch (error) {
        throw /^READONLY /.test((error as Error)?.message) ? error : { final: error }
      }
    })
  } catch (error) {
    throw (error as { final?: unknown } | undefined)?.final ?? error
  }
}
