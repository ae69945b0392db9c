import { describe, expect, test } from 'vitest'
import { testSessionStore } from '../src/conformance.js'
import type { SessionRecord, StoreKey } from '../src/core/store.js'
import { faultyStore, gatedStore, movableClock } from '../src/testing.js'
import { openReference, openSmallest, openSyncReference } from './broken-stores/reference.js'

const KEY = 'k'.repeat(22) as StoreKey
const OTHER = 'o'.repeat(22) as StoreKey
const NOW = 2_000_000_000_000

function record(version: string, payload = '{}'): SessionRecord {
  return {
    version,
    payload,
    userId: 'ada',
    lastSeenAt: NOW,
    expiresAt: NOW + 1_000,
    absoluteExpiresAt: NOW + 9_000,
  }
}

describe('movableClock', () => {
  test('stands still until it is moved, on, back and to a time', () => {
    const clock = movableClock(NOW)
    expect(clock.now()).toBe(NOW)
    expect(clock.advance(1_500)).toBe(NOW + 1_500)
    expect(clock.advance(-500)).toBe(NOW + 1_000)
    clock.set(5)
    expect(clock.now()).toBe(5)
  })

  test('starts at the present', () => {
    const before = Date.now()
    const shown = movableClock().now()
    expect(shown).toBeGreaterThanOrEqual(before)
    expect(shown).toBeLessThanOrEqual(Date.now())
  })

  test('refuses what is no time and says what to write', () => {
    const clock = movableClock()
    expect(() => clock.set(new Date() as never)).toThrow('For a Date, give date.getTime()')
    expect(() => clock.advance(Number.NaN)).toThrow(TypeError)
    expect(() => movableClock(Number.POSITIVE_INFINITY)).toThrow(TypeError)
  })
})

describe('faultyStore', () => {
  test('has exactly the methods of the inner store', () => {
    expect(Object.keys(faultyStore(openSyncReference()).store).sort()).toEqual(
      Object.keys(openSyncReference()).sort(),
    )
    expect(faultyStore(openSmallest()).store.listByUser).toBeUndefined()
    expect(faultyStore(openReference().store).store.limits).toEqual({ maxPayloadBytes: 300_000 })
  })

  test('answers at once where the inner store does', () => {
    const { store } = faultyStore(openSyncReference())
    expect(store.create(KEY, record('a'), NOW)).toBe(true)
    expect(store.load(KEY, NOW)).toEqual(record('a'))
    expect(store.update(KEY, record('b'), 'a', NOW)).toEqual({ outcome: 'updated' })
    expect(store.delete(KEY, NOW)).toBe(true)
  })

  test('keeps methods of a class instance working', async () => {
    class Instance {
      name = 'instance'
      inner = openSyncReference()
      load(key: StoreKey, now: number) {
        return this.inner.load(key, now)
      }
      create = this.inner.create
      update = this.inner.update
      touch = this.inner.touch
      delete = this.inner.delete
    }
    const { store } = faultyStore(new Instance())
    await store.create(KEY, record('a'), NOW)
    expect(await store.load(KEY, NOW)).toEqual(record('a'))
  })

  test('counts calls by method and in all, failed ones too, until reset', async () => {
    const faulty = faultyStore(openSyncReference())
    await faulty.store.load(KEY, NOW)
    await faulty.store.create(KEY, record('a'), NOW)
    faulty.fail(new Error('down'), { methods: ['load'] })
    await expect(faulty.store.load(KEY, NOW)).rejects.toThrow('down')
    expect(faulty.calls).toMatchObject({ load: 2, create: 1, update: 0 })
    expect(faulty.total).toBe(3)
    faulty.reset()
    expect(faulty.total).toBe(0)
    expect(faulty.store.load(KEY, NOW)).toEqual(record('a'))
  })

  test('fails the named methods, for as many calls as it is told', async () => {
    const faulty = faultyStore(openSyncReference())
    faulty.fail(undefined, { methods: ['create'], times: 2 })
    await expect(faulty.store.create(KEY, record('a'), NOW)).rejects.toThrow('The store is down')
    expect(faulty.store.load(KEY, NOW)).toBeUndefined()
    await expect(faulty.store.create(KEY, record('a'), NOW)).rejects.toThrow()
    expect(faulty.store.create(KEY, record('a'), NOW)).toBe(true)
  })

  test('refuses with an error that says that nothing was executed', async () => {
    const faulty = faultyStore(openSyncReference())
    faulty.refuse('no', { times: 1 })
    await expect(faulty.store.create(KEY, record('a'), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
    })
    faulty.refuse('full')
    await expect(faulty.store.create(KEY, record('a'), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_FULL',
    })
    await faulty.heal()
    expect(faulty.store.load(KEY, NOW)).toBeUndefined()
  })

  test('executes and loses the reply', async () => {
    const faulty = faultyStore(openSyncReference())
    faulty.loseReplies({ methods: ['create'] })
    await expect(faulty.store.create(KEY, record('a'), NOW)).rejects.toThrow('before the reply')
    expect(faulty.store.load(KEY, NOW)).toEqual(record('a'))
    await faulty.heal()
    faulty.loseReplies({ methods: ['delete'], instead: 'hang' })
    expect(await settled(faulty.store.delete(KEY, NOW))).toBe(false)
    expect(faulty.store.load(KEY, NOW)).toBeUndefined()
  })

  test.for([
    ['answer', true, true],
    ['apply', true, false],
    ['fail', false, true],
    ['never', false, false],
  ] as const)(
    'hangs, and when healed with %s: executed %s, answered %s',
    async ([late, executed, answered]) => {
      const faulty = faultyStore(openSyncReference())
      faulty.hang({ methods: ['create'] })
      const created = faulty.store.create(KEY, record('a'), NOW) as Promise<boolean>
      const outcome = created.then(
        () => 'answered',
        () => 'failed',
      )
      expect(await settled(outcome)).toBe(false)
      expect(faulty.hanging).toBe(1)
      await faulty.heal(late)
      expect(faulty.hanging).toBe(0)
      expect(faulty.store.load(KEY, NOW) !== undefined).toBe(executed)
      expect(await settled(outcome)).toBe(answered)
      if (answered) expect(await outcome).toBe(executed ? 'answered' : 'failed')
    },
  )

  test('is slow before the call or before the reply', async () => {
    const slept: number[] = []
    const inner = openSyncReference()
    const seen: boolean[] = []
    const faulty = faultyStore(inner, {
      async sleep(milliseconds) {
        slept.push(milliseconds)
        seen.push(inner.load(KEY, NOW) !== undefined)
      },
    })
    faulty.slow(900, { at: 'reply', times: 1 })
    await faulty.store.create(KEY, record('a'), NOW)
    faulty.slow(50)
    await faulty.store.delete(KEY, NOW)
    expect(slept).toEqual([900, 50])
    expect(seen).toEqual([true, true])
    expect(inner.load(KEY, NOW)).toBeUndefined()
  })

  test('waits real milliseconds unless told otherwise', async () => {
    const faulty = faultyStore(openSyncReference())
    faulty.slow(30)
    const start = performance.now()
    await faulty.store.load(KEY, NOW)
    expect(performance.now() - start).toBeGreaterThan(25)
  })

  test('fails over to a server that had not seen the last writes', async () => {
    const faulty = faultyStore(openSyncReference())
    const { store } = faulty
    await store.create(KEY, record('a'), NOW)
    await store.update(KEY, record('b'), 'a', NOW)
    await store.update(KEY, record('stale'), 'a', NOW)
    await store.touch(KEY, 'b', NOW + 5, NOW + 5_000, NOW)
    await store.create(OTHER, record('z'), NOW)
    await faulty.loseWrites(2)
    expect(store.load(KEY, NOW)).toEqual(record('b'))
    expect(store.load(OTHER, NOW)).toBeUndefined()
    await faulty.loseWrites(1)
    expect(store.load(KEY, NOW)).toEqual(record('a'))
    await faulty.loseWrites(100)
    expect(store.load(KEY, NOW)).toBeUndefined()
  })

  test.for([
    ['at once', openSyncReference],
    ['by promise', () => openReference().store],
  ] as const)('comes back to a snapshot over a store that answers %s', async ([, open]) => {
    const faulty = faultyStore(open())
    const { store } = faulty
    await store.create(KEY, record('a'), NOW)
    await store.create(OTHER, record('z'), NOW)
    const before = faulty.snapshot()
    await store.update(KEY, record('b'), 'a', NOW)
    const mark = { value: 'm', expiresAt: NOW + 1 }
    await store.deleteByUser?.('ada', { except: [], mark, now: NOW })
    expect(await store.load(OTHER, NOW)).toBeUndefined()
    await faulty.restore(before)
    expect(await store.load(KEY, NOW)).toEqual(record('a'))
    expect(await store.load(OTHER, NOW)).toEqual(record('z'))
    expect(await store.listByUser?.('ada', NOW)).toHaveLength(2)
  })
})

describe('gatedStore', () => {
  test('holds a call before it is executed and again before its reply', async () => {
    const inner = openSyncReference()
    const gate = gatedStore(inner)
    const created = gate.store.create(KEY, record('a'), NOW) as Promise<boolean>
    const call = await gate.next('create')
    expect(call).toMatchObject({ method: 'create', key: KEY, stage: 'call' })
    expect(inner.load(KEY, NOW)).toBeUndefined()
    await call.go()
    expect(inner.load(KEY, NOW)).toEqual(record('a'))
    expect(await settled(created)).toBe(false)
    await (await gate.next('create', 'reply')).go()
    expect(await created).toBe(true)
    expect(gate.trace).toEqual(['create call', 'create reply'])
  })

  test('keeps what the test has in hand while others run past it', async () => {
    const gate = gatedStore(openSyncReference())
    await gate.run(() => gate.store.create(KEY, record('a'), NOW) as Promise<boolean>)
    const late = gate.store.update(KEY, record('b'), 'a', NOW) as Promise<unknown>
    const update = await gate.next('update')
    expect(await gate.run(gate.store.delete(KEY, NOW) as Promise<boolean>)).toBe(true)
    await update.finish()
    expect(await late).toEqual({ outcome: 'missing' })
  })

  test('fails a call unexecuted, loses a reply, drops either', async () => {
    const inner = openSyncReference()
    const gate = gatedStore(inner)
    const first = gate.store.create(KEY, record('a'), NOW) as Promise<boolean>
    const failed = expect(first).rejects.toThrow('closed')
    await (await gate.next('create')).fail()
    await failed
    expect(inner.load(KEY, NOW)).toBeUndefined()

    const second = gate.store.create(KEY, record('a'), NOW) as Promise<boolean>
    const lost = expect(second).rejects.toThrow('lost')
    await (await gate.next('create')).go()
    await (await gate.next('create', 'reply')).fail(new Error('lost'))
    await lost
    expect(inner.load(KEY, NOW)).toEqual(record('a'))

    const third = gate.store.delete(KEY, NOW) as Promise<boolean>
    const call = await gate.next('delete')
    call.drop()
    expect(await settled(third)).toBe(false)
    expect(inner.load(KEY, NOW)).toEqual(record('a'))
    await expect(call.go()).rejects.toThrow('was let go before')
  })

  test('plays the same order for the same seed, and other orders for others', async () => {
    const traces = new Map<number, string>()
    for (const seed of [1, 1, 2, 3, 4]) {
      const gate = gatedStore(openSyncReference(), { seed })
      await gate.run(race(gate.store))
      const trace = gate.trace.join()
      expect(traces.get(seed) ?? trace).toBe(trace)
      traces.set(seed, trace)
    }
    expect(new Set(traces.values()).size).toBeGreaterThan(1)
  })

  test('passes on what the work rejects with', async () => {
    const gate = gatedStore(openSyncReference())
    const work = async () => {
      await gate.store.load(KEY, NOW)
      throw new Error('the work failed')
    }
    await expect(gate.run(work)).rejects.toThrow('the work failed')
  })

  test('lets everything through once it is open, until it is shut', async () => {
    const gate = gatedStore(openSyncReference())
    const waiting = gate.store.create(KEY, record('a'), NOW)
    await gate.open()
    expect(await waiting).toBe(true)
    expect(await gate.store.delete(KEY, NOW)).toBe(true)
    gate.shut()
    expect(await settled(gate.store.delete(KEY, NOW))).toBe(false)
    expect(gate.waiting).toHaveLength(1)
  })
})

describe('a store seen through a healthy faultyStore keeps the contract', () => {
  testSessionStore({
    test,
    open() {
      const opened = openReference()
      return {
        ...opened,
        store: faultyStore(opened.store).store,
        reopen: async () => faultyStore((await opened.reopen?.()) ?? opened.store).store,
      }
    },
  })
})

async function race(store: ReturnType<typeof openSyncReference>): Promise<void> {
  await store.create(KEY, record('a'), NOW)
  await Promise.all([
    store.update(KEY, record('b'), 'a', NOW),
    store.touch(KEY, 'a', NOW + 5, NOW + 5_000, NOW),
    store.load(KEY, NOW),
    store.delete(KEY, NOW),
  ])
}

/** Whether `promise` is settled when everything that waits for no timer has run. */
async function settled(promise: unknown): Promise<boolean> {
  let done = false
  const note = () => {
    done = true
  }
  Promise.resolve(promise).then(note, note)
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  return done
}
