import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { StoreKey } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore } from '../../src/testing.js'
import { codeOf, createJar, createProcess, type Process } from './process.js'
import { idOf, newSession, show, storedData } from './scene.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('an end that the store does not confirm', () => {
  test('is asked for again until it does', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const cookie = await newSession(process, {}, 'u1')
    faulty.fail(undefined, { methods: ['delete'] })
    expect(await codeOf(process.manager.revoke(idOf(cookie)))).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    faulty.reset()
    faulty.fail(undefined, { methods: ['delete'] })
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    // Twice as long after each attempt, up to half a minute.
    expect(faulty.calls.delete).toBeGreaterThan(15)
    expect(faulty.calls.delete).toBeLessThan(40)
    expect(await show(process, cookie)).toEqual({ is: 'new' })
    const healed = faulty.heal()
    await vi.advanceTimersByTimeAsync(60_000)
    await healed
    expect(await storedData(faulty.store, cookie)).toBeUndefined()
    expect(process.engine.tombstones.has(idOf(cookie))).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('costs the store nothing to refuse', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const cookie = await newSession(process, {}, 'u1')
    faulty.fail(undefined, { methods: ['delete'] })
    await codeOf(process.manager.revoke(idOf(cookie)))
    faulty.reset()
    await show(process, cookie)
    expect(faulty.total).toBe(0)
  })

  test('is remembered for ten thousand sessions at most', () => {
    const { tombstones } = createProcess(memoryStore()).engine
    for (let id = 0; id <= 10_000; id += 1) tombstones.add(`id${id}` as StoreKey, 'revoke')
    expect(tombstones.has('id0' as StoreKey)).toBe(false)
    expect(tombstones.has('id1' as StoreKey)).toBe(true)
    expect(tombstones.has('id10000' as StoreKey)).toBe(true)
    tombstones.close()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('many ends that the store did not confirm', () => {
  test('are asked for when it is back, all of them, one after the other', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const cookies: string[] = []
    for (let user = 0; user < 20; user += 1) {
      cookies.push(await newSession(process, {}, `u${user}`))
    }
    faulty.hang()
    const ends = cookies.map((cookie) => codeOf(process.manager.revoke(idOf(cookie))))
    await vi.advanceTimersByTimeAsync(1001)
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['ERR_SESSION_OUTCOME_UNKNOWN']))
    // They are asked for half a minute apart by now.
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    faulty.reset()
    const healed = faulty.heal('never')
    await vi.advanceTimersByTimeAsync(1500)
    await healed
    expect(faulty.calls.delete).toBe(20)
    for (const cookie of cookies) {
      expect(await storedData(faulty.store, cookie)).toBeUndefined()
      expect(process.engine.tombstones.has(idOf(cookie))).toBe(false)
    }
    await process.manager.close()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a revocation of all sessions of a user that the store does not confirm', () => {
  function scene(): { faulty: ReturnType<typeof faultyStore>; process: Process; other: Process } {
    const faulty = faultyStore(memoryStore())
    return { faulty, process: createProcess(faulty.store), other: createProcess(faulty.store) }
  }

  /** How a call ends that may have to wait for its budget. */
  async function outcomeOf(work: Promise<unknown>): Promise<string> {
    const outcome = codeOf(work)
    await vi.advanceTimersByTimeAsync(1001)
    return outcome
  }

  test.each([
    ['hangs', 'ERR_SESSION_OUTCOME_UNKNOWN'],
    ['breaks', 'ERR_SESSION_OUTCOME_UNKNOWN'],
    ['refuses', 'ERR_SESSION_STORE'],
  ])(
    'where it %s: the caller is told, this process refuses them, and asks until it is done',
    async (how, code) => {
      const { faulty, process, other } = scene()
      const [kept, ended] = [
        await newSession(process, {}, 'u1'),
        await newSession(process, {}, 'u1'),
      ]
      const stranger = await newSession(process, {}, 'u2')
      const methods = ['deleteByUser'] as const
      if (how === 'hangs') faulty.hang({ methods })
      else if (how === 'breaks') faulty.fail(undefined, { methods })
      else faulty.refuse('no', { methods })
      const revoked: string[] = []
      process.manager.on('revoked', ({ id }) => revoked.push(id))
      const call = process.manager.revokeByUser('u1', { except: idOf(kept) })
      expect(await outcomeOf(call)).toBe(code)

      expect(await show(process, ended)).toEqual({ is: 'new' })
      expect(await show(process, kept)).toEqual({ userId: 'u1' })
      expect(await show(process, stranger)).toEqual({ userId: 'u2' })
      expect((await process.manager.listByUser('u1')).map(({ id }) => id)).toEqual([idOf(kept)])
      // It is this process's word only.
      expect(await show(other, ended)).toEqual({ userId: 'u1' })

      const healed = faulty.heal('never')
      await vi.advanceTimersByTimeAsync(60_000)
      await healed
      expect(await show(other, ended)).toEqual({ is: 'new' })
      expect(await storedData(faulty.store, ended)).toBeUndefined()
      expect(await show(other, kept)).toEqual({ userId: 'u1' })
      expect(await show(other, stranger)).toEqual({ userId: 'u2' })
      expect(revoked).toEqual([idOf(ended)])
      expect(vi.getTimerCount()).toBe(0)
    },
  )

  test('does not refuse who signs in afterwards, as far as this process can tell', async () => {
    const { faulty, process } = scene()
    await newSession(process, {}, 'u1')
    faulty.fail(undefined, { methods: ['deleteByUser'] })
    expect(await outcomeOf(process.manager.revokeByUser('u1'))).not.toBe('ok')
    await vi.advanceTimersByTimeAsync(10)
    const later = await newSession(process, {}, 'u1')
    expect(await show(process, later)).toEqual({ userId: 'u1' })
  })

  test('is over when a later call is confirmed, which decides who stays', async () => {
    const { faulty, process } = scene()
    const [first, second] = [
      await newSession(process, {}, 'u1'),
      await newSession(process, {}, 'u1'),
    ]
    faulty.fail(undefined, { methods: ['deleteByUser'], times: 1 })
    expect(await codeOf(process.manager.revokeByUser('u1'))).not.toBe('ok')
    expect(await process.manager.revokeByUser('u1', { except: idOf(first) })).toBe(1)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await show(process, first)).toEqual({ userId: 'u1' })
    expect(await show(process, second)).toEqual({ is: 'new' })
    expect(faulty.calls.deleteByUser).toBe(2)
  })

  test('leaves the mark of the call, however often it is repeated', async () => {
    const marks: string[] = []
    const inner = memoryStore()
    const faulty = faultyStore({
      ...inner,
      deleteByUser(userId, options) {
        marks.push(options.mark.value)
        if (marks.length < 4) throw new Error('Connection reset by peer')
        return inner.deleteByUser?.(userId, options) ?? []
      },
    })
    const process = createProcess(faulty.store)
    await newSession(process, {}, 'u1')
    expect(await outcomeOf(process.manager.revokeByUser('u1'))).not.toBe('ok')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(marks).toHaveLength(4)
    expect(new Set(marks).size).toBe(1)
  })

  test('is remembered for a thousand users at most', async () => {
    const { faulty, process } = scene()
    const first = await newSession(process, {}, 'u0')
    const second = await newSession(process, {}, 'u1')
    faulty.refuse('no', { methods: ['deleteByUser'] })
    for (let user = 0; user <= 1000; user += 1) {
      expect(await codeOf(process.manager.revokeByUser(`u${user}`))).toBe('ERR_SESSION_STORE')
    }
    expect(await show(process, first)).toEqual({ userId: 'u0' })
    expect(await show(process, second)).toEqual({ is: 'new' })
    await process.manager.close()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a store that hangs in the middle of a change (F22)', () => {
  const LATE = ['answer', 'apply', 'fail', 'never'] as const

  test.each(LATE)(
    'a sign-out is unknown or confirmed, and its repeat is the same: %s',
    async (late) => {
      const faulty = faultyStore(memoryStore())
      const process = createProcess(faulty.store)
      const jar = createJar(await newSession(process, { n: 1 }, 'u1'))
      const cookie = jar.cookie as string
      faulty.hang({ methods: ['delete'] })
      const first = codeOf(process.handle(jar, (session) => session.signOut()))
      await vi.advanceTimersByTimeAsync(1001)
      expect(await first).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
      const healed = faulty.heal(late)
      await vi.advanceTimersByTimeAsync(0)
      await healed
      expect(await codeOf(process.handle(createJar(cookie), (session) => session.signOut()))).toBe(
        'ok',
      )
      await vi.advanceTimersByTimeAsync(60_000)
      expect(await storedData(faulty.store, cookie)).toBeUndefined()
      expect(await process.manager.revoke(idOf(cookie))).toBe(false)
    },
  )

  test.each(LATE)('a sign-in is unknown, and the next one gives one session: %s', async (late) => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const jar = createJar(await newSession(process, { cart: 1 }))
    const guest = jar.cookie as string
    faulty.hang({ methods: ['update'] })
    const first = codeOf(process.handle(jar, (session) => session.signIn('u1', { keep: ['cart'] })))
    await vi.advanceTimersByTimeAsync(1001)
    expect(await first).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    expect(jar.cookie).toBe(guest)
    const healed = faulty.heal(late)
    await vi.advanceTimersByTimeAsync(0)
    await healed
    const again = await codeOf(
      process.handle(jar, (session) => session.signIn('u1', { keep: ['cart'] })),
    )
    // A sign-in that landed after all has made the guest's cookie a superseded one; the new session has a new id.
    expect(again).toBe('ok')
    expect(await show(process, jar.cookie as string)).toMatchObject({ userId: 'u1' })
    expect(jar.cookie).not.toBe(guest)
    expect(await show(process, guest)).toHaveProperty('is')
  })

  test.each(LATE)(
    'a revocation of all is unknown, and its repeat is the same: %s',
    async (late) => {
      const faulty = faultyStore(memoryStore())
      const process = createProcess(faulty.store)
      const cookie = await newSession(process, {}, 'u1')
      faulty.hang({ methods: ['deleteByUser'] })
      const first = codeOf(process.manager.revokeByUser('u1'))
      await vi.advanceTimersByTimeAsync(1001)
      expect(await first).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
      const healed = faulty.heal(late)
      await vi.advanceTimersByTimeAsync(0)
      await healed
      expect(await codeOf(process.manager.revokeByUser('u1'))).toBe('ok')
      expect(await storedData(faulty.store, cookie)).toBeUndefined()
      const next = await newSession(process, {}, 'u1')
      await vi.advanceTimersByTimeAsync(60_000)
      expect(await show(process, next)).toEqual({ userId: 'u1' })
    },
  )
})
