import { setTimeout as pause } from 'node:timers/promises'
import type { SessionStore } from 'staykept'

/** Where sessions are kept, as SESSION_STORE says it. */
export interface SessionPlace {
  /** Kind, host and database, for whoever runs the shop. Never with a password. */
  readonly name: string
  /** Waits for no server: the shop starts without it, and says that it is not ready. */
  open(onTrouble: (error: unknown) => void): Promise<OpenedStore>
}

export interface OpenedStore {
  readonly store: SessionStore
  /** Ends the connections, after the store was closed. */
  close?(): Promise<unknown>
}

/** Whether `ending` came to its end: a client says goodbye to its server, which may not answer any more. */
export async function endsSoon(ending: Promise<unknown>): Promise<boolean> {
  return Promise.race([ending.then(() => true), pause(1000, false, { ref: false })])
}
