import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Breaker, createBreaker } from '../../src/core/breaker.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const BUDGET = 1000
const down = new Error('down')

/** A breaker whose probes go the way of `store.is`, and what became of it. */
function withStore(): {
  breaker: Breaker
  store: { is: 'up' | 'rejecting' | 'silent' }
  states: string[]
  probes: number[]
  reconnects: number[]
  reject(times?: number): void
  ignore(times?: number): void
} {
  const store: { is: 'up' | 'rejecting' | 'silent' } = { is: 'up' }
  const states: string[] = []
  const probes: number[] = []
  const reconnects: number[] = []
  const breaker = createBreaker({
    storeBudget: BUDGET,
    onChange: ({ state }) => states.push(state),
    async probe() {
      probes.push(performance.now())
      const sentAt = breaker.answers
      if (store.is === 'silent') {
        await new Promise((resolve) => setTimeout(resolve, BUDGET))
        breaker.failed(sentAt, { kind: 'unanswered', error: down })
      }
      if (store.is !== 'up') throw down
      breaker.isThere()
    },
    reconnect: () => {
      reconnects.push(performance.now())
    },
  })
  const fail = (kind: 'rejected' | 'unanswered', times: number): void => {
    const sentAt = breaker.answers
    for (let time = 0; time < times; time += 1) breaker.failed(sentAt, { kind, error: down })
  }
  return {
    breaker,
    store,
    states,
    probes,
    reconnects,
    reject: (times = 1) => fail('rejected', times),
    ignore: (times = 1) => fail('unanswered', times),
  }
}

describe('the breaker opens', () => {
  test('after five calls in a row that nobody answered', () => {
    const { breaker, states, ignore } = withStore()
    ignore(4)
    expect([breaker.isClosed, breaker.admits()]).toEqual([true, true])
    ignore()
    expect([breaker.isClosed, breaker.admits(), breaker.cause]).toEqual([false, false, down])
    expect(states).toEqual(['open'])
  })

  test('after five rejections in a row, once they have gone on for half a second', () => {
    const { states, reject } = withStore()
    reject(3)
    vi.advanceTimersByTime(499)
    reject(2)
    expect(states).toEqual([])
    vi.advanceTimersByTime(1)
    reject()
    expect(states).toEqual(['open'])
  })

  test('not for a burst, as when one connection breaks under fifty calls', () => {
    const { states, reject } = withStore()
    reject(50)
    vi.advanceTimersByTime(10_000)
    expect(states).toEqual([])
  })

  test('not where one call was answered between', () => {
    const { breaker, states, reject, ignore } = withStore()
    for (let turn = 0; turn < 20; turn += 1) {
      ignore(4)
      reject(4)
      breaker.answered()
      vi.advanceTimersByTime(600)
    }
    expect(states).toEqual([])
  })

  test('though the store answers, where it does so for nothing but probes', async () => {
    const { states, probes, ignore } = withStore()
    for (let turn = 0; turn < 5; turn += 1) {
      ignore()
      await vi.advanceTimersByTimeAsync(1000)
    }
    expect(probes.length).toBeGreaterThanOrEqual(5)
    expect(states[0]).toBe('open')
  })

  test('not for calls that were sent before the latest answer', () => {
    const { breaker, states } = withStore()
    const sentAt = breaker.answers
    breaker.answered()
    for (let time = 0; time < 50; time += 1) {
      breaker.failed(sentAt, { kind: 'unanswered', error: down })
    }
    expect(states).toEqual([])
  })
})

describe('an open breaker', () => {
  test('asks soon, then about once a second, one question at a time', async () => {
    const { store, probes, ignore } = withStore()
    store.is = 'rejecting'
    ignore(5)
    const opened = performance.now()
    await vi.advanceTimersByTimeAsync(60_000)
    expect((probes[0] as number) - opened).toBeGreaterThanOrEqual(100)
    expect((probes[0] as number) - opened).toBeLessThanOrEqual(300)
    expect(probes.length).toBeGreaterThan(45)
    expect(probes.length).toBeLessThan(75)
    expect(vi.getTimerCount()).toBe(1)
  })

  test('waits for a probe that nobody answers, and sends no second meanwhile', async () => {
    const { store, probes, ignore } = withStore()
    store.is = 'silent'
    ignore(5)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(probes.length).toBeGreaterThan(40)
    for (const [index, at] of probes.slice(1).entries()) {
      expect(at - (probes[index] as number)).toBeGreaterThanOrEqual(BUDGET)
    }
  })

  test('does not ask in step with that of another process', async () => {
    const processes = Array.from({ length: 20 }, withStore)
    for (const { store, ignore } of processes) {
      store.is = 'rejecting'
      ignore(5)
    }
    await vi.advanceTimersByTimeAsync(10_000)
    const firsts = processes.map(({ probes }) => Math.round(probes[0] as number))
    const fifths = processes.map(({ probes }) => Math.round(probes[4] as number))
    expect(new Set(firsts).size).toBeGreaterThan(10)
    expect(Math.max(...fifths) - Math.min(...fifths)).toBeGreaterThan(200)
  })

  test('is half-open from the first answer on, whoever asked', async () => {
    const { breaker, states, ignore } = withStore()
    ignore(5)
    breaker.answered()
    expect(states).toEqual(['open', 'half-open'])
    expect(breaker.admits()).toBe(true)
  })

  test('asks until it is closed for good, and never afterwards', async () => {
    const { breaker, store, states, probes, ignore } = withStore()
    store.is = 'rejecting'
    ignore(5)
    await vi.advanceTimersByTimeAsync(5000)
    breaker.close()
    const { length } = probes
    ignore(50)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(probes).toHaveLength(length)
    expect(states).toEqual(['open'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('closed while a probe is under way, it asks no more', async () => {
    const { breaker, store, probes, ignore } = withStore()
    store.is = 'silent'
    ignore(5)
    await vi.advanceTimersByTimeAsync(500)
    expect(probes).toHaveLength(1)
    breaker.close()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(probes).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a half-open breaker', () => {
  async function halfOpen(): Promise<ReturnType<typeof withStore>> {
    const parts = withStore()
    parts.ignore(5)
    await vi.advanceTimersByTimeAsync(300)
    expect(parts.states).toEqual(['open', 'half-open'])
    return parts
  }

  test('lets sixteen calls through, and two more for each answer', async () => {
    const { breaker } = await halfOpen()
    const admitted = (): number => {
      let count = 0
      while (count < 100 && breaker.admits()) count += 1
      return count
    }
    expect(admitted()).toBe(16)
    for (let time = 0; time < 5; time += 1) breaker.answered()
    expect(admitted()).toBe(10)
    expect(admitted()).toBe(0)
  })

  test('is closed by sixteen answers', async () => {
    const { breaker, states } = await halfOpen()
    for (let time = 0; time < 15; time += 1) breaker.answered()
    expect(breaker.isClosed).toBe(false)
    breaker.answered()
    expect(breaker.isClosed).toBe(true)
    expect(states).toEqual(['open', 'half-open', 'closed'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is closed by time where nobody calls', async () => {
    const { states } = await halfOpen()
    await vi.advanceTimersByTimeAsync(1500)
    expect(states).toEqual(['open', 'half-open', 'closed'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('waits for the calls that it let through, however late they came', async () => {
    const { breaker, states, ignore } = await halfOpen()
    await vi.advanceTimersByTimeAsync(BUDGET)
    expect(breaker.admits()).toBe(true)
    await vi.advanceTimersByTimeAsync(BUDGET)
    expect(states).toEqual(['open', 'half-open'])
    ignore()
    expect(states).toEqual(['open', 'half-open', 'open'])
  })

  test('opens again at the first failure, and then asks less soon', async () => {
    const { breaker, states, probes, ignore } = await halfOpen()
    ignore()
    expect([states.at(-1), breaker.admits()]).toEqual(['open', false])
    const opened = performance.now()
    await vi.advanceTimersByTimeAsync(1500)
    expect(probes).toHaveLength(2)
    expect((probes[1] as number) - opened).toBeGreaterThanOrEqual(500)
  })
})

describe('a store that stays silent', () => {
  test('is asked after the first call that was not answered, and told to reconnect, with no more traffic', async () => {
    const { store, states, probes, reconnects, ignore } = withStore()
    store.is = 'silent'
    ignore()
    await vi.advanceTimersByTimeAsync(3500)
    expect(probes.length).toBeGreaterThanOrEqual(2)
    expect(reconnects).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(5000)
    expect(states).toEqual(['open'])
  })

  test('is no matter any more once it has answered', async () => {
    const { store, states, probes, ignore } = withStore()
    store.is = 'up'
    ignore()
    await vi.advanceTimersByTimeAsync(60_000)
    expect([states, probes.length]).toEqual([[], 1])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is told to reconnect again, every five seconds at most', async () => {
    const { store, reconnects, ignore } = withStore()
    store.is = 'silent'
    ignore(5)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(reconnects.length).toBeGreaterThan(6)
    for (const [index, at] of reconnects.slice(1).entries()) {
      expect(at - (reconnects[index] as number)).toBeGreaterThanOrEqual(5000)
    }
  })

  test('that rejects is left to its own client for some ten seconds', async () => {
    const { store, reconnects, ignore } = withStore()
    store.is = 'rejecting'
    ignore(5)
    const opened = performance.now()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(reconnects.length).toBeGreaterThan(0)
    expect((reconnects[0] as number) - opened).toBeGreaterThan(5000)
  })
})
