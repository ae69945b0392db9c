import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SessionStore, StoreKey } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore } from '../../src/testing.js'
import { codeOf, createJar, createProcess, type Process } from './process.js'
import { newSession } from './scene.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const BUDGET = 1000
const KEY = 'key' as StoreKey

function withStore(store: SessionStore = memoryStore()): {
  faulty: ReturnType<typeof faultyStore>
  process: Process
  states: string[]
  load(milliseconds?: number): Promise<string>
} {
  const faulty = faultyStore(store)
  const process = createProcess(faulty.store)
  const states: string[] = []
  process.manager.on('breaker', ({ state }) => states.push(state))
  return {
    faulty,
    process,
    states,
    load: (milliseconds = BUDGET) =>
      codeOf(
        Promise.resolve().then(() =>
          process.engine.callStore('load', milliseconds, (target) => target.load(KEY, 0)),
        ),
      ),
  }
}

describe('a load that was not answered', () => {
  test('counts where it had half of the budget or more', async () => {
    const { faulty, states, load } = withStore()
    faulty.hang()
    const loads = Promise.all(Array.from({ length: 5 }, () => load(BUDGET / 2)))
    await vi.advanceTimersByTimeAsync(BUDGET / 2 + 1)
    await loads
    expect(states).toEqual(['open'])
  })

  test('does not with less: it may have met a store that is merely slow', async () => {
    const { faulty, states, load } = withStore()
    faulty.hang()
    const loads = Promise.all(Array.from({ length: 50 }, () => load(BUDGET / 2 - 1)))
    await vi.advanceTimersByTimeAsync(BUDGET / 2)
    expect(new Set(await loads)).toEqual(new Set(['ERR_SESSION_STORE']))
    expect(states).toEqual([])
  })
})

describe('a change that was not answered', () => {
  test('has the store asked, and a store that hangs for everything is found by that', async () => {
    const { faulty, process, states } = withStore()
    faulty.hang()
    const signIn = codeOf(process.handle(createJar(), (session) => session.signIn('u1')))
    await vi.advanceTimersByTimeAsync(BUDGET + 1)
    expect(await signIn).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    expect([faulty.calls.ping, states]).toEqual([0, []])
    await vi.advanceTimersByTimeAsync(300)
    expect(faulty.calls.ping).toBe(1)
    await vi.advanceTimersByTimeAsync(10 * BUDGET)
    expect(states).toEqual(['open'])
    await process.manager.close()
  })

  test('is forgotten where the store answers', async () => {
    const { faulty, process, states } = withStore()
    faulty.hang({ methods: ['create'] })
    for (let turn = 0; turn < 20; turn += 1) {
      const signIn = codeOf(process.handle(createJar(), (session) => session.signIn('u1')))
      await vi.advanceTimersByTimeAsync(BUDGET + 500)
      expect(await signIn).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    }
    expect(states).toEqual([])
    expect(faulty.calls.ping).toBeGreaterThan(0)
    await process.manager.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('and surely was not made leaves nothing to delete', async () => {
    const { faulty, process } = withStore()
    faulty.refuse('full', { methods: ['create'] })
    const signIn = process.handle(createJar(), (session) => session.signIn('u1'))
    expect(await codeOf(signIn)).toBe('ERR_SESSION_STORE_FULL')
    expect(faulty.calls.delete).toBe(0)
  })
})

test('who calls the store from a listener does no harm', async () => {
  const { faulty, process, states, load } = withStore()
  const answers: Promise<string>[] = []
  process.manager.on('breaker', () => {
    for (let time = 0; time < 40; time += 1) answers.push(load())
  })
  faulty.hang()
  const loads = Promise.all(Array.from({ length: 5 }, () => load()))
  await vi.advanceTimersByTimeAsync(BUDGET + 1)
  await loads
  const healed = faulty.heal('never')
  await vi.advanceTimersByTimeAsync(5000)
  await healed
  await Promise.all(answers)
  expect(states).toEqual(['open', 'half-open', 'closed'])
  expect(vi.getTimerCount()).toBe(0)
})

test('a healthy store is asked nothing beside the calls', async () => {
  const { faulty, process, states } = withStore()
  const cookie = await newSession(process, { n: 1 }, 'u1')
  faulty.reset()
  for (let time = 0; time < 1000; time += 1) await process.request(createJar(cookie))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(faulty.total).toBe(1000)
  expect([faulty.calls.load, states]).toEqual([1000, []])
  expect(vi.getTimerCount()).toBe(0)
})

test('a store that is back meets no flood of the clients that waited, though they ask in step (F21)', async () => {
  const CLIENTS = 200
  const THINKING = 1000
  const { faulty, process } = withStore()
  const cookies: string[] = []
  for (let user = 0; user < 100; user += 1) {
    cookies.push(await newSession(process, { n: 1 }, `u${user}`))
  }
  // The store takes two milliseconds for an answer, and each client asks again a second after it got its own.
  const pace = (): void => faulty.slow(2)
  pace()
  let isOver = false
  let answered = 0
  let late = 0
  let longest = 0
  async function client(index: number): Promise<void> {
    while (!isOver) {
      const began = performance.now()
      const jar = createJar(cookies[index % cookies.length] as string)
      const outcome = await codeOf(process.request(jar))
      longest = Math.max(longest, performance.now() - began)
      if (outcome === 'ok') answered += 1
      else late += 1
      await new Promise((resolve) => setTimeout(resolve, THINKING))
    }
  }
  const clients = Array.from({ length: CLIENTS }, (_, index) => client(index))
  const during = async (
    milliseconds: number,
  ): Promise<{ calls: number; answered: number; late: number }> => {
    const before = { calls: faulty.total, answered, late }
    longest = 0
    await vi.advanceTimersByTimeAsync(milliseconds)
    return {
      calls: faulty.total - before.calls,
      answered: answered - before.answered,
      late: late - before.late,
    }
  }
  await during(2000)
  const steady = await during(1000)
  expect(steady.late).toBe(0)

  faulty.hang()
  await during(3000)
  const down = await during(10_000)
  // Some ten questions whether it answers, and no load.
  expect(down.calls).toBeLessThan(20)
  expect(longest).toBeLessThan(20)

  const healed = faulty.heal('never')
  pace()
  const seconds = []
  for (let second = 0; second < 5; second += 1) seconds.push(await during(1000))
  await healed
  for (const { calls } of seconds) expect(calls).toBeLessThan(3 * steady.calls)
  expect(seconds.at(-1)?.late).toBe(0)
  expect(seconds.at(-1)?.answered).toBeGreaterThan(0.9 * CLIENTS)
  isOver = true
  await vi.advanceTimersByTimeAsync(2000)
  await Promise.all(clients)
  await process.manager.close()
})
