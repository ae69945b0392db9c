/** A server that tells of changes, to whoever has a connection for that. */
export interface Source {
  /** Another for each server, and for each connection of the application's client to one. For comparing only. */
  readonly id: string
  /** Whether `key` lives there. */
  has(key: string): boolean
  /** Makes one connection and asks there to be told. It is not made again: who loses it opens another. */
  open(wish: Wish, hear: Hear): Receiver
}

/** What to be told of. */
export interface Wish {
  /** Changes of keys that begin with this. */
  readonly prefix: string
  /** Messages on this channel. */
  readonly channel: string
}

export interface Hear {
  /** A key that changed; `null`: any may have. */
  key(key: string | null): void
  message(text: string): void
  /** The connection is gone, and nothing more will come. May be told more than once. */
  end(): void
}

export interface Receiver {
  /** Rejects where the connection fails, or with a `Refused`. */
  readonly ready: Promise<unknown>
  /** The answer comes after everything that the server told before. */
  ping(): Promise<unknown>
  /** At once, whatever is under way. */
  close(): void
}

/** The server does not do what the feed needs. */
export class Refused extends Error {
  readonly step: Step
  constructor(step: Step, cause: unknown) {
    super(step, { cause })
    this.step = step
  }
}

export type Step = 'CLIENT TRACKING' | 'CLUSTER INFO' | 'HELLO' | 'PUBLISH' | 'SUBSCRIBE'
