import type { TestContext } from 'vitest'

/**
 * Reports a part of the tests whose server, browser or runtime is missing on this machine. The line is printed again
 * at the end of the run. Under `CI=true` it is a failure: there the machine is ours to complete.
 *
 * With the context of a running test, that test ends here and counts as skipped.
 */
export function notRun(what: string, why: string, context: TestContext): never
export function notRun(what: string, why: string): void
export function notRun(what: string, why: string, context?: TestContext): void {
  const line = `not run: ${what}: ${why}`.replaceAll(/\s*\n\s*/g, ' ')
  if (process.env.CI === 'true') throw new Error(line)
  console.log(line)
  context?.skip(line)
}
