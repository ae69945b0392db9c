import { isRefusal } from './refusals.js'
import { type Hear, type Receiver, Refused, type Source, type Wish } from './source.js'

/** What is used of the application's client. */
interface Model {
  readonly socketEpoch?: number
  readonly options?: { readonly socket?: object }
  duplicate(overrides?: object): unknown
}

interface Listener {
  on(event: 'connect' | 'error' | 'end', listener: () => void): unknown
  on(event: 'invalidate', listener: (key: unknown) => void): unknown
  connect(): Promise<unknown>
  unref(): void
  destroy(): unknown
  sendCommand(command: readonly string[], options?: object): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
}

const numbers = new WeakMap<Model, number>()
let count = 0

/** The server of this client, as long as it has this connection to it. */
export function sourceAt(client: Model): Source {
  let number = numbers.get(client)
  if (number === undefined) {
    count += 1
    number = count
    numbers.set(client, number)
  }
  return sourceOf(`${number} ${client.socketEpoch}`, client)
}

export function sourceOf(
  id: string,
  client: Model | undefined,
  has: Source['has'] = () => true,
): Source {
  return {
    id,
    has,
    open(wish, hear) {
      if (client === undefined) throw new Error('a cluster client has not met this node yet')
      return listen(client, wish, hear)
    },
  }
}

/** Without a timeout: who waits for an answer decides how long. */
const OPTIONS = Object.freeze({ timeout: undefined, typeMapping: Object.freeze({}) })

/**
 * By RESP3 the server tells of changes on the very connection. node-redis shows that with `emitInvalidate`, for which it
 * switches the other kind of tracking on, so this is switched off first: with BCAST a key is told however it was read.
 */
function listen(model: Model, { prefix, channel }: Wish, hear: Hear): Receiver {
  const client = model.duplicate({
    RESP: 3,
    emitInvalidate: true,
    clientSideCache: undefined,
    // It would move to another server by itself, and the tracking would stay behind.
    maintNotifications: 'disabled',
    pingInterval: undefined,
    commandOptions: {},
    socket: { ...model.options?.socket, reconnectStrategy: false, socketTimeout: undefined },
  }) as Listener
  client.unref()
  let isConnected = false
  let isClosed = false
  client.on('connect', () => {
    isConnected = true
    if (isClosed) destroy()
  })
  for (const event of ['error', 'end'] as const) client.on(event, hear.end)
  client.on('invalidate', (key) => hear.key(key === null ? null : String(key)))

  async function begin(): Promise<void> {
    try {
      await client.connect()
    } catch (error) {
      if (!isRefusal(error)) throw error
      const isTracking = /'client/.test(String((error as Error).message))
      throw new Refused(isTracking ? 'CLIENT TRACKING' : 'HELLO', error)
    }
    const asked = [
      client.sendCommand(['CLIENT', 'TRACKING', 'OFF'], OPTIONS),
      client.sendCommand(['CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', prefix], OPTIONS),
    ]
    await Promise.all(asked).catch((error: unknown) => {
      throw isRefusal(error) ? new Refused('CLIENT TRACKING', error) : error
    })
    await client.subscribe(channel, hear.message).catch((error: unknown) => {
      throw isRefusal(error) ? new Refused('SUBSCRIBE', error) : error
    })
  }

  function destroy(): void {
    try {
      client.destroy()
    } catch {
      // 5 throws where it is closed already.
    }
  }

  return {
    ready: begin(),
    ping: () => client.sendCommand(['PING'], OPTIONS),
    close() {
      isClosed = true
      // Before, node-redis has no socket to let go of: the connection would come to stand, and stay.
      if (isConnected) destroy()
    },
  }
}
