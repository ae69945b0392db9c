import { describe, expect, test } from 'vitest'
import { maxAgeSeconds } from '../../src/core/cookie-order.js'
import { deadlinesOf, isTouchDue } from '../../src/core/timing.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore, movableClock } from '../../src/testing.js'
import { createClient, createJar, createProcess } from './process.js'
import { newSession, show, stored } from './scene.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const timeouts = { idleTimeout: 30 * MINUTE, absoluteTimeout: 12 * HOUR }
const meta = { secretHash: '', privilege: '', createdAt: 0 }

describe('the deadlines of a session', () => {
  test('are idle and absolute, whichever comes first', () => {
    expect(deadlinesOf(meta, HOUR, timeouts)).toEqual({
      expiresAt: HOUR + 30 * MINUTE,
      absoluteExpiresAt: 12 * HOUR,
    })
    expect(deadlinesOf(meta, 12 * HOUR - 1, timeouts).expiresAt).toBe(12 * HOUR)
  })

  test('count from the sign-in, where there was one', () => {
    const signedIn = { ...meta, signedInAt: HOUR }
    expect(deadlinesOf(signedIn, HOUR, timeouts).absoluteExpiresAt).toBe(13 * HOUR)
  })

  test('go by an idle timeout of its own, and live at least that long', () => {
    const remembered = { ...meta, maxAge: 240 * HOUR }
    const deadline = { expiresAt: 240 * HOUR, absoluteExpiresAt: 240 * HOUR }
    expect(deadlinesOf(remembered, HOUR, timeouts)).toEqual(deadline)
    expect(deadlinesOf({ ...meta, maxAge: null }, 0, timeouts).expiresAt).toBe(30 * MINUTE)
  })

  test('move at most once in a tenth of the idle timeout', () => {
    expect(isTouchDue(meta, 0, 3 * MINUTE - 1, timeouts)).toBe(false)
    expect(isTouchDue(meta, 0, 3 * MINUTE, timeouts)).toBe(true)
  })
})

describe('a session lives', () => {
  test('until the idle timeout, to the millisecond', async () => {
    for (const [after, isAlive] of [
      [-1, true],
      [0, false],
      [1, false],
    ] as const) {
      const clock = movableClock()
      const process = createProcess(memoryStore(), { clock })
      const cookie = await newSession(process, { a: 1 })
      clock.advance(30 * MINUTE + after)
      expect(await show(process, cookie)).toEqual(isAlive ? { a: 1 } : { is: 'new' })
    }
  })

  test('until the absolute timeout, to the millisecond, however busy it is', async () => {
    for (const [after, isAlive] of [
      [-1, true],
      [0, false],
      [1, false],
    ] as const) {
      const clock = movableClock()
      const process = createProcess(memoryStore(), { clock })
      const cookie = await newSession(process, { a: 1 })
      for (let visits = 0; visits < 47; visits += 1) {
        clock.advance(15 * MINUTE)
        expect(await show(process, cookie)).toEqual({ a: 1 })
      }
      clock.advance(15 * MINUTE + after)
      expect(await show(process, cookie)).toEqual(isAlive ? { a: 1 } : { is: 'new' })
    }
  })

  test('as long as it is used within the idle timeout, and a touch is rare', async () => {
    const clock = movableClock()
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store, { clock })
    const cookie = await newSession(process, { a: 1 })
    faulty.reset()
    for (let visits = 0; visits < 600; visits += 1) {
      clock.advance(6000)
      await show(process, cookie)
    }
    expect(faulty.calls.touch).toBe(20)
    expect(faulty.calls.update).toBe(0)
    expect(await stored(faulty.store, cookie, clock.now())).toMatchObject({
      lastSeenAt: clock.now(),
      expiresAt: clock.now() + 30 * MINUTE,
    })
  })

  test('on when a touch fails, and the request does not notice', async () => {
    const clock = movableClock()
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store, { clock, awaitTouch: true })
    const cookie = await newSession(process, { a: 1 })
    clock.advance(10 * MINUTE)
    faulty.fail(undefined, { methods: ['touch'] })
    expect(await show(process, cookie)).toEqual({ a: 1 })
  })

  test('with the device that used it last, where devices are kept', async () => {
    const clock = movableClock()
    const store = memoryStore()
    const process = createProcess(store, { clock, devices: true })
    const cookie = await newSession(process, {}, 'u1')
    clock.advance(10 * MINUTE)
    const { openVisit } = await import('../../src/core/open-visit.js')
    const device = { userAgent: 'Firefox', ip: '::1' }
    await openVisit(process.engine, createClient({ device }), [cookie])
    await process.engine.touches.settled()
    expect(await process.manager.listByUser('u1')).toMatchObject([device])
    expect(await stored(store, cookie, clock.now())).toMatchObject({ lastSeenAt: clock.now() })
  })
})

test('a wait for a touch and for what follows is bounded by one budget', async () => {
  const clock = movableClock()
  const faulty = faultyStore(memoryStore())
  const process = createProcess(faulty.store, { clock, awaitTouch: true, storeBudget: 200 })
  const cookie = await newSession(process, { a: 1 })
  clock.advance(10 * MINUTE)
  faulty.hang({ methods: ['touch', 'update'] })
  const began = performance.now()
  const work = process.handle(createJar(cookie), async (session) => {
    await session.touch()
    await session.touch()
    session.b = 2
  })
  await expect(work).rejects.toMatchObject({ status: 503 })
  expect(performance.now() - began).toBeLessThan(400)
})

test('a cookie is kept by the browser for the absolute lifetime, in whole seconds', () => {
  expect(maxAgeSeconds(10_000, 0)).toBe(10)
  expect(maxAgeSeconds(10_001, 0)).toBe(11)
  expect(maxAgeSeconds(0, 10_000)).toBe(1)
  expect(maxAgeSeconds(Number.MAX_SAFE_INTEGER, 0)).toBe(400 * 24 * 3600)
})
