import { onTestFinished } from 'vitest'
import type { ServerProcess } from '../servers/process.js'
import type { Settings } from '../stores/rig.js'
import {
  type Browser,
  inParallel,
  type ProcessSettings,
  processWorld,
  type World,
} from '../worlds.js'
import { type Engine, redis } from './engines.js'

/** Two application processes on a server that a test may treat badly, and people who are signed in there. */
export interface FaultWorld extends World {
  readonly users: readonly Browser[]
  /** Bytes of heap that each process has in use. */
  heaps(): Promise<number[]>
}

export async function faultWorld(
  settings: Settings,
  count: number,
  processes?: readonly ProcessSettings[],
  { name, opener }: Pick<Engine, 'name' | 'opener'> = redis,
): Promise<FaultWorld> {
  const rig = {
    name,
    opener,
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

/** A server, and people who are signed in there; all of it ends with the test. */
export async function serverWithPeople(
  engine: Engine,
  count: number,
): Promise<{ server: ServerProcess; world: FaultWorld }> {
  const server = await engine.start()
  onTestFinished(() => server.close())
  return { server, world: await worldAt(engine, server.port, count) }
}

/** Two processes whose server is, or will be, at a port; they end with the test. */
export async function worldAt(engine: Engine, port: number, count: number): Promise<FaultWorld> {
  const world = await faultWorld(engine.settings(port), count, undefined, engine)
  onTestFinished(world.close)
  return world
}

export async function signedIn(world: World, count: number, prefix = 'user'): Promise<Browser[]> {
  return inParallel(count, 20, async (index) => {
    const browser = world.browser()
    const { status } = await browser.post(`/login?user=${prefix}${index}`)
    if (status !== 200) throw new Error(`a sign-in was answered ${status}`)
    return browser
  })
}
