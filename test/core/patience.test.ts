import { beforeEach, describe, expect, test, vi } from 'vitest'
import { Patience, type Waiting } from '../../src/core/patience.js'

interface Named extends Waiting {
  readonly name: string
}

describe('what is waited for', () => {
  let late: string[] = []
  let patience = new Patience<Named>(({ name }) => late.push(name))

  beforeEach(() => {
    vi.useFakeTimers()
    late = []
    patience = new Patience<Named>(({ name }) => late.push(name))
    return () => vi.useRealTimers()
  })

  function wait(name: string, milliseconds: number): Named {
    const one = { name, until: 0, place: -1 }
    patience.add(one, milliseconds)
    return one
  }

  test('is late when its time is over, each at its own, whoever came first', () => {
    wait('long', 1000)
    wait('short', 300)
    wait('shorter', 299.5)
    vi.advanceTimersByTime(299)
    expect(late).toEqual([])
    vi.advanceTimersByTime(1)
    expect(late).toEqual(['short', 'shorter'])
    vi.advanceTimersByTime(699)
    expect(late).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(late).toEqual(['short', 'shorter', 'long'])
  })

  test('is never late once it is dropped, and the others are in time', () => {
    const all = Array.from({ length: 100 }, (_, at) => wait(String(at), 100 + at))
    for (const one of all.filter((_, at) => at % 3 > 0)) patience.drop(one)
    for (const one of all.filter((_, at) => at % 3 > 0)) patience.drop(one)
    for (let time = 101; time < 200; time += 1) {
      vi.advanceTimersByTime(time === 101 ? 101 : 1)
      expect(late).toHaveLength(Math.floor((time - 100) / 3) + 1)
    }
    expect(late).toEqual(all.filter((_, at) => at % 3 === 0).map(({ name }) => name))
  })

  test('can be waited for again by whoever is told', () => {
    const patient: Patience<Named> = new Patience((one) => {
      late.push(one.name)
      if (late.length < 3) patient.add(one, 50)
    })
    patient.add({ name: 'again', until: 0, place: -1 }, 100)
    vi.advanceTimersByTime(199)
    expect(late).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(late).toHaveLength(3)
  })

  test('has one timer, and where nothing is waited for there is none', () => {
    const all = [wait('a', 100), wait('b', 200), wait('c', 50)]
    expect(vi.getTimerCount()).toBe(1)
    for (const one of all) patience.drop(one)
    expect(vi.getTimerCount()).toBe(0)
    wait('d', 100)
    vi.advanceTimersByTime(100)
    expect([late, vi.getTimerCount()]).toEqual([['d'], 0])
  })
})
