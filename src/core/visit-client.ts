import type { Device } from './record.js'

/** The side of a visit that faces the client. */
export interface VisitClient {
  /** Throws where the response cannot carry a new cookie: before anything is stored that nobody could reach. */
  assertCanSetCookie(): void
  readonly device: Device | undefined
  /** An error that no code of the application could hear of. */
  onLostError(error: unknown): void
}
