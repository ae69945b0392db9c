import type { Connection, Primary } from './connection.js'
import type { Recovery } from './recovery.js'
import { isRefusal } from './refusals.js'
import { Refused } from './source.js'

/** A primary that does not answer must not hold up the look: its own connection says so. */
const PATIENCE = 500
/** Nodes tell each other of a change one by one, so the library looks several times. */
const LOOKS = [0, 300, 1000, 3000]
/** What of CLUSTER INFO changes where a primary is replaced, or a slot moves: each takes a new epoch. */
const SIGNS = /^cluster_(current_epoch|my_epoch|size|slots_p?fail):.*$/gm
/** At most so often, while there are primaries that cannot be listened to. */
const LOOK_AGAIN = 1000

/**
 * Finds out whether a cluster has changed its primaries, and lets the library look again where it has. Each primary is
 * asked, because one that was replaced knows it before most. `again`: it looks whether anything has changed or not.
 */
export type Survey = (again: boolean) => Promise<void>

export function createSurvey(connection: Connection, recovery: Recovery): Survey {
  const { refresh } = connection
  /** By primary. */
  let known: ReadonlyMap<string, string> = new Map()
  let looks: number[] = []
  let lookedAt = performance.now()
  if (refresh === undefined) return async () => {}

  return async function survey(again) {
    const primaries = connection.primaries()
    const told = await Promise.all(primaries.map((primary) => signsOf(primary, recovery)))
    const changed = primaries.find(({ id }, index) => told[index] && told[index] !== known.get(id))
    const now = performance.now()
    if (changed !== undefined) looks = known.size === 0 ? [now] : LOOKS.map((later) => now + later)
    else if (again && now - lookedAt > LOOK_AGAIN) looks = [now, ...looks]
    known = new Map(primaries.map(({ id }, index) => [id, told[index] || (known.get(id) ?? '')]))
    if (looks[0] === undefined || looks[0] > now) return
    looks = looks.filter((at) => at > now)
    lookedAt = now
    try {
      await refresh(changed ?? primaries.find((_, index) => told[index]))
    } catch (error) {
      looks = [now, ...looks]
      throw error
    }
  }
}

async function signsOf({ send }: Primary, { watch }: Recovery): Promise<string> {
  const info = watch(send(['cluster', 'info'])).catch((error: unknown) => {
    if (isRefusal(error)) throw new Refused('CLUSTER INFO', error)
    return ''
  })
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, PATIENCE, '')
    timer.unref()
  })
  const text = await Promise.race([info, late])
  clearTimeout(timer)
  return String(text).match(SIGNS)?.join() ?? ''
}
