/** What a feed needs of a client library: a connection on which the server says what others told a channel. */
export type Listen = (channel: string, hearing: Hearing) => Listening

export interface Hearing {
  /** Everything that is told from now on will be heard. Comes again where the library made a new connection itself. */
  opened(): void
  heard(message: string): void
  /** It could not be opened, or broke. Comes once, and nothing comes afterwards. */
  lost(error: unknown): void
}

export interface Listening {
  /**
   * Asks the server on this very connection: `true` with its answer, before which it says all that was told by then.
   * `false` where the connection was lost meanwhile. Absent where the library does not let others near it.
   */
  ask?(): Promise<boolean>
  /** Whether the library heard something on this channel before, so that it can, and its connection may be away just now. */
  readonly hasHeard?: boolean
  /** Never waits. Nothing is heard afterwards. */
  close(): void
}

/** How long the answer to something tiny may take on a connection that is alive, in milliseconds. */
export const PATIENCE = 2000
/** How long what was told may take to be heard. The core gives a feed up that says nothing for two seconds: it says why before. */
export const PROOF_PATIENCE = 1200

/** A channel as LISTEN takes it. */
export function quotedChannel(channel: string): string {
  return `"${channel.replace(/"/g, '""')}"`
}

/** A timer that keeps no process alive. */
export function later(milliseconds: number, run: () => void): NodeJS.Timeout {
  return setTimeout(run, milliseconds).unref()
}
