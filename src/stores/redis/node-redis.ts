import {
  type Connection,
  type Emitter,
  type Own,
  type Primary,
  rememberErrors,
} from './connection.js'
import { sourceAt, sourceOf } from './node-redis-source.js'
import { slotOf } from './slot.js'
import type { Source } from './source.js'
import { createUnwritten, type Unwritten } from './unwritten.js'

/**
 * What the store uses of a client, a pool, a cluster or a sentinel of node-redis 5 and 6. The four differ in what stands
 * before the command in `sendCommand`.
 */
export interface NodeRedis extends Emitter {
  readonly isOpen: boolean
  readonly isReady?: boolean
  readonly socketEpoch?: number
  readonly options?: { readonly socket?: object }
  readonly _keyPrefix?: string | undefined
  sendCommand(...args: unknown[]): Promise<unknown>
  withCommandOptions?(options: object): NodeRedis
  connect(): Promise<unknown>
  destroy(): unknown
  duplicate(): NodeRedis
  execute?(run: (client: NodeRedis) => Promise<unknown>): Promise<unknown>
  getMasterNode?(): unknown
  _execute?(isReadonly: boolean, run: Run): Promise<unknown>
  readonly masters?: readonly ClusterNode[]
  readonly slots?: readonly ({ readonly master?: ClusterNode } | undefined)[]
  nodeClient?(node: unknown): Promise<unknown>
  readonly _options?: { readonly rootNodes?: readonly object[] }
  readonly _slots?: { rediscover?(startWith: { readonly options: object }): Promise<void> }
}

interface ClusterNode {
  readonly address: string
  readonly client?: NodeRedis
}

type Run = (client: NodeRedis) => Promise<unknown>

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
  const { isReady = () => client.isReady === true, ...parts } = partsOf(client)
  return {
    isOrdered: false,
    keyPrefix: client._keyPrefix ?? '',
    addedPrefix: '',
    state: () => (client.isOpen ? (isReady() ? 'ready' : 'waiting') : 'closed'),
    lastError: rememberErrors(client, true),
    ...parts,
  }
}

type Parts = Pick<Connection, 'send' | 'primaries' | 'own' | 'sources'> &
  Partial<Connection> & { isReady?(): boolean }

function partsOf(client: NodeRedis): Parts {
  if (typeof client.nodeClient === 'function') return cluster(client)
  if (typeof client.getMasterNode === 'function') return sentinel(client)
  return typeof client.execute === 'function' ? pool(client) : single(client)
}

function single(client: NodeRedis): Parts {
  const { unwritten, hasGivenUp } = watched(client)
  const options = { ...OPTIONS, abortSignal: unwritten }
  // It merges the options of each command into a copy of the client's own. Where those lack one, V8 makes a new hidden class
  // for every command, which costs as much as the command and fills the old space. So they are there twice.
  const view = client.withCommandOptions?.(options) ?? client
  // The method of the client: an application may have put its own in the place of that.
  const send: Primary['send'] = (command) => client.sendCommand.call(view, command, options)
  const again = (): void => {
    if (hasGivenUp()) client.connect().catch(() => {})
    else renew(client)
  }
  const primary: Primary = {
    get id() {
      return `${client.socketEpoch}`
    },
    send,
    renew: again,
  }
  return {
    isOrdered: true,
    send: (_key, command) => send(command),
    primaries: () => [primary],
    primaryOf: () => primary,
    sources: () => [sourceAt(client)],
    own: () => ownBeside(async () => client),
  }
}

interface Watched {
  readonly unwritten: Unwritten
  /** Its reconnectStrategy ended it, as the default does after a socketTimeout. What the application closes says 'end'. */
  hasGivenUp(): boolean
}

const clients = new WeakMap<NodeRedis, Watched>()

/** Listens to a client once, however many stores it has. */
function watched(client: NodeRedis): Watched {
  const known = clients.get(client)
  if (known !== undefined) return known
  const unwritten = createUnwritten()
  let isWanted = client.isOpen
  client.on('error', () => {
    unwritten.takeAllBack()
  })
  client.on('ready', () => {
    isWanted = true
  })
  client.on('end', () => {
    isWanted = false
  })
  const found: Watched = {
    unwritten,
    hasGivenUp: () => isWanted && !client.isOpen,
  }
  clients.set(client, found)
  return found
}

function pool(client: NodeRedis): Parts {
  const send: Primary['send'] = (command) => client.sendCommand(command, OPTIONS)
  let model: NodeRedis | undefined
  /** Any of them, and always the same. */
  async function member(): Promise<NodeRedis> {
    model ??= (await client.execute?.(async (one) => one)) as NodeRedis
    return model
  }
  return {
    // It does not say. A call that finds no connection waits in the pool.
    isReady: () => true,
    send: (_key, command) => send(command),
    primaries: () => [{ id: 'pool', send }],
    sources: async () => [sourceOf('pool', await member())],
    own: () => ownBeside(member),
  }
}

function sentinel(client: NodeRedis): Parts {
  /**
   * A sentinel client runs again what failed while the connection was down (`execute` in its index.js), but not what
   * failed with something that is no `Error`. So what may have been executed is thrown as that.
   */
  const once = async (run: Run): Promise<unknown> => {
    try {
      return await client._execute?.(false, (primary) =>
        run(primary).catch((error: Error | undefined) => {
          throw /^READONLY /.test(error?.message ?? '') ? error : { final: error }
        }),
      )
    } catch (error) {
      throw (error as { final?: unknown } | undefined)?.final ?? error
    }
  }
  const send: Primary['send'] = (command) =>
    once((primary) => primary.sendCommand(command, OPTIONS))
  const primaryNow = (): Promise<NodeRedis> =>
    once(async (primary) => primary) as Promise<NodeRedis>
  return {
    send: (_key, command) => send(command),
    primaries: () => [
      {
        id: 'sentinel',
        send,
        renew: () => void once(async (primary) => renew(primary)).catch(() => {}),
      },
    ],
    sources: async () => [sourceAt(await primaryNow())],
    own: () => ownBeside(primaryNow),
  }
}

function cluster(client: NodeRedis): Parts {
  const clientsOf = new WeakMap<Primary, NodeRedis>()
  let turn = 0

  function primaryAt({ address, client: node }: ClusterNode): Primary | undefined {
    if (node?.isReady !== true) return undefined
    const primary: Primary = {
      get id() {
        return `${address} ${node.socketEpoch}`
      },
      send: (command) => node.sendCommand(command, OPTIONS),
      renew: () => renew(node),
    }
    clientsOf.set(primary, node)
    return primary
  }

  function sourceFor(node: ClusterNode): Source {
    const { address } = node
    // With minimizeConnections it connects to a node when it is asked to.
    if (node.client === undefined) connectTo(node)
    return sourceOf(address, node.client, (key) => {
      return client.slots?.[slotOf(key)]?.master?.address === address
    })
  }

  function connectTo(node: ClusterNode): void {
    client.nodeClient?.(node).catch(() => {})
  }

  return {
    // 5 does not say; before it has found the nodes it fails with a TypeError of its own.
    isReady: () => client.isReady ?? (client.masters?.length ?? 0) > 0,
    // `false`: never to a replica, whatever the client does with its own reads.
    send: (key, command) => client.sendCommand(key, false, command, OPTIONS),
    primaries: () =>
      (client.masters ?? []).map(primaryAt).filter((primary) => primary !== undefined),
    primaryOf(key) {
      const node = client.slots?.[slotOf(key)]?.master
      // With minimizeConnections it connects to a node when it is asked to.
      if (node !== undefined && node.client === undefined) connectTo(node)
      return node && primaryAt(node)
    },
    sources: () => (client.masters ?? []).map(sourceFor),
    own: () => ownBeside(async () => client),
    async refresh(witness) {
      const roots = client._options?.rootNodes ?? []
      turn += 1
      const options = (witness && clientsOf.get(witness)?.options) ?? roots[turn % roots.length]
      if (options === undefined) return
      const { socket } = options as { socket?: object }
      // A copy: it sets what it needs for its question on the very object that it is given.
      await client._slots?.rediscover?.({ options: { ...options, socket: { ...socket } } })
    },
  }
}

/**
 * Only of a connection that stands, or seems to: a client that is connecting would go on with that beside the new attempt.
 * What waits for an answer rejects.
 */
function renew(client: NodeRedis): void {
  if (client.isReady !== true) return
  client.destroy()
  client.connect().catch(() => {})
}

/** A client like the one that `find` shows, for the same server or cluster. */
function ownBeside(find: () => Promise<NodeRedis>): Own {
  let model: NodeRedis | undefined
  let twin: NodeRedis | undefined
  let connection: Connection | undefined

  function close(): void {
    try {
      twin?.destroy()
    } catch {
      // 5 throws where it is closed already.
    }
    twin = undefined
    connection = undefined
  }

  return {
    async connection() {
      const found = await find()
      if (connection !== undefined && found === model) return connection
      close()
      model = found
      twin = found.duplicate()
      connection = nodeRedis(twin)
      twin.connect().catch(() => {})
      return connection
    },
    close,
  }
}
