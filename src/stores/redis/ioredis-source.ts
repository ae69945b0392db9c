import { isRefusal } from './refusals.js'
import { type Hear, type Receiver, Refused, type Source, type Step, type Wish } from './source.js'

/** What is used of the application's client. */
interface Model {
  duplicate(overrides?: object): unknown
}

interface Listener {
  readonly stream?: { unref?(): void; destroy(): void } | undefined
  on(event: 'connect' | 'error' | 'close' | 'end', listener: () => void): unknown
  on(event: 'messageBuffer', listener: (channel: Buffer, message: unknown) => void): unknown
  connect(): Promise<unknown>
  disconnect(): void
  call(name: string, ...args: string[]): Promise<unknown>
}

export function sourceOf(id: string, client: Model | undefined, has: Source['has']): Source {
  return {
    id,
    has,
    open(wish, hear) {
      if (client === undefined) throw new Error('a cluster client has lost this node')
      return listen(client, wish, hear)
    },
  }
}

/** Where the server tells of changed keys to a connection that speaks RESP2. */
const INVALIDATE = '__redis__:invalidate'

/**
 * These libraries drop what the server says unasked by RESP3. By RESP2 it comes as messages, to a connection that is named
 * when the tracking is switched on: here to the same one, so that its PING is answered in order with them.
 */
function listen(model: Model, { prefix, channel }: Wish, hear: Hear): Receiver {
  const client = model.duplicate({
    protocol: 2,
    lazyConnect: true,
    keyPrefix: '',
    connectTimeout: 5000,
    commandTimeout: undefined,
    socketTimeout: undefined,
    retryStrategy: null,
    sentinelRetryStrategy: null,
    // The application's client has one, if it wants to, and its new connection is one for the feed too.
    failoverDetector: false,
    reconnectOnError: null,
    autoResubscribe: false,
    enableReadyCheck: false,
    enableAutoPipelining: false,
  }) as Listener
  client.on('connect', () => client.stream?.unref?.())
  client.on('error', () => {})
  for (const event of ['close', 'end'] as const) client.on(event, hear.end)
  client.on('messageBuffer', (from, message) => {
    if (String(from) !== INVALIDATE) hear.message(String(message))
    // `message` joins the keys with commas; this has them in a list.
    else if (Array.isArray(message)) for (const key of message) hear.key(String(key))
    else hear.key(null)
  })

  async function begin(): Promise<void> {
    await client.connect()
    const id = String(await step('CLIENT TRACKING', client.call('client', 'id')))
    const on = ['tracking', 'on', 'redirect', id, 'bcast', 'prefix', prefix]
    await step('CLIENT TRACKING', client.call('client', ...on))
    await step('SUBSCRIBE', client.call('subscribe', INVALIDATE, channel))
  }

  return {
    ready: begin(),
    ping: () => client.call('ping'),
    close() {
      // By itself disconnect() waits for the other end to take its leave.
      client.disconnect()
      client.stream?.destroy()
    },
  }
}

async function step(name: Step, answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    throw isRefusal(error) ? new Refused(name, error) : error
  }
}
