import type { Listen } from './listening.js'

/** One connection to the database, or rather many: what the store needs of a client library. */
export interface Client {
  /** Sends a statement, once. Never rejects. */
  send(statement: Statement, values: readonly Value[]): Promise<Answer | Failure>
  /** Closes the connections that are open and idle: they may be dead. Absent where the library does not let go of one. */
  renew?(): void
  /** Absent where the library cannot. */
  listen?: Listen | undefined
}

export interface Statement {
  readonly text: string
  /** Of a statement that the server may keep prepared: the same name for the same text, and for no other. */
  readonly name?: string
}

export type Value = string | number | null

export interface Answer {
  readonly rows: readonly (readonly unknown[])[]
  /** How many rows were found or changed. */
  readonly count: number
  /** The server process that the client believes to be connected to. */
  readonly pid?: number | undefined
}

export interface Failure {
  readonly error: unknown
  /** Whether the statement may have reached the server. */
  readonly isSent: boolean
}
