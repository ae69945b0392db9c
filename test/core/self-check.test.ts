import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SessionStore, StoreConcern } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore } from '../../src/testing.js'
import { createProcess } from './process.js'
import { newSession } from './scene.js'

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockReturnValue()
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('what a store says of the set-up of its engine', () => {
  const evicting: StoreConcern = {
    code: 'WARN_SESSION_EVICTION',
    message: 'maxmemory-policy is allkeys-lru; set it to noeviction',
  }

  function withConcerns(concerns: readonly StoreConcern[]): ReturnType<typeof createProcess> {
    return createProcess({ ...memoryStore(), ping: () => ({ concerns }) })
  }

  test('is a warning, once, and stands in every check', async () => {
    const { manager } = withConcerns([evicting])
    const warnings: unknown[] = []
    manager.on('warning', (warning) => warnings.push(warning))
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await manager.check()).toMatchObject({ ok: true, concerns: [evicting] })
    }
    expect(warnings).toEqual([evicting])
    expect(process.emitWarning).toHaveBeenCalledOnce()
  })

  test.each([
    'WARN_SESSION_PERMISSION',
    'WARN_SESSION_READ_ONLY',
    'WARN_SESSION_STORE_VERSION',
  ] as const)('is not ok where it is %s', async (code) => {
    const { manager } = withConcerns([evicting, { code, message: 'give it the primary' }])
    const result = await manager.check()
    expect(result).toMatchObject({
      ok: false,
      store: 'memory',
      error: { code: 'ERR_SESSION_STORE', message: 'give it the primary' },
    })
    expect(result.concerns).toHaveLength(2)
    expect(result.latency).toBeTypeOf('number')
  })

  test('is nothing where the store says nothing', async () => {
    expect(await createProcess(memoryStore()).manager.check()).toMatchObject({
      ok: true,
      concerns: [],
    })
  })
})

describe('a store is looked at soon after the start', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function started(store: SessionStore): {
    sessions: ReturnType<typeof createProcess>['manager']
    warnings: StoreConcern[]
  } {
    const { engine, manager } = createProcess(store, { pruneInterval: 600_000 })
    const warnings: StoreConcern[] = []
    manager.on('warning', (warning) => warnings.push(warning as StoreConcern))
    engine.upkeep.checkSoon()
    return { sessions: manager, warnings }
  }

  test('once, where it answers, and what it says is told though nobody came', async () => {
    const concern: StoreConcern = { code: 'WARN_SESSION_READ_ONLY', message: 'this is a replica' }
    const faulty = faultyStore({ ...memoryStore(), ping: () => ({ concerns: [concern] }) })
    const { warnings } = started(faulty.store)
    expect(faulty.total).toBe(0)
    await vi.advanceTimersByTimeAsync(60 * 60_000)
    expect([faulty.total, faulty.calls.ping, warnings]).toEqual([1, 1, [concern]])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('again where it does not answer yet, without a word the first time', async () => {
    const faulty = faultyStore(memoryStore())
    faulty.fail(new Error('connect ECONNREFUSED 127.0.0.1:6379'))
    const { warnings } = started(faulty.store)
    await vi.advanceTimersByTimeAsync(700)
    expect([faulty.calls.ping, warnings]).toEqual([1, []])
    const healed = faulty.heal()
    await vi.advanceTimersByTimeAsync(60_000)
    await healed
    expect([faulty.calls.ping, warnings]).toEqual([2, []])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('and again, ever less often; the second time it says why, once', async () => {
    const faulty = faultyStore(memoryStore())
    faulty.fail(new Error('connect ECONNREFUSED 127.0.0.1:6379'))
    const { sessions, warnings } = started(faulty.store)
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    expect(faulty.calls.ping).toBeGreaterThan(15)
    expect(faulty.calls.ping).toBeLessThan(40)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatchObject({
      code: 'WARN_SESSION_STORE',
      message: expect.stringMatching(
        /^the memory store .*: connect ECONNREFUSED 127\.0\.0\.1:6379\. /,
      ),
    })
    await sessions.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('not where it has no ping, and not where it was asked before', async () => {
    const { ping: _, ...bare } = memoryStore()
    const without = faultyStore(bare as SessionStore)
    started(without.store)
    const asked = faultyStore(memoryStore())
    await started(asked.store).sessions.check()
    await vi.advanceTimersByTimeAsync(60_000)
    expect([without.total, asked.total]).toEqual([0, 1])
  })

  test('and later once in a pruneInterval, though it prunes by itself', async () => {
    const { deleteExpired: _, ...rest } = memoryStore()
    const faulty = faultyStore(rest as SessionStore)
    const process = createProcess(faulty.store, { pruneInterval: 60_000 })
    await newSession(process, { a: 1 })
    await vi.advanceTimersByTimeAsync(20 * 60_000)
    expect(faulty.calls.ping).toBeGreaterThanOrEqual(15)
    expect(faulty.calls.ping).toBeLessThanOrEqual(28)
    await process.manager.close()
  })
})
