import { join } from 'node:path'
import type { DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import { type ServerProcess, startServer } from './process.js'

/** The double of dynamodb-double.cjs in a process of its own. */
export function start(year?: 'before-2023'): Promise<ServerProcess> {
  return startServer({
    command: process.execPath,
    args: ({ port }) => [
      join(import.meta.dirname, 'dynamodb-double.cjs'),
      String(port),
      ...(year === undefined ? [] : [year]),
    ],
    isReady: async ({ port }) => (await fetch(`http://127.0.0.1:${port}/`)).ok,
  })
}

export function configOf(port: number): DynamoDBClientConfig {
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  return { endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', credentials }
}

export interface Wishes {
  /** The kind of change whose next replies are lost, after it was executed. */
  readonly cut?: string
  /** How many of them. */
  readonly times?: number
  /** Errors by command. */
  readonly refuse?: Readonly<Record<string, { type: string; message: string; status: number }>>
}

export interface Told {
  readonly executed: Readonly<Record<string, number>>
  /** How often each command came, executed or not. */
  readonly asked: Readonly<Record<string, number>>
}

/** What the double counts, after setting what it is asked to do. */
export async function wish(port: number, set: Wishes = {}): Promise<Told> {
  const answer = await fetch(`http://127.0.0.1:${port}/wish`, {
    method: 'POST',
    body: JSON.stringify(set),
  })
  return (await answer.json()) as Told
}
