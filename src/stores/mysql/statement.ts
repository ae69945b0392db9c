/** One connection to the database, or rather many: what the store needs of a client library. */
export interface Client {
  /** Sends a statement, once. Never rejects. */
  send(statement: Statement, values: readonly Value[]): Promise<Answer | Failure>
  /** Closes the connections that are in use, and each idle one before it is used again. */
  reconnect(): void
}

export interface Statement {
  readonly text: string
  /** Whether the server keeps it prepared: only a text that comes again is worth that. */
  readonly isPrepared: boolean
}

/** Text of more than ASCII goes as bytes: it does not depend on what the pool takes for the character set then. */
export type Value = string | number | Buffer | null

export interface Answer {
  readonly rows: readonly (readonly unknown[])[]
  /** How many rows were changed; by the settings of the pool, those count that were found and were as they should be. */
  readonly count: number
}

export interface Failure {
  readonly error: unknown
  /** Whether the statement may have reached the server. */
  readonly isSent: boolean
}
