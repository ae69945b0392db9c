import { storeError } from '../../core/errors.js'
import type { Commands } from './commands.js'
import type { Connection } from './connection.js'
import { failure } from './refusals.js'

/** Sees to it that what ended a session is on replicas before anyone is told that it has ended. */
export interface Replication {
  /**
   * Does `write`, which must change `key` in every case, and waits for the replicas. Rejects as unknown where too few of
   * them have it in time: the session has ended on the primary, and a fail-over may bring it back.
   */
  confirmed<T>(key: string, write: () => Promise<T>): Promise<T>
}

/** What the option `revocation` is where nothing waits: a replica has what the primary answered a moment later. */
export const UNCONFIRMED: Replication = { confirmed: (_key, write) => write() }

export function createReplication(
  connection: Connection,
  commands: Commands,
  {
    replicas = 1,
    replicationTimeout: timeout = 400,
  }: { readonly replicas?: number | undefined; readonly replicationTimeout?: number | undefined },
): Replication {
  return {
    async confirmed(key, write) {
      await commands.connected()
      const before = connection.primaryOf?.(key)
      const answer = await write()
      // WAIT counts who has the last write of its own connection: on another one it would confirm what it does not know.
      const after = connection.primaryOf?.(key)
      if (before === undefined || after === undefined || before.id !== after.id) throw changed()
      const count = await after.send(['wait', String(replicas), String(timeout)]).catch((error) => {
        throw storeError('Redis could not confirm that a replica has the end of a session', {
          cause: failure(error, 'write'),
          executed: 'unknown',
        })
      })
      if (connection.primaryOf?.(key)?.id !== after.id) throw changed()
      if (Number(count) < replicas) throw tooFew(Number(count), replicas, timeout)
      return answer
    },
  }
}

function changed(): Error {
  return storeError(
    'the connection to the primary of Redis changed while a session was ended; whether a replica has it is unknown',
    { executed: 'unknown' },
  )
}

function tooFew(count: number, replicas: number, timeout: number): Error {
  return storeError(
    `the end of a session is on ${count} of ${replicas} replicas of Redis after ${timeout} ms; is a replica connected and near? With revocation: 'replicated' it is not confirmed before`,
    { executed: 'unknown' },
  )
}
