import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { PRUNE_SLACK, type SessionRecord, type StoreKey } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { type FaultyStore, faultyStore, movableClock } from '../../src/testing.js'
import { createJar, createProcess, type Process } from './process.js'
import { newSession, show } from './scene.js'

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(process, 'emitWarning').mockReturnValue()
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('pruning', () => {
  const expired: SessionRecord = {
    version: 'v',
    payload: '',
    lastSeenAt: 0,
    expiresAt: 1,
    absoluteExpiresAt: 1,
  }

  test('goes on in batches until nothing is left', async () => {
    const clock = movableClock(0)
    const faulty = faultyStore(memoryStore())
    for (let id = 0; id < 2500; id += 1) {
      await faulty.store.create(`id${id}` as StoreKey, expired, 0)
    }
    const { manager } = createProcess(faulty.store, { clock })
    clock.set(PRUNE_SLACK + 2)
    const pruned = manager.prune()
    await vi.advanceTimersByTimeAsync(1000)
    expect(await pruned).toBe(2500)
    // Three with a find, and five more before the store is believed to have no other.
    expect(faulty.calls.deleteExpired).toBe(8)
  })

  test('happens by itself from the first session on, about once in an interval', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store, { pruneInterval: 60_000 })
    expect(vi.getTimerCount()).toBe(0)
    await newSession(process, { a: 1 })
    await vi.advanceTimersByTimeAsync(20 * 60_000)
    expect(faulty.calls.deleteExpired).toBeGreaterThanOrEqual(15 * 5)
    expect(faulty.calls.deleteExpired).toBeLessThanOrEqual(27 * 5)
    await process.manager.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is not done by all processes in step, though they began together', async () => {
    const first: { faulty: FaultyStore; process: Process }[] = []
    for (const chance of [0, 0.5, 0.999]) {
      vi.spyOn(Math, 'random').mockReturnValue(chance)
      const faulty = faultyStore(memoryStore())
      const process = createProcess(faulty.store, { pruneInterval: 60_000 })
      await newSession(process, { a: 1 })
      first.push({ faulty, process })
    }
    const begun: number[][] = []
    for (let second = 0; second < 80; second += 5) {
      await vi.advanceTimersByTimeAsync(5000)
      begun.push(first.map(({ faulty }) => Math.min(1, faulty.calls.deleteExpired)))
    }
    // After 45, 60 and 75 seconds.
    expect(begun.map((calls) => calls.join(''))).toEqual([
      ...Array(8).fill('000'),
      ...Array(3).fill('100'),
      ...Array(3).fill('110'),
      ...Array(2).fill('111'),
    ])
    for (const { process } of first) await process.manager.close()
  })

  test('goes on after a failure', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store, { pruneInterval: 60_000 })
    await newSession(process, { a: 1 })
    faulty.fail(undefined, { methods: ['deleteExpired'], times: 2 })
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    expect(faulty.calls.deleteExpired).toBeGreaterThan(4)
    await process.manager.close()
  })
})

describe('a clock that disagrees with the clock of the store', () => {
  function withOffset(offset: number, isSystemClock = true): ReturnType<typeof createProcess> {
    const store = { ...memoryStore(), ping: () => ({ now: Date.now() + offset }) }
    return createProcess(store, { isSystemClock })
  }

  test('is corrected, and warned of once, above 5 seconds', async () => {
    const process = withOffset(60_000)
    const warnings: unknown[] = []
    process.manager.on('warning', ({ code }) => warnings.push(code))
    expect(await process.manager.check()).toMatchObject({ ok: true, clockOffset: 60_000 })
    expect(process.engine.now()).toBe(Date.now() + 60_000)
    await process.manager.check()
    expect(warnings).toEqual(['WARN_SESSION_CLOCK'])
  })

  test('is left alone below that, or where the application brings its own clock', async () => {
    for (const process of [withOffset(4999), withOffset(-4999), withOffset(60_000, false)]) {
      expect(await process.manager.check()).toMatchObject({ ok: true, clockOffset: 0 })
      expect(process.engine.now()).toBe(Date.now())
    }
  })

  test('is known before the first session is stored', async () => {
    const process = withOffset(60_000)
    const cookie = await newSession(process, { a: 1 })
    const { session } = await process.request(createJar(cookie))
    expect(session.info.createdAt).toBe(Date.now() + 60_000)
  })
})

test('a check of a store that does not answer says so and does not reject', async () => {
  const faulty = faultyStore(memoryStore())
  const { manager } = createProcess(faulty.store)
  faulty.hang()
  const check = manager.check()
  await vi.advanceTimersByTimeAsync(1001)
  expect(await check).toMatchObject({ ok: false, store: 'memory' })
})

test('closing waits for touches that are under way', async () => {
  const clock = movableClock()
  const faulty = faultyStore(memoryStore())
  const process = createProcess(faulty.store, { clock })
  const cookie = await newSession(process, { a: 1 })
  clock.advance(10 * 60_000)
  faulty.slow(500, { methods: ['touch'] })
  await show(process, cookie)
  let isClosed = false
  const closing = process.manager.close().then(() => {
    isClosed = true
  })
  await vi.advanceTimersByTimeAsync(400)
  expect(isClosed).toBe(false)
  await vi.advanceTimersByTimeAsync(100)
  await closing
})
