import {
  type Connection,
  type Emitter,
  type Own,
  type Primary,
  rememberErrors,
} from './connection.js'
import { sourceOf } from './ioredis-source.js'
import { slotOf } from './slot.js'

/** What the store uses of ioredis 5 and 6 and of iovalkey: of a single client, one behind Sentinel, or a cluster. */
export interface Ioredis extends Emitter {
  readonly status: string
  readonly options: IoredisSettings
  readonly isCluster?: boolean
  readonly connectionEpoch?: number
  readonly stream?: Stream | undefined
  call(name: string, ...args: string[]): Promise<unknown>
  sendCommand(command: Command): Promise<unknown>
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  duplicate(): Ioredis
  nodes?(role: 'all' | 'master'): readonly Ioredis[]
  /** By slot, the addresses of its nodes, the primary first. */
  readonly slots?: readonly (readonly string[] | undefined)[]
  /** Asks a node for the state of the cluster. Its refreshSlotsCache asks any, and waits a second for one that hangs. */
  getInfoFromNode?(node: Ioredis, done: (error?: unknown) => void): void
}

interface IoredisSettings {
  readonly role?: unknown
  readonly scaleReads?: unknown
  readonly host?: unknown
  readonly port?: unknown
  readonly keyPrefix?: string
}

interface Command {
  pipelineIndex?: number
}

interface Stream {
  cork(): void
  uncork(): void
  destroy(): void
}

export function isIoredis(client: object): client is Ioredis {
  const { status, call, sendCommand, options } = client as Partial<Record<string, unknown>>
  return (
    typeof status === 'string' &&
    typeof call === 'function' &&
    typeof sendCommand === 'function' &&
    typeof options === 'object'
  )
}

export function ioredis(client: Ioredis): Connection {
  assertReadsPrimaries(client)
  const isCluster = client.isCluster === true
  const send = sender(client)
  return {
    isOrdered: !isCluster,
    // ioredis puts it there itself.
    keyPrefix: '',
    addedPrefix: client.options.keyPrefix ?? '',
    state() {
      if (client.status === 'ready') return 'ready'
      if (client.status === 'end') return 'closed'
      // A lazy client connects with its first command. Ours waits for the connection.
      if (client.status === 'wait') client.connect().catch(() => {})
      return 'waiting'
    },
    send: (_key, command) => send(command),
    lastError: rememberErrors(client, false),
    own: () => ownBeside(client),
    ...(isCluster ? clusterParts(client) : singleParts(client, send)),
  }
}

function singleParts(
  client: Ioredis,
  send: Primary['send'],
): Pick<Connection, 'primaries' | 'primaryOf' | 'sources'> {
  return {
    // Behind Sentinel a new primary comes with a new connection.
    sources: () => [sourceOf(`${client.connectionEpoch}`, client, () => true)],
    primaries: () => [primaryOf(client, send)],
    primaryOf: () => primaryOf(client, send),
  }
}

function clusterParts(
  client: Ioredis,
): Pick<Connection, 'primaries' | 'primaryOf' | 'refresh' | 'sources'> {
  const senders = new WeakMap<Ioredis, Primary['send']>()
  const nodes = new WeakMap<Primary, Ioredis>()

  function primaryAt(node: Ioredis): Primary {
    const send = senders.get(node) ?? sender(node)
    senders.set(node, send)
    const primary = primaryOf(node, send)
    nodes.set(primary, node)
    return primary
  }

  function addressOf(key: string): string | undefined {
    return client.slots?.[slotOf((client.options.keyPrefix ?? '') + key)]?.[0]
  }

  /** One to which nothing was sent yet waits for its first command. */
  function connected(): readonly Ioredis[] {
    const all = client.nodes?.('master') ?? []
    return all.filter(({ status }) => status === 'ready' || status === 'wait')
  }

  return {
    primaries: () => connected().map(primaryAt),
    primaryOf(key) {
      const address = addressOf(key)
      const node = connected().find(({ options }) => `${options.host}:${options.port}` === address)
      return node && primaryAt(node)
    },
    sources() {
      // It forgets a node that it lost, which has its slots all the same.
      const addresses = new Set([...new Set(client.slots)].map((nodes) => nodes?.[0]))
      const nodes = client.nodes?.('all') ?? []
      return [...addresses].flatMap((address) => {
        if (address === undefined) return []
        const node = nodes.find(({ options }) => `${options.host}:${options.port}` === address)
        return [sourceOf(address, node, (key) => addressOf(key) === address)]
      })
    },
    async refresh(witness) {
      const node = witness && nodes.get(witness)
      // Without one it connects anew, from where it began, by itself.
      if (node === undefined || client.getInfoFromNode === undefined) return
      await new Promise<void>((done) => client.getInfoFromNode?.(node, () => done()))
    },
  }
}

function primaryOf(client: Ioredis, send: Primary['send']): Primary {
  const { host, port } = client.options
  return {
    get id() {
      return `${host}:${port} ${client.connectionEpoch}`
    },
    send,
    renew() {
      // disconnect() would wait two seconds for the other end to take its leave.
      if (client.stream) client.stream.destroy()
      else client.disconnect(true)
    },
  }
}

/**
 * Sends through the client as its own methods see it, with two differences. Commands do not go into its automatic
 * pipelines. And each is marked as a part of a pipeline that lost its beginning: such a one is rejected when the connection
 * breaks (`abortIncompletePipelines` in event_handler.js), where others are sent again, as autoResendUnfulfilledCommands
 * says for a single client and retryDelayOnFailover for a cluster.
 */
function sender(client: Ioredis): Primary['send'] {
  let corked: Stream | undefined

  /** All commands of one turn of the event loop in one write: ioredis would make a system call for each. */
  function cork(): void {
    const { stream } = client
    if (corked !== undefined || stream === undefined) return
    corked = stream
    stream.cork()
    setImmediate(() => {
      stream.uncork()
      corked = undefined
    })
  }

  const view: Ioredis = Object.create(client, {
    options: { value: Object.create(client.options, { enableAutoPipelining: { value: false } }) },
    sendCommand: {
      value: (command: Command) => {
        command.pipelineIndex = -1
        cork()
        return client.sendCommand(command)
      },
    },
  })
  return ([name = '', ...args]) => view.call(name, ...args)
}

function ownBeside(client: Ioredis): Own {
  let twin: Ioredis | undefined
  let connection: Connection | undefined
  return {
    async connection() {
      if (twin === undefined || connection === undefined) {
        twin = client.duplicate()
        // What goes wrong on it is told by the calls that need it.
        twin.on('error', () => {})
        connection = ioredis(twin)
      }
      return connection
    },
    close() {
      twin?.disconnect()
      twin = undefined
      connection = undefined
    },
  }
}

/** A session that has just been stored is not there yet on a replica, and one that was ended still is. */
function assertReadsPrimaries(client: Ioredis): void {
  const { scaleReads = 'master', role = 'master' } = client.options
  const [option, value] = scaleReads === 'master' ? ['role', role] : ['scaleReads', scaleReads]
  if (value === 'master') return
  throw new TypeError(
    `redisStore: client must read from primaries, and this one has ${option} '${String(value)}': give the store one of its own with ${option}: 'master'`,
  )
}
