import type { MaybePromise } from '../../core/store.js'
import type { Source } from './source.js'

/** One client of the application, whatever library it is from, as the store uses it. */
export interface Connection {
  /** Whether two commands that are sent in one tick are executed in that order. */
  readonly isOrdered: boolean
  /** What the application's client puts before every key, and leaves to us. */
  readonly keyPrefix: string
  /** What the library puts before every key by itself. */
  readonly addedPrefix: string
  /**
   * `ready`: a command is on its way at once. `waiting`: the client looks for a connection. `closed`: it was never
   * opened, was closed, or gave up.
   */
  state(): 'ready' | 'waiting' | 'closed'
  /**
   * Sends one command, once. It goes where `key` lives. Rejects with what the library says; a command that was written
   * when its connection broke is rejected, and never sent again by the library.
   */
  send(key: string, command: readonly string[]): Promise<unknown>
  /** What went wrong last with the client's connections. */
  lastError(): unknown
  /** The primaries that it is connected to now: one, or those of a cluster. */
  primaries(): readonly Primary[]
  /** The one that has `key`; absent where the library does not say which connection a command takes. */
  primaryOf?(key: string): Primary | undefined
  /** Those who tell of changes: the primary, or each of a cluster, connected or not. */
  sources(): MaybePromise<readonly Source[]>
  /** Nothing is opened yet. */
  own(): Own
  /**
   * Of a cluster: looks up again which node has which keys, by asking one that has just answered. Without one it asks
   * where it began.
   */
  refresh?(witness: Primary | undefined): Promise<void>
}

/** Connections of the store's own beside those of the application, for what would hold these up. */
export interface Own {
  /** Opened when it is first asked for, and anew where the application's client has turned to another server. */
  connection(): Promise<Connection>
  close(): void
}

/** One server that holds data, by itself. */
export interface Primary {
  /** Another for each server, and for each connection to it: it changes as that is made anew. For comparing only. */
  readonly id: string
  send(command: readonly string[]): Promise<unknown>
  /** Lets go of its connection and makes a new one. Absent where the library gives no way to. */
  renew?(): void
}

/** What every client has that can be listened to. */
export interface Emitter {
  on(event: 'error' | 'ready' | 'end', listener: (error: unknown) => void): unknown
  listenerCount(event: 'error'): number
}

const troubles = new WeakMap<object, { error: unknown }>()

/**
 * Remembers the last error of a client: it says why there is no connection. One listener for each client, however many
 * stores it has, because EventEmitter warns of more than ten.
 *
 * node-redis ends the process where nobody listens for 'error': with a listener of ours an outage cannot do that. ioredis
 * writes such errors to the console, and should go on doing so.
 */
export function rememberErrors(client: Emitter, alsoWhereNobodyListens: boolean): () => unknown {
  const known = troubles.get(client)
  if (known !== undefined) return () => known.error
  const trouble = { error: undefined as unknown }
  if (alsoWhereNobodyListens || client.listenerCount('error') > 0) {
    troubles.set(client, trouble)
    client.on('error', (error) => {
      trouble.error = error
    })
  }
  return () => trouble.error
}
