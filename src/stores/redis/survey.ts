import type { Connection, Primary } from './connection.js'
import type { Recovery } from './recovery.js'
import { isRefusal } from './refusals.js'
import { Refused } from './source.js'

/** A primary that does not answer must not hold up the look: its own connection says so. */
const PATIENCE = 500

/**
 * Finds out whether a cluster has changed its primaries, and lets the library look again where it has. Every fail-over and
 * every slot that has moved makes a new epoch, and the node that made it knows it at once: so one is asked of each.
 */
export function createSurvey(connection: Connection, recovery: Recovery): () => Promise<void> {
  const { refresh } = connection
  let known = -1
  if (refresh === undefined) return async () => {}

  return async function survey() {
    const primaries = connection.primaries()
    const epochs = await Promise.all(primaries.map((primary) => epochOf(primary, recovery)))
    const newest = Math.max(...epochs)
    if (newest <= known) return
    await refresh(primaries[epochs.indexOf(newest)])
    known = newest
  }
}

async function epochOf({ send }: Primary, { watch }: Recovery): Promise<number> {
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
  return Number(/cluster_current_epoch:(\d+)/.exec(String(text))?.[1] ?? -1)
}
