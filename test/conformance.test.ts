import { describe, expect, test } from 'vitest'
import {
  type Answer,
  type Call,
  isLinearizable,
  type Played,
} from '../src/conformance/linearizable.js'
import { seededRandom } from '../src/conformance/random.js'
import { testSessionStore } from '../src/conformance.js'
import type { SessionRecord, StoreKey } from '../src/core/store.js'
import { openReference, openSmallest, openSyncReference } from './broken-stores/reference.js'
import { runKit } from './broken-stores/run-kit.js'

describe('a correct store over a wire, every hook given', () => {
  testSessionStore({ test, open: () => openReference() })
})

describe('testSessionStore', () => {
  test('passes a store that answers at once, and runs the groups of its methods', async () => {
    const { failed, passed, skipped } = await runKit(openSyncReference)
    expect([...failed]).toEqual([])
    expect(groupsOf(passed)).toEqual([
      'records',
      'versions',
      'payloads',
      'deadlines',
      'touch',
      'last-seen',
      'races',
      'by-user',
      'user ids',
      'prune',
      'hygiene',
      'groups',
    ])
    expect(groupsOf(skipped)).toContain('revocation')
  })

  test('passes a store that has the five methods and nothing else', async () => {
    const { failed, passed } = await runKit(async () => openSmallest())
    expect([...failed]).toEqual([])
    const groups = ['records', 'versions', 'payloads', 'deadlines', 'touch', 'last-seen', 'races']
    expect(groupsOf(passed)).toEqual([...groups, 'hygiene', 'groups'])
  })

  test('gives each test a store of its own, and closes every handle it opened', async () => {
    const counts = { opened: 0, closed: 0, done: 0 }
    const counting = () => {
      const opened = openReference()
      const counted = (store: typeof opened.store) => {
        counts.opened += 1
        const close = () => {
          counts.closed += 1
        }
        return { ...store, close }
      }
      return {
        ...opened,
        store: counted(opened.store),
        reopen: async () => counted((await opened.reopen?.()) ?? opened.store),
        done() {
          counts.done += 1
        },
      }
    }
    const { passed } = await runKit(counting)
    expect(counts.opened).toBeGreaterThan(passed.length)
    expect(counts.closed).toBe(counts.opened)
    expect(counts.done).toBeLessThan(counts.opened)
  })

  test('closes the store of a test that fails', async () => {
    let closed = 0
    const { failed } = await runKit(
      () => ({
        ...openSmallest(),
        load: () => {
          throw new Error('down')
        },
        close() {
          closed += 1
        },
      }),
      { only: (title) => title.startsWith('records:') },
    )
    expect(failed.size).toBeGreaterThan(5)
    expect(closed).toBeGreaterThanOrEqual(failed.size)
  })

  test('names the seed of a failure, and plays the same keys for the same seed', async () => {
    const keysOf = async (seed: number) => {
      const keys: string[] = []
      const open = () => ({
        ...openSmallest(),
        create: (key: StoreKey) => {
          keys.push(key)
          throw new Error('not today')
        },
      })
      const { failed } = await runKit(open, { seed, only: (title) => title.startsWith('records:') })
      const [error] = [...failed.values()]
      expect(error?.message).toMatch(new RegExp(`^not today\\n\\n.*seed: ${seed} }`))
      expect(error?.stack).toContain(`seed: ${seed} }`)
      return keys
    }
    const first = await keysOf(7)
    expect(await keysOf(7)).toEqual(first)
    expect(await keysOf(8)).not.toEqual(first)
  })

  test('says which input of many was the wrong one', async () => {
    const open = () => {
      const store = openSmallest()
      return {
        ...store,
        create: (key: StoreKey, record: SessionRecord, now: number) =>
          store.create(key, { ...record, payload: record.payload.replaceAll('😀', '?') }, now),
      }
    }
    const only = (title: string) => title.startsWith('payloads: a payload as long')
    const { failed } = await runKit(open, { only })
    expect([...failed.values()][0]?.message).toMatch(/^262143 bytes: The payload differs from/)
  })

  test('refuses a call without test or open, and says what it needs', () => {
    expect(() => testSessionStore({ open: openSmallest } as never)).toThrow(
      'testSessionStore needs { test, open }',
    )
    expect(() => testSessionStore({ test } as never)).toThrow(TypeError)
  })

  test('hands runners functions without parameters, so that none waits for a callback', () => {
    const heads = new Set<string>()
    const note = (_title: string, run: () => Promise<void>) => {
      heads.add(/\((.*?)\)/.exec(run.toString())?.[1] ?? '')
      expect(run.length).toBe(0)
    }
    testSessionStore({ test: note, open: openSmallest })
    // vitest reads the source of a function for the fixtures it wants.
    expect([...heads]).toEqual([''])
  })
})

describe('the search for an order of calls', () => {
  const now = 1_000
  const a = made('a')
  const b = made('b')

  test('finds one where calls overlap, whichever completed first', () => {
    expect(
      isLinearizable([
        at(0, 1, create(a), true),
        at(2, 5, update(b, 'a'), { outcome: 'updated' }),
        at(3, 4, { method: 'load' }, b),
      ]),
    ).toBe(true)
    expect(
      isLinearizable([
        at(0, 1, create(a), true),
        at(2, 5, update(b, 'a'), { outcome: 'updated' }),
        at(3, 4, { method: 'load' }, a),
      ]),
    ).toBe(true)
  })

  test('finds none where a read goes back behind a completed write', () => {
    expect(
      isLinearizable([
        at(0, 1, create(a), true),
        at(2, 3, update(b, 'a'), { outcome: 'updated' }),
        at(4, 5, { method: 'load' }, a),
      ]),
    ).toBe(false)
  })

  test('finds none where two updates of one version both win', () => {
    expect(
      isLinearizable([
        at(0, 1, create(a), true),
        at(2, 5, update(b, 'a'), { outcome: 'updated' }),
        at(3, 4, update(made('c'), 'a'), { outcome: 'updated' }),
      ]),
    ).toBe(false)
  })

  test('finds none where a conflict shows a record of another instant', () => {
    const history = (shown: SessionRecord) => [
      at(0, 1, create(a), true),
      at(2, 3, update(b, 'a'), { outcome: 'updated' }),
      at(4, 5, update(made('c'), 'a'), { outcome: 'conflict', record: shown }),
    ]
    expect(isLinearizable(history(b))).toBe(true)
    expect(isLinearizable(history(a))).toBe(false)
  })

  test('finds none where a deleted record comes back', () => {
    const start = [at(0, 1, create(a), true), at(2, 3, { method: 'delete' }, true)]
    expect(isLinearizable([...start, at(4, 5, { method: 'load' }, undefined)])).toBe(true)
    expect(isLinearizable([...start, at(4, 5, update(b, 'a'), { outcome: 'updated' })])).toBe(false)
  })

  test('counts a record past its deadline as absent', () => {
    const dead = { ...a, expiresAt: now }
    expect(isLinearizable([at(0, 1, create(b), true)], dead)).toBe(true)
    expect(isLinearizable([at(0, 1, { method: 'delete' }, true)], dead)).toBe(false)
  })

  test('knows that an update keeps a later last-seen and moves the deadline along', () => {
    const history = (left: SessionRecord) => [
      at(0, 1, create(a), true),
      at(2, 3, { method: 'touch', expected: 'a', lastSeenAt: 600, expiresAt: 1_600 }, UPDATED),
      at(4, 5, update(b, 'a'), UPDATED),
      at(6, 7, { method: 'load' }, left),
    ]
    expect(isLinearizable(history({ ...b, lastSeenAt: 600, expiresAt: 1_600 }))).toBe(true)
    expect(isLinearizable(history(b))).toBe(false)
  })

  function made(version: string): SessionRecord {
    const times = { lastSeenAt: 500, expiresAt: 1_500, absoluteExpiresAt: 9_000 }
    return { version, payload: version, ...times }
  }

  function create(record: SessionRecord): Call {
    return { method: 'create', record }
  }

  function update(record: SessionRecord, expected: string): Call {
    return { method: 'update', record, expected }
  }

  function at(invoked: number, completed: number, call: Call, answer: Answer): Played {
    return { client: 0, call, now, answer, invoked, completed }
  }
})

describe('seeded randomness', () => {
  test('is the same for the same seed, and spread out', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed)
      return Array.from({ length: 1_000 }, () => random.below(10))
    }
    expect(draw(5)).toEqual(draw(5))
    expect(draw(5)).not.toEqual(draw(6))
    for (let digit = 0; digit < 10; digit += 1) {
      expect(draw(5).filter((drawn) => drawn === digit).length).toBeGreaterThan(60)
    }
    expect(seededRandom(1).text(22)).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(() => seededRandom(1).pick([])).toThrow('nothing to pick')
  })
})

const UPDATED = { outcome: 'updated' } as const

/** The names of the groups that some titles belong to, in the order of their coming. */
function groupsOf(titles: readonly string[]): string[] {
  return [...new Set(titles.map((title) => title.slice(0, title.indexOf(':'))))]
}
