import { type ConformanceOptions, testSessionStore } from '../../src/conformance.js'

/** What became of the tests of a kit, by title. */
export interface KitResult {
  readonly passed: readonly string[]
  readonly skipped: readonly string[]
  readonly failed: ReadonlyMap<string, Error>
}

/** Runs the kit as a runner would, one test after the other, and says how each ended. */
export async function runKit(
  open: ConformanceOptions['open'],
  { seed = 1, only = () => true }: { seed?: number; only?: (title: string) => boolean } = {},
): Promise<KitResult> {
  const tests: { title: string; run: (context: unknown) => Promise<void> }[] = []
  testSessionStore({
    open,
    seed,
    test: (title, run) => tests.push({ title, run: run as (context: unknown) => Promise<void> }),
  })
  const result = {
    passed: [] as string[],
    skipped: [] as string[],
    failed: new Map<string, Error>(),
  }
  for (const { title, run } of tests.filter((test) => only(test.title))) {
    let skipped = false
    const context = {
      skip: () => {
        skipped = true
      },
    }
    try {
      await run(context)
      result[skipped ? 'skipped' : 'passed'].push(title)
    } catch (error) {
      result.failed.set(title, error as Error)
    }
  }
  return result
}
