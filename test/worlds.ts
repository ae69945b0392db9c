import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import incumbentSession from 'express-session'
import { type SessionOptions, type SessionStore, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { onTestFinished } from 'vitest'
import { dist } from './dist.js'
import { type Client, createClient, createJar, type Jar, serve } from './http.js'
import { createApp } from './processes/app.cjs'
import { root } from './run.js'
import type { Settings, StoreRig } from './stores/rig.js'

/** The application of processes/app.cjs, running somewhere. */
export interface World {
  readonly name: string
  /** One for each process. */
  readonly urls: readonly string[]
  /** A browser whose requests go round the processes, unless they are sent to `at(index)`. */
  browser(jar?: Jar): Browser
  close(): Promise<void>
}

export interface Browser extends Client {
  /** The same browser, talking to one process. */
  at(index: number): Client
}

export const SECRET = 'a secret of more than thirty-two characters'

/** One process, this one, with the default store. */
export async function memoryWorld(
  options: Partial<SessionOptions> = {},
  store: SessionStore = memoryStore(),
): Promise<World> {
  const sessions = session({ secret: SECRET, store, ...options })
  const { url, close } = await serve(createApp(sessions))
  return world('memory, one process', [url], async () => {
    await close()
    await sessions.close()
  })
}

/** express-session with its own MemoryStore: shows that a workload can break something. */
export async function incumbentWorld(
  store: incumbentSession.Store = new incumbentSession.MemoryStore(),
): Promise<World> {
  const middleware = incumbentSession({
    secret: SECRET,
    resave: false,
    saveUninitialized: false,
    store,
  })
  const { url, close } = await serve(createApp(middleware, { isIncumbent: true }))
  return world('express-session', [url], close)
}

export interface EndedEvent {
  readonly id: string
  readonly reason: string
  /** Milliseconds since 1970, with fractions. */
  readonly at: number
}

export interface ProcessSettings {
  /** Milliseconds by which the clock of the process is wrong. */
  readonly clockError?: number
  /** Milliseconds that the store is away. */
  readonly storeDelay?: number
  /** Settings of its own on the way to the store. */
  readonly place?: Settings
  /** Is handed the `ended` events of this process, each with the time at which it came. */
  readonly onEnded?: (event: EndedEvent) => void
  /** Options of `session()`, as far as JSON has them. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** Several processes on one place of a store. */
export async function processWorld(
  rig: StoreRig,
  settings: readonly ProcessSettings[] = [{}, {}],
): Promise<World> {
  const place = await rig.prepare()
  const children: ChildProcess[] = []
  const close = async (): Promise<void> => {
    await Promise.all(children.map(stop))
    await place.remove?.()
  }
  const urls: string[] = []
  try {
    for (const one of settings) {
      const { onEnded, ...rest } = one
      const { child, message } = await start('main.cjs', {
        dist: await dist(),
        opener: rig.opener,
        ...rest,
        place: { ...place.settings, ...one.place },
        options: { nearCache: rig.isNear === true, ...one.options },
        tellsEnds: onEnded !== undefined,
      })
      children.push(child)
      child.on('message', (event) => onEnded?.(event as never))
      urls.push(`http://127.0.0.1:${(message as { port: number }).port}`)
    }
  } catch (error) {
    await close()
    throw error
  }
  return world(`${rig.name}, ${settings.length} processes`, urls, close)
}

/** Starts a program of test/processes and waits for its first message. */
export async function start(
  program: string,
  settings: object,
): Promise<{ child: ChildProcess; message: unknown }> {
  const child = fork(join(root, 'test/processes', program), [JSON.stringify(settings)], {
    execArgv: ['--expose-gc'],
  })
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${program} ended with ${code} before it was ready`)
    }),
  ])
  return { child, message }
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** Somebody who asks a server that does nothing, to tell a slow machine from a slow application. */
export async function bystander(): Promise<Client> {
  const { child, message } = await start('bystander.cjs', {})
  onTestFinished(() => stop(child))
  return createClient(`http://127.0.0.1:${(message as { port: number }).port}`)
}

function world(name: string, urls: readonly string[], close: () => Promise<void>): World {
  let turn = 0
  return {
    name,
    urls,
    browser(jar = createJar()) {
      const clients = urls.map((url) => createClient(url, jar))
      const next = (): Client => clients[turn++ % clients.length] as Client
      return {
        jar,
        at: (index) => clients[index] as Client,
        request: (path, init) => next().request(path, init),
        get: (path, init) => next().get(path, init),
        post: (path, init) => next().post(path, init),
      }
    },
    close,
  }
}

/** Runs `count` jobs, `parallel` of them at a time. */
export async function inParallel<T>(
  count: number,
  parallel: number,
  job: (index: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++
      results[index] = await job(index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker))
  return results
}

export function count<T>(values: readonly T[], isOne: (value: T) => boolean): number {
  return values.filter(isOne).length
}
