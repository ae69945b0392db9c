import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Budget, within } from '../../src/core/budget.js'
import { createLoads } from '../../src/core/loads.js'
import type { SessionRecord, StoreKey } from '../../src/core/store.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

describe('a budget', () => {
  test('is used up by waiting', async () => {
    const budget = new Budget(1000)
    const waiting = budget.spend(wait(400))
    await vi.advanceTimersByTimeAsync(300)
    expect(budget.left()).toBe(700)
    await vi.advanceTimersByTimeAsync(100)
    await waiting
    expect(budget.left()).toBe(600)
  })

  test('is never less than nothing', async () => {
    const budget = new Budget(1000)
    void budget.spend(wait(5000))
    await vi.advanceTimersByTimeAsync(3000)
    expect(budget.left()).toBe(0)
  })

  test('counts two waits at once as one', async () => {
    const budget = new Budget(1000)
    void budget.spend(wait(400))
    void budget.spend(wait(400))
    await vi.advanceTimersByTimeAsync(400)
    expect(budget.left()).toBe(600)
  })

  test('comes back while nothing is waited for, and never becomes more', async () => {
    const budget = new Budget(1000)
    void budget.spend(wait(800))
    await vi.advanceTimersByTimeAsync(800)
    expect(budget.left()).toBe(200)
    await vi.advanceTimersByTimeAsync(500)
    expect(budget.left()).toBe(700)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(budget.left()).toBe(1000)
  })

  test('is used up by a wait that fails, too, and passes the failure on', async () => {
    const budget = new Budget(1000)
    const failing = wait(300).then(() => Promise.reject(new Error('down')))
    const outcome = expect(budget.spend(failing)).rejects.toThrow('down')
    await vi.advanceTimersByTimeAsync(300)
    await outcome
    expect(budget.left()).toBe(700)
  })
})

describe('an answer that is waited for', () => {
  test('comes as it is, if it comes in time', async () => {
    const answer = within(
      1000,
      wait(999).then(() => 'answer'),
      () => new Error('late'),
    )
    await vi.advanceTimersByTimeAsync(999)
    expect(await answer).toBe('answer')
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is given up after so many milliseconds, and comes to nothing afterwards', async () => {
    const answer = within(1000, wait(1001), () => new Error('late'))
    const outcome = expect(answer).rejects.toThrow('late')
    await vi.advanceTimersByTimeAsync(2000)
    await outcome
  })

  test('that fails late is nobody else’s trouble', async () => {
    const failing = wait(1001).then(() => Promise.reject(new Error('after all')))
    const outcome = expect(within(1000, failing, () => new Error('late'))).rejects.toThrow('late')
    await vi.advanceTimersByTimeAsync(2000)
    await outcome
  })
})

describe('loads of one key', () => {
  const KEY = 'key' as StoreKey
  const record = (version: string): SessionRecord => ({ version }) as SessionRecord

  /** Loads by hand: each that is sent waits in `sent` for its answer. */
  function byHand(): {
    loads: ReturnType<typeof createLoads>
    sent: { resolve(record?: SessionRecord): void; reject(error: Error): void }[]
  } {
    const sent: ReturnType<typeof byHand>['sent'] = []
    const loads = createLoads(
      1000,
      () => new Promise((resolve, reject) => void sent.push({ resolve, reject })),
    )
    return { loads, sent }
  }

  test('are shared while they wait to be sent, and never afterwards', async () => {
    const { loads, sent } = byHand()
    const first = loads.load(KEY, 0)
    const second = loads.load(KEY, 0)
    const third = loads.load(KEY, 0)
    expect(sent).toHaveLength(1)
    sent[0]?.resolve(record('1'))
    expect(await first).toEqual(record('1'))
    await vi.advanceTimersByTimeAsync(0)
    expect(sent).toHaveLength(2)
    const fourth = loads.load(KEY, 0)
    sent[1]?.resolve(record('2'))
    expect(await Promise.all([second, third])).toEqual([record('2'), record('2')])
    await vi.advanceTimersByTimeAsync(0)
    sent[2]?.resolve(record('3'))
    expect(await fourth).toEqual(record('3'))
    void loads.load(KEY, 0)
    expect(sent).toHaveLength(4)
  })

  test('of other keys do not wait', () => {
    const { loads, sent } = byHand()
    void loads.load(KEY, 0)
    void loads.load('other' as StoreKey, 0)
    expect(sent).toHaveLength(2)
  })

  test('that fail do not fail the one behind them', async () => {
    const { loads, sent } = byHand()
    const first = Promise.resolve(loads.load(KEY, 0))
    const outcome = expect(first).rejects.toThrow('down')
    const second = loads.load(KEY, 0)
    sent[0]?.reject(new Error('down'))
    await outcome
    await vi.advanceTimersByTimeAsync(0)
    sent[1]?.resolve(record('2'))
    expect(await second).toEqual(record('2'))
  })

  test('wait behind one that hangs for a budget at most', async () => {
    const { loads } = byHand()
    void loads.load(KEY, 0)
    const outcome = expect(loads.load(KEY, 0)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    await vi.advanceTimersByTimeAsync(1001)
    await outcome
  })

  test('are answered at once by a store that answers at once', () => {
    const loads = createLoads(1000, () => record('1'))
    expect(loads.load(KEY, 0)).toEqual(record('1'))
    expect(vi.getTimerCount()).toBe(0)
  })
})
