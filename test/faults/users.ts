import type { Settings } from '../stores/rig.js'
import {
  type Browser,
  inParallel,
  type ProcessSettings,
  processWorld,
  type World,
} from '../worlds.js'

/** Two application processes on a Redis that a test may treat badly, and people who are signed in there. */
export interface FaultWorld extends World {
  readonly users: readonly Browser[]
  /** Bytes of heap that each process has in use. */
  heaps(): Promise<number[]>
}

export async function faultWorld(
  settings: Settings,
  count: number,
  processes?: readonly ProcessSettings[],
): Promise<FaultWorld> {
  const rig = {
    name: 'redis',
    opener: '../faults/redis.open.cjs',
    prepare: async () => ({ settings }),
    open: () => {
      throw new Error('only in processes of its own')
    },
  }
  const world = await processWorld(rig, processes)
  const users = await signedIn(world, count)
  return {
    ...world,
    users,
    heaps: () =>
      Promise.all(world.urls.map(async (url) => Number(await (await fetch(`${url}/heap`)).text()))),
  }
}

export async function signedIn(world: World, count: number, prefix = 'user'): Promise<Browser[]> {
  return inParallel(count, 20, async (index) => {
    const browser = world.browser()
    const { status } = await browser.post(`/login?user=${prefix}${index}`)
    if (status !== 200) throw new Error(`a sign-in was answered ${status}`)
    return browser
  })
}
