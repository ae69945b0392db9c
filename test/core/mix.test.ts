import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { anySeed } from '../../src/conformance/random.js'
import { runMix } from './mix/run.js'
import { takeTime, type VirtualTime } from './mix/virtual-time.js'

const seed = Number(process.env.STAYKEPT_SEED ?? anySeed())
const runs = Number(process.env.STAYKEPT_RUNS ?? (process.env.CI === 'true' ? 100_000 : 20_000))

let time: VirtualTime
beforeAll(() => {
  // Each run has instances of its own, and each of them would warn.
  vi.spyOn(process, 'emitWarning').mockReturnValue()
  time = takeTime()
})
afterAll(() => {
  time.restore()
  vi.restoreAllMocks()
})

test(`keeps every promise in ${runs} random mixes of requests and faults, seed ${seed}`, async () => {
  for (let run = 0; run < runs; run += 1) {
    const { broken, story } = await runMix(seed + run, time)
    if (broken.length === 0) continue
    expect.fail(
      `${broken.join('\n')}\nPlay it again: STAYKEPT_SEED=${seed + run} STAYKEPT_RUNS=1\n${story.join('\n')}`,
    )
  }
}, 600_000)
