import { randomUUID } from 'node:crypto'
import type { Commands } from './commands.js'
import { isRefusal } from './refusals.js'
import { PROBE } from './scripts.js'
import { Refused, type Source } from './source.js'

/** A change that the feed makes to hear of it: by its key, and by a message. */
export interface Probe {
  /** Under the prefix of the store. */
  readonly name: string
  heardKey(name: string): void
  heardMessage(text: string): void
  /** Whether it is told in time. Rejects with a `Refused`, or with what went wrong otherwise. */
  isTold(commands: Commands, start: string, channel: string): Promise<boolean>
}

/** `undefined` where no key of this prefix lives there. */
export function createProbe(source: Source, start: string): Probe | undefined {
  const name = nameAt(source, start)
  if (name === undefined) return undefined
  const awaited = new Set(['key', 'message'])
  let done = (): void => {}

  function heard(what: 'key' | 'message', of: string): void {
    if (of !== name) return
    awaited.delete(what)
    if (awaited.size === 0) done()
  }

  return {
    name,
    heardKey: (key) => heard('key', key),
    heardMessage: (text) => heard('message', text),
    async isTold(commands, start, channel) {
      await commands.runText(PROBE, start + name, channel, name).catch((error: unknown) => {
        const { cause } = error as Error
        throw isRefusal(cause) ? new Refused('PUBLISH', cause) : error
      })
      return awaited.size === 0 || toldWithin(PROBE_PATIENCE)
    },
  }

  /** Counted in steps: a process that was busy all the while finds what came meanwhile after one. */
  function toldWithin(milliseconds: number): Promise<boolean> {
    return new Promise((resolve) => {
      let steps = milliseconds / STEP
      const timer = setInterval(() => {
        steps -= 1
        if (steps <= 0) end(false)
      }, STEP)
      timer.unref()
      const end = (isTold: boolean): void => {
        clearInterval(timer)
        resolve(isTold)
      }
      done = () => end(true)
    })
  }
}

export const PROBE_PATIENCE = 1000
const STEP = 100
/** A primary with a hundredth of the slots is found in fewer. */
const TRIES = 2000

function nameAt(source: Source, start: string): string | undefined {
  const token = randomUUID()
  for (let number = 0; number < TRIES; number += 1) {
    const name = `feed:${token}:${number}`
    if (source.has(start + name)) return name
  }
  return undefined
}
