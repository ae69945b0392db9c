import { storeError } from '../../core/errors.js'
import { type Commands, createCommands, LOOK_EVERY, PATIENCE } from './commands.js'
import type { Connection, Primary } from './connection.js'
import { createRecovery, type Recovery } from './recovery.js'
import { closedStore, failure, isRefusal, noConnection } from './refusals.js'
import type { Script } from './scripts.js'

/** Sees to it that what ended a session is on replicas before anyone is told that it has ended. */
export interface Replication {
  /**
   * Runs `script`, which must change `key` in every case, and waits for the replicas. Rejects as unknown where too few of
   * them have it in time: the session has ended on the primary, and a fail-over may bring it back.
   */
  confirmed(script: Script, key: string, ...args: string[]): Promise<unknown>
  close(): void
}

export interface ReplicationSettings {
  readonly replicas?: number | undefined
  readonly replicationTimeout?: number | undefined
}

/**
 * WAIT counts who has the last write of its own connection, and nothing else is answered on that connection meanwhile. So
 * ends go over connections of their own: a replica that is away holds up ends, and no other request.
 */
export function createReplication(
  shared: Connection,
  { replicas = 1, replicationTimeout: timeout = 400 }: ReplicationSettings,
): Replication {
  const own = shared.own()
  const waits = new Map<string, Wait>()
  let line: Line | undefined
  let isClosed = false

  async function lineNow(): Promise<Line> {
    if (isClosed) throw closedStore()
    if (shared.state() === 'closed') throw noConnection(shared.lastError())
    const connection = await own.connection()
    if (line?.connection !== connection) {
      line?.close()
      const recovery = createRecovery(connection)
      const commands = createCommands(connection, recovery)
      line = {
        connection,
        recovery,
        commands,
        close: () => void [recovery, commands].map((part) => part.close()),
      }
    }
    await line.commands.connected()
    return line
  }

  /** What runs here was written after `primary` was found, so a WAIT that begins later covers it, whoever asked for it. */
  function acknowledged(primary: Primary): Promise<number> {
    const wait = waits.get(primary.id)
    if (wait !== undefined) {
      wait.next ??= wait.running.then(begin, begin)
      return wait.next
    }
    return begin()

    function begin(): Promise<number> {
      const running = primary.send(['wait', String(replicas), String(timeout)]).then(Number)
      const mine: Wait = { running, next: undefined }
      waits.set(primary.id, mine)
      const end = (): void => {
        if (mine.next === undefined) waits.delete(primary.id)
      }
      running.then(end, end)
      return running
    }
  }

  async function attempt(script: Script, key: string, args: readonly string[]): Promise<unknown> {
    const { connection, recovery } = await lineNow()
    const primary = await primaryFor(connection, key)
    const command = ['eval', script.text, '1', key, ...args]
    let answer: unknown
    try {
      answer = await recovery.watch(primary.send(command))
    } catch (error) {
      // Its slot has another node now, and nothing was executed.
      if (isRefusal(error, 'MOVED') || isRefusal(error, 'ASK')) throw new Moved(primary, error)
      throw failure(error, 'write')
    }
    // A lost answer rejects, so this is the connection that the change went over.
    const { id } = primary
    const count = await acknowledged(primary).catch((error: unknown) => {
      throw storeError('Redis could not confirm that a replica has the end of a session', {
        cause: failure(error, 'write'),
        executed: 'unknown',
      })
    })
    if (primary.id !== id) throw changed()
    if (count < replicas) throw tooFew(count, replicas, timeout)
    return answer
  }

  return {
    async confirmed(script, key, ...args) {
      try {
        return await attempt(script, key, args)
      } catch (error) {
        if (!(error instanceof Moved)) throw error
        const { connection } = await lineNow()
        await connection.refresh?.(error.primary)
      }
      try {
        return await attempt(script, key, args)
      } catch (error) {
        throw error instanceof Moved ? failure(error.cause, 'write') : error
      }
    },
    close() {
      isClosed = true
      line?.close()
      own.close()
    },
  }
}

/** A cluster client connects to its nodes one by one. */
async function primaryFor(connection: Connection, key: string): Promise<Primary> {
  const end = performance.now() + PATIENCE
  for (;;) {
    const primary = connection.primaryOf?.(key)
    if (primary !== undefined) return primary
    if (performance.now() > end) throw noConnection(connection.lastError())
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY))
  }
}

interface Line {
  readonly connection: Connection
  readonly recovery: Recovery
  readonly commands: Commands
  close(): void
}

/** One that is under way, and the one that follows for all who came meanwhile. */
interface Wait {
  readonly running: Promise<number>
  next: Promise<number> | undefined
}

class Moved extends Error {
  readonly primary: Primary
  constructor(primary: Primary, cause: unknown) {
    super('moved', { cause })
    this.primary = primary
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
