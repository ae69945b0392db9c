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

  /** An immediate of these timers comes a millisecond later. */
  const pass = (milliseconds: number): unknown => vi.advanceTimersByTime(milliseconds)

  test('is late when its time is over, each at its own, whoever came first', () => {
    wait('long', 1000)
    wait('short', 300)
    wait('shorter', 299.5)
    pass(300)
    expect(late).toEqual([])
    pass(1)
    expect(late).toEqual(['short', 'shorter'])
    pass(699)
    expect(late).toHaveLength(2)
    pass(1)
    expect(late).toEqual(['short', 'shorter', 'long'])
  })

  test('is never late once it is dropped, and the others are in time', () => {
    const all = Array.from({ length: 100 }, (_, at) => wait(String(at), 100 + at))
    const dropped = all.filter((_, at) => at % 3 > 0)
    for (const one of [...dropped, ...dropped]) patience.drop(one)
    pass(101)
    for (let time = 101; time < 200; time += 1) {
      expect(late).toHaveLength(Math.floor((time - 101) / 3) + 1)
      pass(1)
    }
    expect(late).toEqual(all.filter((one) => !dropped.includes(one)).map(({ name }) => name))
  })

  test('is not late where its answer is found before anything else is done', () => {
    const one = wait('answered', 100)
    wait('lost', 100)
    pass(100)
    patience.drop(one)
    pass(1)
    expect(late).toEqual(['lost'])
  })

  test('can be waited for again by whoever is told', () => {
    const patient: Patience<Named> = new Patience((one) => {
      late.push(one.name)
      if (late.length < 3) patient.add(one, 50)
    })
    patient.add({ name: 'again', until: 0, place: -1 }, 100)
    pass(101 + 51 + 50)
    expect(late).toHaveLength(2)
    pass(1)
    expect(late).toHaveLength(3)
  })

  test('has one timer, and where nothing is waited for there is none', () => {
    const all = [wait('a', 100), wait('b', 200), wait('c', 50)]
    expect(vi.getTimerCount()).toBe(1)
    for (const one of all) patience.drop(one)
    expect(vi.getTimerCount()).toBe(0)
    wait('d', 100)
    pass(101)
    expect([late, vi.getTimerCount()]).toEqual([['d'], 0])
  })
})
