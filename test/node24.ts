import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { output, run } from './run.js'

const ready = new Map<string, Promise<string>>()

/**
 * The path of a Node 24 binary, for what Node 20 does not have (`node:sqlite`, better-sqlite3 13). It is unpacked from
 * the registry once into a folder outside the project and kept for later runs; as a dependency it would put its `node`
 * before the user's. Rejects where it cannot be had: pass the message to `notRun`.
 *
 *     const node = await node24().catch((error) => notRun('node:sqlite', error.message, context))
 *     await output(node, [script], { env: { ...process.env, STAYKEPT_DIST: await dist() } })
 */
export async function node24(): Promise<string> {
  return join(await scratchPackage('node', '24'), 'bin/node')
}

/**
 * The folder of a package that is no dependency of the project, installed once outside of it: by npm under this Node,
 * without install scripts (but for `node` itself, whose script fetches nothing and only links its binary).
 */
export function scratchPackage(name: string, range: string): Promise<string> {
  const key = `${name}@${range}`
  let folder = ready.get(key)
  if (!folder) {
    folder = install(name, range)
    ready.set(key, folder)
  }
  return folder
}

async function install(name: string, range: string): Promise<string> {
  const cache = process.env.STAYKEPT_TEST_CACHE ?? join(tmpdir(), `staykept-test-${userId()}`)
  const folder = join(cache, `${name}-${range}`.replaceAll('/', '-'))
  const wanted = join(folder, 'node_modules', name)
  if (await works(name, wanted)) return wanted

  // Installed aside and renamed: test files run in parallel, and a run may be cut off half-way.
  const aside = `${folder}.${process.pid}-${Date.now()}`
  await mkdir(aside, { recursive: true, mode: 0o700 })
  await writeFile(join(aside, 'package.json'), '{ "private": true }\n')
  const scripts = name === 'node' ? [] : ['--ignore-scripts']
  const args = ['install', `${name}@${range}`, '--no-audit', '--no-fund', ...scripts]
  const { code, stderr } = await run('npm', args, { cwd: aside, timeout: 180_000 })
  if (code !== 0) {
    await rm(aside, { recursive: true, force: true })
    const reason =
      stderr.split('\n').find((line) => line.includes('error')) ?? `npm ended with ${code}`
    throw new Error(`${name}@${range} could not be installed: ${reason}`)
  }
  if (!(await works(name, wanted))) {
    await rm(folder, { recursive: true, force: true })
    await rename(aside, folder).catch(() => undefined)
  }
  await rm(aside, { recursive: true, force: true })
  if (!(await works(name, wanted)))
    throw new Error(`${name}@${range} was installed but does not run`)
  return wanted
}

async function works(name: string, folder: string): Promise<boolean> {
  if (name !== 'node') return (await stat(folder).catch(() => undefined))?.isDirectory() === true
  return output(join(folder, 'bin/node'), ['--version']).then(
    (version) => version.startsWith('v24.'),
    () => false,
  )
}

function userId(): number {
  return process.getuid?.() ?? 0
}
