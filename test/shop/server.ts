import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { dist } from '../dist.js'
import { output, root } from '../run.js'

const SHOP = join(root, 'examples/shop')

export interface Running {
  readonly url: string
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  printed(): string
}

let built: Promise<unknown> | undefined

/** The shop as `npm start` runs it, on a port of its own. */
export async function spawnServer(
  dataDir: string,
  env: Record<string, string> = {},
  node: string = process.execPath,
): Promise<Running> {
  built ??= dist().then(() =>
    output(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', SHOP]),
  )
  await built
  const { PATH = '' } = process.env
  const child = spawn(node, [join(SHOP, 'dist/server.js')], {
    cwd: dataDir,
    env: { PATH, PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'silent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  }
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    ended,
    printed: () => text,
    get url() {
      return `http://localhost:${/localhost:(\d+)/.exec(text)?.[1]}`
    },
  }
}

/** The same, when it has said that it is open. */
export async function startServer(
  dataDir: string,
  env: Record<string, string> = {},
  node?: string,
): Promise<Running> {
  const server = await spawnServer(dataDir, env, node)
  const stopped = server.ended.then(() => {
    throw new Error(`the shop did not start:\n${server.printed()}`)
  })
  stopped.catch(() => {})
  while (!server.printed().includes('is open at')) await Promise.race([pause(20), stopped])
  return server
}
