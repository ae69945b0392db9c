import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { mutatedCore, mutations, nearCacheMutations, revivingStore } from './mix/mutants.js'
import { type MixOptions, runMix } from './mix/run.js'
import { takeTime, type VirtualTime } from './mix/virtual-time.js'

/** Always the same: the rarest of them is found once in some thousand runs, and must not be missed by bad luck. */
const SEED = 1
const RUNS = 30_000

let time: VirtualTime
beforeAll(() => {
  vi.spyOn(process, 'emitWarning').mockReturnValue()
  time = takeTime()
})
afterAll(() => {
  time.restore()
  vi.restoreAllMocks()
})

async function runsUntilBroken(options: MixOptions): Promise<number> {
  for (let run = 1; run <= RUNS; run += 1) {
    const { broken } = await runMix(SEED + run, time, options)
    if (broken.length > 0) return run
  }
  return Number.POSITIVE_INFINITY
}

describe('the random mix finds out that', () => {
  for (const [mistake, mutation] of Object.entries(mutations)) {
    test(mistake, async () => {
      expect(
        await runsUntilBroken({ core: await mutatedCore(mutation), nearCache: false }),
      ).toBeLessThan(RUNS)
    }, 120_000)
  }

  for (const [mistake, mutation] of Object.entries(nearCacheMutations)) {
    test(mistake, async () => {
      const mutant = { core: await mutatedCore(mutation), nearCache: true }
      expect(await runsUntilBroken(mutant)).toBeLessThan(RUNS)
    }, 120_000)
  }

  test('the store creates on update', async () => {
    expect(await runsUntilBroken({ breakStore: revivingStore })).toBeLessThan(RUNS)
  }, 120_000)
})
