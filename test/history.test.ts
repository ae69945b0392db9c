import { describe, expect, test } from 'vitest'
import { checkHistory, type Rule } from './check-history.js'
import { type Entry, newHistory } from './history.js'
import { IDLE_OF_SIMULATION, type Mistake, playSimulation } from './history-server.js'

describe('a history', () => {
  test('has a place and a time for each beginning and end', () => {
    let time = 100
    const history = newHistory(() => time)
    const first = history.begin({ kind: 'create', process: 'p1' })
    time = 150
    const second = history.begin({ kind: 'read', session: 's' })
    second.unknown()
    time = 200
    first.ok({ session: 's', newToken: 't' })
    expect(history.entries).toEqual([
      {
        ...{ kind: 'read', session: 's', outcome: 'unknown' },
        ...{ invoked: 1, completed: 2, invokedAt: 150, completedAt: 150 },
      },
      {
        ...{ kind: 'create', process: 'p1', session: 's', newToken: 't', outcome: 'ok' },
        ...{ invoked: 0, completed: 3, invokedAt: 100, completedAt: 200 },
      },
    ])
  })
})

describe('A1: revocation is final', () => {
  test('a read that began before the sign-out ended may still be served', () => {
    expect(rules([...CREATED, [5, 8, { kind: 'logout' }], [7, 9, READ]])).toEqual([])
  })

  test('a read, a write or a touch after it may not', () => {
    const out = [...CREATED, [5, 8, { kind: 'logout' }]] as Line[]
    expect(rules([...out, [9, 10, READ]])).toEqual(['A1'])
    expect(rules([...out, [9, 10, { ...USE, kind: 'touch' }]])).toEqual(['A1'])
    expect(rules([...out, [9, 10, { ...USE, kind: 'set', key: 'k', value: 'v' }]])).toEqual(['A1'])
    expect(rules([...out, [9, 10, { ...READ, found: false }]])).toEqual([])
  })

  test('a sign-out of unknown outcome promises nothing', () => {
    const out: Line = [5, 8, { kind: 'logout', outcome: 'unknown' }]
    expect(rules([...CREATED, out, [9, 10, READ]])).toEqual([])
    expect(rules([...CREATED, out, [9, 10, { ...READ, found: false }]])).toEqual([])
  })

  test('a cookie is dead once it was replaced, and the new one is alive', () => {
    const signedIn = [...CREATED, LOGIN] as Line[]
    expect(rules([...signedIn, [9, 10, READ]])).toEqual(['A1'])
    const read = { kind: 'read', token: 't1', seen: { user: 'ada' } } as const
    expect(rules([...signedIn, [9, 10, read]])).toEqual([])
  })

  test('ending all of a user covers who had signed in before, but for the exceptions', () => {
    const read = { kind: 'read', token: 't1', seen: { user: 'ada' } } as const
    const ending = (more: Partial<Entry>): Line[] => [
      ...CREATED,
      LOGIN,
      [9, 10, { kind: 'endAll', user: 'ada', session: undefined as never, ...more }],
      [11, 12, read],
    ]
    expect(rules(ending({}))).toEqual(['A1'])
    expect(rules(ending({ except: ['s'] }))).toEqual([])
    expect(rules(ending({ user: 'bob' }))).toEqual([])
    expect(rules(ending({ outcome: 'fail' }))).toEqual([])
  })
})

describe('A2: every acknowledged append and increment counts once', () => {
  const append = (value: string, more = {}) =>
    ({ ...USE, kind: 'append', key: 'c', value, ...more }) as const
  const reads = (...list: string[]) => ({ ...READ, seen: { lists: { c: list } } })

  test('a list with all of them, in some order, is right', () => {
    const both: Line[] = [...CREATED, [5, 8, append('a')], [6, 7, append('b')]]
    expect(rules([...both, [9, 10, reads('a', 'b')]])).toEqual([])
    expect(rules([...both, [9, 10, reads('b', 'a')]])).toEqual([])
  })

  test('a lost, a doubled and an invented value are found', () => {
    const both: Line[] = [...CREATED, [5, 8, append('a')], [6, 7, append('b')]]
    expect(rules([...both, [9, 10, reads('a')]])).toEqual(['A2'])
    expect(rules([...both, [9, 10, reads('a', 'b', 'a')]])).toEqual(['A2'])
    expect(rules([...both, [9, 10, reads('a', 'b', 'x')]])).toEqual(['A2'])
  })

  test('an unknown append counts once or not at all, a failed one not at all', () => {
    const unknown: Line[] = [...CREATED, [5, 6, append('a', { outcome: 'unknown' })]]
    expect(rules([...unknown, [9, 10, reads('a')]])).toEqual([])
    expect(rules([...unknown, [9, 10, reads()]])).toEqual([])
    const failed: Line[] = [...CREATED, [5, 6, append('a', { outcome: 'fail' })]]
    expect(rules([...failed, [9, 10, reads('a')]])).toEqual(['A2'])
  })

  test('a counter lies between what was acknowledged and what was tried', () => {
    const incr = { ...USE, kind: 'incr', key: 'n' } as const
    const counted = (n: number): Line[] => [
      ...CREATED,
      [5, 6, incr],
      [7, 8, { ...incr, outcome: 'unknown' }],
      [9, 10, { ...READ, seen: { counters: { n } } }],
    ]
    expect([0, 1, 2, 3].map((n) => rules(counted(n)))).toEqual([['A2'], [], [], ['A2']])
    const same: Line[] = [
      [5, 8, { ...incr, count: 1 }],
      [6, 7, { ...incr, count: 1 }],
    ]
    expect(rules([...CREATED, ...same])).toEqual(['A2'])
  })
})

describe('A3: reads never go back', () => {
  const set = (value: string, more = {}) =>
    ({ ...USE, kind: 'set', key: 'k', value, ...more }) as const
  const sees = (k?: string) => ({ ...READ, seen: { values: { k } } })

  test('a read sees what was completed before it', () => {
    const written: Line[] = [...CREATED, [5, 6, set('a')]]
    expect(rules([...written, [7, 8, sees('a')]])).toEqual([])
    expect(rules([...written, [7, 8, sees(undefined)]])).toEqual(['A3'])
    expect(rules([...CREATED, [5, 9, set('a')], [7, 8, sees(undefined)]])).toEqual([])
  })

  test('after a newer value the older is not seen again', () => {
    const both: Line[] = [...CREATED, [5, 6, set('a')], [7, 12, set('b')]]
    expect(rules([...both, [8, 9, sees('a')], [10, 11, sees('b')]])).toEqual([])
    expect(rules([...both, [8, 9, sees('b')], [10, 11, sees('a')]])).toEqual(['A3'])
  })

  test('two writes at once may come in either order, but not in both', () => {
    const both: Line[] = [...CREATED, [5, 8, set('a')], [6, 7, set('b')]]
    expect(rules([...both, [9, 10, sees('a')]])).toEqual([])
    expect(rules([...both, [9, 10, sees('b')]])).toEqual([])
    expect(rules([...both, [9, 10, sees('a')], [11, 12, sees('b')]])).toEqual(['A3'])
  })

  test('a value that nobody wrote, that failed, or that comes later is not seen', () => {
    expect(rules([...CREATED, [5, 6, sees('x')], [7, 8, set('a')]])).toEqual(['A3'])
    expect(rules([...CREATED, [5, 6, set('a', { outcome: 'fail' })], [7, 8, sees('a')]])).toEqual([
      'A3',
    ])
    expect(rules([...CREATED, [5, 6, sees('a')], [7, 8, set('a')]])).toEqual(['A3'])
  })

  test('an unknown write may appear late, and stays then', () => {
    const late: Line[] = [...CREATED, [5, 6, set('a', { outcome: 'unknown' })]]
    expect(rules([...late, [7, 8, sees(undefined)], [9, 10, sees('a')]])).toEqual([])
    expect(rules([...late, [7, 8, sees('a')], [9, 10, sees(undefined)]])).toEqual(['A3'])
  })

  test('a list and a counter do not shrink', () => {
    const append = { ...USE, kind: 'append', key: 'c', value: 'a' } as const
    const list = (...c: string[]) => ({ ...READ, seen: { lists: { c } } })
    expect(rules([...CREATED, [5, 12, append], [6, 7, list('a')], [8, 9, list()]])).toEqual(['A3'])
    const incr = { ...USE, kind: 'incr', key: 'n' } as const
    const count = (n: number) => ({ ...READ, seen: { counters: { n } } })
    expect(rules([...CREATED, [5, 12, incr], [6, 7, count(1)], [8, 9, count(0)]])).toEqual(['A3'])
  })
})

test('A4: a value is consumed at most once', () => {
  const consume = { ...USE, kind: 'consume', key: 'flash', value: 'x' } as const
  const first: Line = [5, 6, { ...consume, got: true }]
  expect(rules([...CREATED, first, [7, 8, { ...consume, got: false }]])).toEqual([])
  expect(rules([...CREATED, first, [7, 8, { ...consume, got: true }]])).toEqual(['A4'])
})

test('A5: a cookie never changes its user', () => {
  const read = (user: string) => ({ ...READ, token: 't1', seen: { user } })
  expect(rules([...CREATED, LOGIN, [9, 10, read('ada')]])).toEqual([])
  expect(rules([...CREATED, LOGIN, [9, 10, read('bob')]])).toEqual(['A5'])
})

test('A6: no session outlives its idle or absolute deadline', () => {
  const at = (milliseconds: number) => ({ invokedAt: milliseconds, completedAt: milliseconds })
  const bounds = { idle: 1_000, absolute: 5_000, grace: 10 }
  const idle = (wait: number): Line[] => [...CREATED, [5, 6, { ...READ, ...at(wait) }]]
  expect(rules(idle(1_010), bounds)).toEqual([])
  expect(rules(idle(1_011), bounds)).toEqual(['A6'])
  const kept: Line[] = Array.from({ length: 8 }, (_, index) => [
    5 + 2 * index,
    6 + 2 * index,
    { ...READ, ...at(900 * index) },
  ])
  expect(rules([...CREATED, ...kept.slice(0, 6)], bounds)).toEqual([])
  expect(rules([...CREATED, ...kept], bounds)).toEqual(['A6'])
})

test('A7: a list has who was alive throughout, and nobody who was not alive meanwhile', () => {
  const list = (...listed: string[]): Line => [
    11,
    14,
    { kind: 'list', user: 'ada', session: undefined as never, listed },
  ]
  const signedIn: Line[] = [...CREATED, LOGIN]
  const out = (from: number, to: number): Line => [from, to, { kind: 'logout', token: 't1' }]
  expect(rules([...signedIn, list('s')])).toEqual([])
  expect(rules([...signedIn, list()])).toEqual(['A7'])
  expect(rules([...signedIn, out(9, 10), list('s')])).toEqual(['A7'])
  expect(rules([...signedIn, out(9, 10), list()])).toEqual([])
  expect(rules([...signedIn, out(12, 13), list('s')])).toEqual([])
  expect(rules([...signedIn, out(12, 13), list()])).toEqual([])
  expect(rules([...signedIn, list('s', 'x')])).toEqual(['A7'])
})

test('A8: a created session is found, but for the losses that were declared', () => {
  const absent: Line = [5, 6, { ...READ, found: false }]
  expect(rules([...CREATED, absent])).toEqual(['A8'])
  expect(rules([...CREATED, absent], { losses: 1 })).toEqual([])
  const late: Line = [5, 6, { ...READ, found: false, invokedAt: 2_000, completedAt: 2_000 }]
  expect(rules([...CREATED, late], { idle: 1_000 })).toEqual([])
  expect(rules([...CREATED, late], { idle: 3_000 })).toEqual(['A8'])
})

test('a history of 50,000 operations is checked in seconds', () => {
  const lines: Line[] = [...CREATED]
  for (let index = 0; index < 50_000; index += 1) {
    const place = 10 + index * 2
    const n = Math.ceil(index / 2)
    const incr = { ...USE, kind: 'incr', key: 'n' } as const
    const read = { ...READ, seen: { counters: { n } } }
    lines.push([place, place + 1, index % 2 === 0 ? incr : read])
  }
  const start = performance.now()
  expect(rules(lines)).toEqual([])
  expect(performance.now() - start).toBeLessThan(5_000)
})

describe('a server', () => {
  const bounds = { idle: IDLE_OF_SIMULATION }

  test('that is right breaks no rule in 300 random runs', async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const violations = checkHistory(await playSimulation(seed), bounds)
      expect(violations, `seed ${seed}`).toEqual([])
    }
  })

  const mistakes: Record<Mistake, Rule> = {
    'drops the version check': 'A2',
    'saves what is no more': 'A1',
    'answers before it has saved': 'A2',
    'touches what is no more': 'A1',
    'keeps the cookie at sign-in': 'A5',
    'writes old data with a touch': 'A2',
    'takes in two steps': 'A4',
    'counts a lost reply again': 'A2',
    'ends only what it lists': 'A1',
    'forgets the idle timeout': 'A6',
    'reads from a replica': 'A3',
    evicts: 'A8',
  }
  test.each(Object.entries(mistakes) as [Mistake, Rule][])(
    'that %s is found to break %s',
    async (mistake, rule) => {
      for (let seed = 1; seed <= 300; seed += 1) {
        const violations = checkHistory(await playSimulation(seed, mistake), bounds)
        if (violations.some((violation) => violation.rule === rule)) return
      }
      expect.fail(`300 runs did not show it`)
    },
  )
})

/** When it began, when it ended, and what it was. */
type Line = readonly [number, number, Partial<Entry> & Pick<Entry, 'kind'>]

const USE = { token: 't0' } as const
const READ = { kind: 'read', token: 't0' } as const
const CREATED: readonly Line[] = [[1, 2, { kind: 'create', newToken: 't0' }]]
const LOGIN: Line = [3, 4, { kind: 'login', token: 't0', newToken: 't1', user: 'ada' }]

/** The rules that a history breaks, each once. All of it is about session `s` and went well unless a line says more. */
function rules(lines: readonly Line[], bounds = {}): Rule[] {
  const entries = lines.map(([invoked, completed, entry]): Entry => {
    const { session = 's', ...rest } = entry
    const own = 'session' in entry && entry.session === undefined ? {} : { session }
    const times = { invoked, completed, invokedAt: 0, completedAt: 0 }
    return { outcome: 'ok', ...times, ...own, ...rest }
  })
  return [...new Set(checkHistory(entries, bounds).map(({ rule }) => rule))].sort()
}
