import type { Connection } from './connection.js'
import type { Recovery } from './recovery.js'
import {
  closedClient,
  closedStore,
  failure,
  isRefusal,
  noConnection,
  wasTakenBack,
} from './refusals.js'
import type { Script } from './scripts.js'

/** How the store speaks to the engine: what fails here says what to do about it, and whether it was executed. */
export interface Commands {
  /** A command that changes nothing: however it fails, nothing was executed. */
  read(key: string, ...command: string[]): Promise<unknown>
  /** GET, and what `as` makes of its answer. */
  get<T>(key: string, as: (value: unknown) => T): Promise<T>
  write(key: string, ...command: string[]): Promise<unknown>
  /**
   * Runs a script: with its text the first time, then by its name. The engine forgets scripts (SCRIPT FLUSH, a restart, a
   * replica that takes over), and says so before it executes anything: then the text goes again.
   */
  run(script: Script, key: string, ...args: string[]): Promise<unknown>
  /** As `run`, always with the text: it cannot come back for being forgotten, so nothing overtakes it. */
  runText(script: Script, key: string, ...args: string[]): Promise<unknown>
  /** As `runText`, for what was run before: it counts as sent again. */
  runAgain(script: Script, key: string, ...args: string[]): Promise<unknown>
  /** How many commands were sent again so far: what was sent after one of them may have overtaken it. */
  resent(): number
  /** Waits for a connection, as every call does. */
  connected(): Promise<void>
  close(): void
}

/**
 * How long a call waits for a connection, in milliseconds: then it says that there is none, before the core gives it up
 * without a word. The queue of the client library has no such end, and would send the call when nobody waits any more.
 */
export const PATIENCE = 800
export const LOOK_EVERY = 10

interface Waiting {
  readonly until: number
  readonly go: () => void
  readonly giveUp: (error: unknown) => void
}

export function createCommands(connection: Connection, { watch }: Recovery): Commands {
  const sent = new Set<Script>()
  let waiting: Waiting[] = []
  let timer: ReturnType<typeof setInterval> | undefined
  let isClosed = false
  let resent = 0

  /** No promise of our own where there is a connection, as there nearly always is. */
  function send(key: string, command: readonly string[]): Promise<unknown> {
    if (isClosed || connection.state() !== 'ready') return sendLater(key, command)
    try {
      return watch(connection.send(key, command))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async function sendLater(key: string, command: readonly string[]): Promise<unknown> {
    await wait()
    return watch(connection.send(key, command))
  }

  /** What was taken back before it was written goes again. The core repeats a read that failed, and never a change. */
  async function sendAgain(
    call: 'read' | 'write',
    key: string,
    command: readonly string[],
    error: unknown,
  ): Promise<unknown> {
    try {
      if (!wasTakenBack(error)) throw error
      resent += 1
      return await sendLater(key, command)
    } catch (last) {
      throw failure(last, call)
    }
  }

  async function wait(): Promise<void> {
    if (isClosed) throw closedStore()
    if (connection.state() === 'closed') throw closedClient(connection.lastError())
    await new Promise<void>((go, giveUp) => {
      waiting.push({ until: performance.now() + PATIENCE, go, giveUp })
      timer ??= setInterval(look, LOOK_EVERY)
    })
  }

  function look(): void {
    const state = isClosed ? 'closed' : connection.state()
    const now = performance.now()
    const all = waiting
    waiting = []
    for (const one of all) {
      if (state === 'ready') one.go()
      else if (isClosed) one.giveUp(closedStore())
      else if (state === 'closed') one.giveUp(closedClient(connection.lastError()))
      else if (now >= one.until) one.giveUp(noConnection(connection.lastError()))
      else waiting.push(one)
    }
    if (waiting.length > 0) return
    clearInterval(timer)
    timer = undefined
  }

  function ask(call: 'read' | 'write', key: string, command: readonly string[]): Promise<unknown> {
    return send(key, command).catch((error: unknown) => sendAgain(call, key, command, error))
  }

  function run(script: Script, key: string, ...args: string[]): Promise<unknown> {
    if (!sent.has(script)) {
      sent.add(script)
      return runText(script, key, ...args)
    }
    const command = ['evalsha', script.sha, '1', key, ...args]
    return send(key, command).catch((error: unknown) =>
      isRefusal(error, 'NOSCRIPT')
        ? runAgain(script, key, ...args)
        : sendAgain('write', key, command, error),
    )
  }

  function runAgain(script: Script, key: string, ...args: string[]): Promise<unknown> {
    resent += 1
    return runText(script, key, ...args)
  }

  function runText(script: Script, key: string, ...args: string[]): Promise<unknown> {
    return ask('write', key, ['eval', script.text, '1', key, ...args])
  }

  return {
    read: (key, ...command) => ask('read', key, command),
    get(key, as) {
      const command = ['get', key]
      return send(key, command).then(as, async (error: unknown) =>
        as(await sendAgain('read', key, command, error)),
      )
    },
    write: (key, ...command) => ask('write', key, command),
    run,
    runText,
    runAgain,
    resent: () => resent,
    async connected() {
      if (isClosed || connection.state() !== 'ready') await wait()
    },
    close() {
      isClosed = true
      if (timer !== undefined) look()
    },
  }
}
