/**
 * `npm test`: every check there is, one after the other. A check that fails does not keep the others from running.
 * Arguments go to vitest (`npm test -- test/core`). The last line is the total: a check counts as one, like a test.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './entries.mjs'

const bin = (name) => join(root, 'node_modules/.bin', name)
const scratch = mkdtempSync(join(tmpdir(), 'staykept-gate-'))
const summary = join(scratch, 'summary.json')

// Logs are read by people and programs: no colours in them, whatever a tool makes of CI=true.
const colours = process.stdout.isTTY ? {} : { NO_COLOR: '1', FORCE_COLOR: undefined }
const plain = process.stdout.isTTY ? [] : ['--colors=off']

const checks = [
  { name: 'format and lint', run: () => exec(bin('biome'), ['ci', ...plain]) },
  { name: 'build', run: () => exec(process.execPath, [join(root, 'scripts/build.mjs')]) },
  { name: 'types', run: () => exec(bin('tsc'), ['--noEmit']) },
  // The shop sees the built library, as its users do.
  { name: 'types of the shop', run: () => exec(bin('tsc'), ['--noEmit', '-p', 'examples/shop']) },
]

const total = { passed: 0, failed: 0, skipped: 0, notRun: [] }
const failedChecks = []
try {
  for (const { name, run } of checks) {
    console.log(`\n> ${name}`)
    if (run()) total.passed += 1
    else failedChecks.push(name)
  }
  console.log('\n> tests')
  const ok = exec(bin('vitest'), ['run', ...process.argv.slice(2)], { STAYKEPT_SUMMARY: summary })
  const tests = readSummary()
  total.passed += tests.passed
  total.failed += tests.failed
  total.skipped += tests.skipped
  total.notRun = tests.notRun
  if (!ok && tests.failed === 0) failedChecks.push('tests')
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

console.log()
for (const line of total.notRun) console.log(line)
for (const name of failedChecks) console.log(`failed: ${name}`)
total.failed += failedChecks.length
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed === 0 ? 0 : 1

function exec(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...colours, ...env },
    // npm's launchers are .cmd files on Windows.
    shell: process.platform === 'win32',
  })
  return result.status === 0
}

/** A run that broke before its end leaves no summary. */
function readSummary() {
  try {
    return JSON.parse(readFileSync(summary, 'utf8'))
  } catch {
    return { passed: 0, failed: 0, skipped: 0, notRun: [] }
  }
}
