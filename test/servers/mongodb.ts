import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { type ServerProcess, startServer } from './process.js'

/** The double of mongodb-double.mjs in a process of its own, so that tests can stop and kill it. */
export function start(
  kind: 'replica-set' | 'standalone' = 'replica-set',
  port?: number,
): Promise<ServerProcess> {
  return startServer({
    ...(port === undefined ? {} : { port }),
    command: process.execPath,
    args: (place) => [
      join(import.meta.dirname, 'mongodb-double.mjs'),
      ...[String(place.port), kind],
    ],
    isReady: async (place) => {
      await ask(urlOf(place.port), { ping: 1 })
      return true
    },
  })
}

export function urlOf(port: number): string {
  return `mongodb://127.0.0.1:${port}/`
}

/** One command over a connection of its own. */
export async function ask(url: string, command: object, database = 'admin'): Promise<object> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 1000 })
  try {
    return await client.db(database).command(command)
  } finally {
    await client.close()
  }
}

/** What the double counts and has seen, after setting what it is asked to do; see mongodb-double.mjs. */
export async function wish(url: string, set: Wishes = {}): Promise<Told> {
  return (await ask(url, { wish: 1, set })) as Told
}

export interface Wishes {
  /** Errors by command. */
  readonly refuse?: Readonly<Record<string, object>>
  /** The kind of change whose next reply is lost, after it was executed. */
  readonly cut?: string
  /** The write concern error that every change is answered with. */
  readonly unconfirmed?: object | undefined
  readonly seen?: readonly []
}

export interface Told {
  readonly executed: Readonly<Record<string, number>>
  readonly seen: readonly {
    readonly name: string
    readonly command: Readonly<Record<string, unknown>>
  }[]
}
