import { join } from 'node:path'
import { output, root } from './run.js'

let built: Promise<string> | undefined

/**
 * The compiled library: `<dist>/index.cjs`, `<dist>/sqlite.cjs` and so on. Built first where it is older than its
 * sources, so a single test file can be run by itself. For child processes; tests import from `src`.
 */
export function dist(): Promise<string> {
  built ??= build()
  return built
}

async function build(): Promise<string> {
  await output(process.execPath, [join(root, 'scripts/build.mjs'), '--if-stale'])
  return join(root, 'dist')
}
