import type { StoreEvent } from '../../core/store.js'
import type { Commands } from './commands.js'
import type { Connection } from './connection.js'
import { type Ends, isSessionKey } from './ends.js'
import { swallowed, whyNoFeed } from './feed-refusals.js'
import { createProbe, PROBE_PATIENCE, type Probe } from './probe.js'
import type { Receiver, Source } from './source.js'
import type { Survey } from './survey.js'

/** One listening connection to each server that tells of changes, made anew whenever one is lost. */
export interface Listening {
  check(): Promise<void>
  /** Lets go of connections that leave a check unanswered. */
  renewSilent(): void
  close(): void
}

export interface ListeningParts {
  readonly connection: Connection
  readonly commands: Commands
  /** What the keys of the store begin with, for its own commands. */
  readonly start: string
  readonly ends: Ends
  /** Sees to it that the library knows who the primaries are now. */
  readonly survey: Survey
  tell(event: StoreEvent): void
}

/** Connections that are lost at once come back at different times: each process looks at its own. */
const LOOK_EVERY = 200
const LONGEST_PAUSE = 3000
/** How long a connection may take to stand. */
const PATIENCE = 5000
const SILENT = 500

interface Line {
  readonly source: Source
  readonly since: number
  receiver?: Receiver
  isReady: boolean
  /** A change was seen to come through. */
  isProved: boolean
  probe?: Probe | undefined
  /** Since when a ping is unanswered. */
  askedAt?: number | undefined
  readonly lost: Promise<void>
  readonly end: () => void
}

export function createListening(parts: ListeningParts): Listening {
  const { connection, commands, start, ends, survey, tell } = parts
  const prefix = connection.addedPrefix + start
  const lines = new Map<string, Line>()
  const refusals = new Map<string, Error>()
  let wanted: readonly Source[] = []
  let failures = 0
  let nextTry = 0
  let isClosed = false
  let looking: Promise<void> | undefined
  let waiting: (() => void)[] = []
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const timer = setInterval(() => void look().then(wake, wake), LOOK_EVERY)
  timer.unref()
  void look()

  function look(): Promise<void> {
    looking ??= lookAround().finally(() => {
      looking = undefined
    })
    return looking
  }

  async function lookAround(): Promise<void> {
    try {
      wanted = await connection.sources()
    } catch {
      // The application's client is not connected either.
      wanted = []
    }
    if (isClosed) return
    const ids = new Set(wanted.map(({ id }) => id))
    for (const line of lines.values()) {
      const isLate = !line.isReady && performance.now() - line.since > PATIENCE
      if (isLate || !ids.has(line.source.id)) lose(line)
    }
    for (const id of refusals.keys()) if (!ids.has(id)) refusals.delete(id)
    if (performance.now() < nextTry) return
    for (const source of wanted) if (!lines.has(source.id)) void open(source)
  }

  async function open(source: Source): Promise<void> {
    const line = lineTo(source)
    lines.set(source.id, line)
    try {
      line.receiver = source.open(
        { prefix, channel: ends.channel },
        {
          key: (key) => hearKey(line, key),
          message: (text) => hearMessage(line, text),
          end: () => lose(line),
        },
      )
      await line.receiver.ready
    } catch (error) {
      const why = whyNoFeed(error, ends.channel)
      if (why === undefined) lose(line)
      else refuse(line, why)
      return
    }
    if (!isStanding(line)) return
    line.isReady = true
    refusals.delete(source.id)
    tell({ type: 'reset' })
    wake()
  }

  function lose(line: Line): void {
    if (!isStanding(line)) return
    lines.delete(line.source.id)
    line.end()
    line.receiver?.close()
    if (line.isReady) tell({ type: 'reset' })
    if (!line.isProved) {
      failures += 1
      const pause = Math.min(LOOK_EVERY * 2 ** (failures - 1), LONGEST_PAUSE)
      nextTry = performance.now() + pause * (0.5 + Math.random() / 2)
    }
    wake()
  }

  /** Until the next connection stands, every check says so. */
  function refuse(line: Line, why: Error): Error {
    refusals.set(line.source.id, why)
    lose(line)
    return why
  }

  function isStanding(line: Line): boolean {
    return lines.get(line.source.id) === line
  }

  function hearKey(line: Line, key: string | null): void {
    if (!isStanding(line)) return
    const name = key?.slice(prefix.length)
    if (name === undefined) tell({ type: 'reset' })
    else if (isSessionKey(name)) tell({ type: 'changed', key: name })
    else line.probe?.heardKey(name)
  }

  function hearMessage(line: Line, text: string): void {
    if (!isStanding(line)) return
    const event = ends.read(text)
    if (event !== undefined) tell(event)
    else line.probe?.heardMessage(text)
  }

  function wake(): void {
    const all = waiting
    waiting = []
    for (const go of all) go()
  }

  /** All lines, once they stand; who they have to be is found out after this was asked. */
  async function complete(): Promise<readonly Line[]> {
    for (let again = false; ; again = true) {
      await looking
      const isSurveyed = await surveyed(again)
      await look()
      if (isClosed) return new Promise(() => {})
      const [refusal] = refusals.values()
      if (refusal !== undefined) throw refusal
      const all = wanted.map(({ id }) => lines.get(id))
      if (isSurveyed && all.length > 0 && all.every((line) => line?.isReady)) return all as Line[]
      await aMoment()
    }
  }

  async function surveyed(again: boolean): Promise<boolean> {
    try {
      await survey(again)
      return true
    } catch (error) {
      const why = whyNoFeed(error, ends.channel)
      if (why !== undefined) throw why
      return false
    }
  }

  /** Until something happens, or the next look. */
  function aMoment(): Promise<void> {
    return new Promise((go) => waiting.push(go))
  }

  async function answers(line: Line): Promise<boolean> {
    line.askedAt = performance.now()
    try {
      await Promise.race([line.receiver?.ping(), line.lost])
    } catch {
      lose(line)
    }
    line.askedAt = undefined
    return isStanding(line)
  }

  async function proves(line: Line): Promise<boolean> {
    if (line.isProved) return true
    line.probe = createProbe(line.source, start)
    try {
      line.isProved = (await line.probe?.isTold(commands, start, ends.channel)) ?? true
      if (line.isProved) failures = 0
    } catch (error) {
      const why = whyNoFeed(error, ends.channel)
      if (why !== undefined) throw refuse(line, why)
      // The command failed, which goes by itself or is told by other calls.
      await aMoment()
      return false
    } finally {
      line.probe = undefined
    }
    if (isStanding(line) && !line.isProved) throw refuse(line, swallowed(PROBE_PATIENCE))
    return isStanding(line)
  }

  async function round(): Promise<void> {
    for (;;) {
      const all = await complete()
      const answered = await Promise.all(all.map(answers))
      if (!answered.every(Boolean)) continue
      if ((await Promise.all(all.map(proves))).every(Boolean)) return
    }
  }

  function begin(): Promise<void> {
    next = undefined
    running = round().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    /** One under way may have begun too early to answer for what came since: the next does, for all who ask meanwhile. */
    check() {
      if (running === undefined) return next ?? begin()
      next ??= running.then(begin, begin)
      return next
    },
    renewSilent() {
      for (const line of lines.values()) {
        if (performance.now() - (line.askedAt ?? Number.POSITIVE_INFINITY) > SILENT) lose(line)
      }
    },
    close() {
      isClosed = true
      clearInterval(timer)
      for (const line of [...lines.values()]) lose(line)
    },
  }
}

function lineTo(source: Source): Line {
  let end = (): void => {}
  const lost = new Promise<void>((resolve) => {
    end = resolve
  })
  return { source, since: performance.now(), isReady: false, isProved: false, lost, end }
}
