import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { inject } from 'vitest'
import type { TestProject } from 'vitest/node'

/**
 * One server of each kind for a whole run, started when the first test asks for it. Tests keep apart by names of their
 * own (a prefix, a schema); one that stops or fills its server starts its own instead.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = new Map<string, Promise<SharedServer>>()
  const desk = http.createServer(async (req, res) => {
    const name = (req.url ?? '').slice(1)
    // One that is kept open may be closed in the instant in which a test asks again.
    res.setHeader('connection', 'close')
    try {
      let server = started.get(name)
      if (server === undefined) {
        server = startByName(name)
        started.set(name, server)
      }
      const { close: _, ...told } = await server
      res.end(JSON.stringify(told))
    } catch (error) {
      res.statusCode = 500
      res.end(String((error as Error).stack))
    }
  })
  await new Promise<void>((resolve) => desk.listen(0, '127.0.0.1', resolve))
  project.provide('servers', `http://127.0.0.1:${(desk.address() as AddressInfo).port}`)
  return async function tearDown() {
    desk.close()
    desk.closeAllConnections()
    for (const server of started.values()) await (await server.catch(() => undefined))?.close()
  }
}

/** What tests are told of a shared server. It survives JSON. */
export interface SharedServer {
  readonly port: number
  close(): Promise<void>
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: string
  }
}

async function startByName(name: string): Promise<SharedServer> {
  if (!/^\w+$/.test(name)) throw new Error(`no server is called '${name}'`)
  const { start } = (await import(/* @vite-ignore */ `./${name}.ts`)) as {
    start(): Promise<SharedServer>
  }
  return start()
}

/** The shared server that `test/servers/<name>.ts` starts. */
export async function sharedServer(name: string): Promise<Omit<SharedServer, 'close'>> {
  const answer = await fetch(`${inject('servers')}/${name}`)
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return JSON.parse(text)
}
