import { type Connection, type Emitter, rememberErrors } from './connection.js'

/** What the store uses of ioredis 5 and 6 and of iovalkey: of a single client, one behind Sentinel, or a cluster. */
export interface Ioredis extends Emitter {
  readonly status: string
  readonly options: object
  readonly isCluster?: boolean
  readonly stream?: Cork | undefined
  call(name: string, ...args: string[]): Promise<unknown>
  sendCommand(command: Command): Promise<unknown>
  connect(): Promise<unknown>
}

interface Command {
  pipelineIndex?: number
}

interface Cork {
  cork(): void
  uncork(): void
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
  const isCluster = client.isCluster === true
  let corked: Cork | undefined

  /** All commands of one turn of the event loop in one write: ioredis would make a system call for each. */
  function cork(): void {
    const { stream } = client
    if (corked !== undefined || isCluster || stream === undefined) return
    corked = stream
    stream.cork()
    setImmediate(() => {
      stream.uncork()
      corked = undefined
    })
  }

  /**
   * The client as its own methods see it, with two differences. Commands do not go into its automatic pipelines. And
   * each is marked as a part of a pipeline that lost its beginning: such a one is rejected when the connection breaks
   * (`abortIncompletePipelines` in event_handler.js), where others are sent again, as autoResendUnfulfilledCommands says
   * for a single client and retryDelayOnFailover for a cluster.
   */
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

  return {
    kind: isCluster ? 'ioredis cluster' : 'ioredis client',
    isOrdered: !isCluster,
    // ioredis puts it there itself.
    keyPrefix: '',
    state() {
      if (client.status === 'ready') return 'ready'
      if (client.status === 'end') return 'closed'
      // A lazy client connects with its first command. Ours waits for the connection.
      if (client.status === 'wait') client.connect().catch(() => {})
      return 'waiting'
    },
    send: (_key, [name = '', ...args]) => view.call(name, ...args),
    lastError: rememberErrors(client, false),
  }
}
