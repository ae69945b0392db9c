import { type Listen, later, PATIENCE, quotedChannel } from './listening.js'
import { givenUp } from './trouble.js'

/** What is needed of a `Client` of pg, which a pool has the class of. */
interface ListeningClient {
  connect(callback: (error: Error | null | undefined) => void): void
  query(text: string, callback: (error: Error | null | undefined) => void): void
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
  on(
    event: 'notification',
    listener: (message: { channel: string; payload?: string | undefined }) => void,
  ): unknown
  end(callback: () => void): void
  /** pg-native has neither. */
  unref?(): void
  readonly connection?: { readonly stream?: { destroy(): void } }
}

/**
 * Listens on a connection beside the pool, made as the pool makes its own: one of the pool's would be missed there, and
 * a pool of one would have none left. `undefined` where the pool does not say how it makes them.
 */
export function pgListen(pool: object, timeout: number): Listen | undefined {
  const { Client, options } = pool as {
    readonly Client?: new (options: object) => ListeningClient
    readonly options?: object
  }
  if (typeof Client !== 'function' || typeof options !== 'object') return undefined

  return function listen(channel, { opened, heard, lost }) {
    const client = new Client(options)
    let waiting: ((isAnswered: boolean) => void)[] = []
    let underWay: ((isAnswered: boolean) => void) | undefined
    const connecting = later(timeout, () => fail(givenUp()))
    let isOver = false

    function fail(error: unknown): void {
      if (isOver) return
      close()
      lost(error)
    }

    function close(): void {
      if (isOver) return
      isOver = true
      clearTimeout(connecting)
      client.end(ignore)
      // Whoever is at the other end may never answer the goodbye.
      client.connection?.stream?.destroy()
      underWay?.(false)
      for (const settle of waiting) settle(false)
      waiting = []
    }

    client.on('error', fail)
    client.on('end', () => fail(new Error('the server closed the connection')))
    client.on('notification', (message) => {
      if (!isOver && message.channel === channel) heard(message.payload ?? '')
    })
    client.connect((failed) => {
      if (failed) return fail(failed)
      if (isOver) return
      // Again: with TLS the socket is another one by now.
      client.unref?.()
      client.query(`LISTEN ${quotedChannel(channel)}`, (refused) => {
        if (refused) return fail(refused)
        if (isOver) return
        clearTimeout(connecting)
        opened()
      })
    })
    client.unref?.()

    /** One statement at a time, as pg wants it. Who asks meanwhile gets the answer to the next one, together. */
    function askServer(): void {
      if (underWay !== undefined || waiting.length === 0) return
      const asked = waiting
      waiting = []
      const unanswered = later(PATIENCE, () => fail(givenUp()))
      underWay = (isAnswered) => {
        underWay = undefined
        clearTimeout(unanswered)
        for (const settle of asked) settle(isAnswered)
      }
      client.query('SELECT 1', (error) => {
        if (error) fail(error)
        else underWay?.(true)
        askServer()
      })
    }

    return {
      close,
      ask: () =>
        new Promise((settle) => {
          if (isOver) return settle(false)
          waiting.push(settle)
          askServer()
        }),
    }
  }
}

function ignore(): void {}
