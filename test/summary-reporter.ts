import { writeFileSync } from 'node:fs'
import type { Reporter } from 'vitest/node'

/**
 * Ends a run with the parts that were not run and one line of totals. Under `npm test` both go to the file named by
 * `STAYKEPT_SUMMARY`, and scripts/gate.mjs prints them after everything else.
 */
export function summary(): Reporter {
  const notRun = new Set<string>()

  return {
    onUserConsoleLog(log) {
      for (const line of log.content.split('\n')) {
        if (line.startsWith('not run: ')) notRun.add(line)
      }
    },

    onTestRunEnd(modules, unhandledErrors) {
      const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
      for (const module of modules) {
        const tests = [...module.children.allTests()]
        // A file that could not be loaded has no tests: it counts as one failure.
        if (
          module.state() === 'failed' &&
          !tests.some((test) => test.result().state === 'failed')
        ) {
          counts.failed += 1
        }
        for (const test of tests) {
          const { state } = test.result()
          if (state !== 'pending') counts[state] += 1
        }
      }
      const file = process.env.STAYKEPT_SUMMARY
      if (file) {
        writeFileSync(file, JSON.stringify({ ...counts, notRun: [...notRun] }))
        return
      }
      for (const line of notRun) console.log(line)
      console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
    },
  }
}
