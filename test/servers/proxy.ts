import net, { type AddressInfo } from 'node:net'

/** A stretch of network between a client and a server of this machine, on which things go wrong when a test says so. */
export interface TcpProxy {
  readonly port: number
  /** Connections that were made since it was started. */
  readonly connections: number
  /** Connections that are open now. */
  readonly open: number
  /** How often something was asked after the last answer was heard. What is asked meanwhile travels along. */
  readonly trips: number
  /** From now on each way takes so many milliseconds longer. */
  delay(milliseconds: number): void
  /** Nothing gets through any more, and nobody is told. */
  hang(): void
  /** New connections lead to another server. */
  aim(target: number): void
  /** Connections that are open now carry nothing any more, and nobody is told. New ones are as they should be. */
  silence(): void
  /** What was held up gets through, and so does the rest. */
  resume(): void
  /** Every connection is reset in the middle of whatever it is doing. */
  reset(): void
  /** The next bytes that the server sends are lost, and so is their connection: it did what it was asked, nobody hears. */
  loseNextReply(): void
  /**
   * As `loseNextReply`, for the reply to the first request of which `isIt` says so. It is shown what a client sends, as
   * text, until then.
   */
  loseReplyTo(isIt: (request: string) => boolean): void
  /** From now on what the server says is taken out where it matches, if it comes in one piece. */
  swallow(words: RegExp): void
  /** Half of the next bytes that the server sends get through, then the connection is closed. */
  tearNextReply(): void
  close(): Promise<void>
}

export async function startProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [net.Socket, net.Socket]>()
  const silent = new WeakSet<readonly [net.Socket, net.Socket]>()
  let port = target
  let milliseconds = 0
  let held: (() => void)[] | undefined
  let next: 'lost' | 'torn' | undefined
  let swallowed: RegExp | undefined
  let isIt: ((request: string) => boolean) | undefined
  let connections = 0
  let trips = 0

  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    connections += 1
    const upstream = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const pair = [client, upstream] as const
    pairs.add(pair)
    let isDoomed = false
    let isAsked = false
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.setNoDelay(true)
      from.on('error', () => {})
      from.on('data', (chunk: Buffer) => {
        if (silent.has(pair)) return
        if (from === client && !isAsked) trips += 1
        isAsked = from === client
        if (from === client && isIt?.(chunk.toString())) {
          isIt = undefined
          isDoomed = true
        }
        if (from === upstream && isDoomed) return cut(pair)
        if (from === upstream && next !== undefined) {
          const half = next === 'torn' ? chunk.subarray(0, chunk.length / 2) : undefined
          next = undefined
          if (half === undefined) return cut(pair)
          pairs.delete(pair)
          to.end(half)
          from.destroy()
          return
        }
        const words = from === upstream ? swallowed : undefined
        const left = words && Buffer.from(chunk.toString('latin1').replaceAll(words, ''), 'latin1')
        pass(() => to.write(left ?? chunk))
      })
      from.on('end', () => {
        if (!silent.has(pair)) pass(() => to.end())
      })
      from.on('close', () => {
        pairs.delete(pair)
        pass(() => to.destroy())
      })
    }
  })

  function pass(deliver: () => void): void {
    if (held !== undefined) held.push(deliver)
    else if (milliseconds > 0) setTimeout(deliver, milliseconds)
    else deliver()
  }

  function cut(pair: readonly [net.Socket, net.Socket]): void {
    pairs.delete(pair)
    for (const socket of pair) socket.resetAndDestroy()
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections
    },
    get open() {
      return pairs.size
    },
    get trips() {
      return trips
    },
    delay(longer) {
      milliseconds = longer
    },
    hang() {
      held ??= []
    },
    aim(elsewhere) {
      port = elsewhere
    },
    silence() {
      for (const pair of pairs) silent.add(pair)
    },
    resume() {
      const waiting = held ?? []
      held = undefined
      for (const deliver of waiting) deliver()
    },
    reset() {
      for (const pair of pairs) cut(pair)
    },
    loseNextReply() {
      next = 'lost'
    },
    loseReplyTo(found) {
      isIt = found
    },
    swallow(words) {
      swallowed = words
    },
    tearNextReply() {
      next = 'torn'
    },
    async close() {
      for (const pair of pairs) cut(pair)
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
