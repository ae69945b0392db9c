/** `npm start`: builds what is out of date and runs the example shop until it is stopped. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './entries.mjs'

const shop = join(root, 'examples/shop')

step([join(root, 'scripts/build.mjs'), '--if-stale'])
step([join(root, 'node_modules/typescript/bin/tsc'), '-p', shop])

const server = spawn(process.execPath, ['--enable-source-maps', 'dist/server.js'], {
  cwd: shop,
  stdio: 'inherit',
})
// A terminal sends Ctrl-C to both processes; any other sender knows only this one.
process.on('SIGINT', () => process.stdin.isTTY || server.kill('SIGINT'))
process.on('SIGTERM', () => server.kill('SIGTERM'))
// npm passes a SIGTERM to the shell between us, which does not pass it on: its going away is the sign.
const shell = process.ppid
setInterval(() => process.ppid === shell || server.kill('SIGTERM'), 250).unref()
server.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal ? 1 : 0)
})

function step(args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
