import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A real server on a free loopback port, with its files in a folder of its own. Tests may do to it what outages do. */
export interface ServerProcess {
  readonly port: number
  readonly folder: string
  readonly pid: number
  /** What it printed so far. */
  output(): string
  /** `kill -9`. Its files stay. */
  kill(): Promise<void>
  /** SIGSTOP: it is there, and answers nothing. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** Starts it again, on the same port and files. */
  restart(): Promise<void>
  /** Ends it for good and removes its files. */
  close(): Promise<void>
}

export interface ServerRecipe {
  readonly command: string
  readonly port?: number
  args(server: { readonly port: number; readonly folder: string }): readonly string[]
  /** Whether it takes requests. Asked every few milliseconds, and may throw for "not yet". */
  isReady(server: { readonly port: number; readonly folder: string }): Promise<boolean>
  /** Once, before the first start. */
  prepare?(server: { readonly port: number; readonly folder: string }): void | Promise<void>
  /** Some servers do not run as root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
  /** Milliseconds until a start counts as failed. */
  readonly patience?: number
}

const running = new Set<ChildProcess>()
const folders = new Set<string>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

export async function startServer(recipe: ServerRecipe): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'staykept-server-'))
  folders.add(folder)
  const port = recipe.port ?? (await freePort())
  const place = { port, folder }
  let child: ChildProcess
  let printed = ''

  async function start(): Promise<void> {
    printed = ''
    child = spawn(recipe.command, recipe.args(place), {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...recipe.user,
    })
    const started = child
    running.add(started)
    for (const stream of [started.stdout, started.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        printed = (printed + text).slice(-20_000)
      })
    }
    started.once('exit', () => running.delete(started))
    let failure: unknown
    started.once('error', (error) => {
      failure = error
    })
    const end = performance.now() + (recipe.patience ?? 30_000)
    while (!(await recipe.isReady(place).catch(() => false))) {
      const isGone = started.exitCode !== null || started.signalCode !== null
      if (failure !== undefined || isGone || performance.now() > end) {
        started.kill('SIGKILL')
        throw new Error(`${recipe.command} did not start: ${String(failure ?? '')}\n${printed}`)
      }
      await sleep(10)
    }
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  await recipe.prepare?.(place)
  await start()

  return {
    ...place,
    get pid() {
      return child.pid as number
    },
    output: () => printed,
    kill,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async restart() {
      await kill()
      await start()
    },
    async close() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
      folders.delete(folder)
    },
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Why a program cannot be run here; `undefined` where it can. */
export function missingProgram(command: string): string | undefined {
  const { error } = spawnSync(command, ['--version'], { stdio: 'ignore' })
  return error === undefined ? undefined : `${command} is not installed`
}
