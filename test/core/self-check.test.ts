import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { StoreConcern } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { createProcess } from './process.js'

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
