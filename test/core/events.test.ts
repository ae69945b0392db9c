import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { commitVisit } from '../../src/core/commit-visit.js'
import { createEventHub } from '../../src/core/events.js'
import { createWarnings } from '../../src/core/warnings.js'
import { WatchedPromise } from '../../src/core/watched-promise.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore } from '../../src/testing.js'
import { codeOf, createJar, createProcess, type TestSession } from './process.js'
import { newSession, show, storedData } from './scene.js'

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockReturnValue()
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('a listener', () => {
  test('that throws harms neither the others nor the request', async () => {
    const process = createProcess(memoryStore())
    const heard: unknown[] = []
    const warnings: unknown[] = []
    process.manager.on('warning', ({ code }) => warnings.push(code))
    process.manager.on('created', () => {
      throw new Error('oh no')
    })
    process.manager.on('created', ({ id }) => heard.push(id))
    const cookie = await newSession(process, { a: 1 })
    await newSession(process, { a: 1 })
    expect(heard).toHaveLength(2)
    expect(warnings).toEqual(['WARN_SESSION_LISTENER'])
    expect(await show(process, cookie)).toEqual({ a: 1 })
  })

  test('that throws at warnings does not go round in circles', () => {
    const onError = vi.fn()
    const hub = createEventHub(onError)
    const warn = createWarnings((warning) => hub.emit('warning', warning))
    onError.mockImplementation(() => warn('WARN_SESSION_LISTENER', () => 'threw'))
    hub.on('warning', () => {
      throw new Error('oh no')
    })
    warn('WARN_SESSION_CLOCK', () => 'late')
    expect(onError).toHaveBeenCalledTimes(2)
  })

  test('is called until it is taken off', () => {
    const hub = createEventHub(() => {})
    const listener = vi.fn()
    hub.off('lateChange', listener)
    hub.on('lateChange', listener)
    hub.emit('lateChange', { id: 'a' })
    hub.off('lateChange', listener)
    hub.emit('lateChange', { id: 'b' })
    expect(listener.mock.calls).toEqual([[{ id: 'a' }]])
  })
})

test('a warning is said once, and made up only when it is said', () => {
  const heard: string[] = []
  const warn = createWarnings(({ code }) => heard.push(code))
  const message = vi.fn(() => 'your clock is late')
  for (let times = 0; times < 3; times += 1) warn('WARN_SESSION_CLOCK', message)
  warn('WARN_SESSION_SECRET', () => 'short')
  expect(heard).toEqual(['WARN_SESSION_CLOCK', 'WARN_SESSION_SECRET'])
  expect(message).toHaveBeenCalledTimes(1)
  expect(process.emitWarning).toHaveBeenCalledTimes(2)
  expect(process.emitWarning).toHaveBeenCalledWith('your clock is late', {
    type: 'SessionWarning',
    code: 'WARN_SESSION_CLOCK',
  })
})

describe('a promise that knows whether anyone listens', () => {
  test('is watched by then, catch, finally and await, and by nothing else', async () => {
    for (const watch of [
      (promise: Promise<number>) => promise.then(),
      (promise: Promise<number>) => promise.catch(() => {}),
      (promise: Promise<number>) => promise.finally(() => {}),
      async (promise: Promise<number>) => await promise,
      (promise: Promise<number>) => Promise.all([promise]),
    ]) {
      const promise = new WatchedPromise<number>((resolve) => resolve(1))
      expect(promise.isWatched).toBe(false)
      await watch(promise)
      expect(promise.isWatched).toBe(true)
    }
  })

  test('does not end the process when it fails unwatched', async () => {
    const promise = new WatchedPromise((_resolve, reject) => reject(new Error('unheard')))
    promise.forgive()
    await new Promise((resolve) => setImmediate(resolve))
    expect(promise.isWatched).toBe(false)
  })
})

describe('a method that nobody awaits', () => {
  const unhandled = vi.fn()
  beforeEach(() => {
    unhandled.mockClear()
    process.on('unhandledRejection', unhandled)
  })
  afterEach(() => {
    process.off('unhandledRejection', unhandled)
  })

  test('holds up the answer until it is done', async () => {
    const faulty = faultyStore(memoryStore())
    faulty.slow(1)
    const process = createProcess(faulty.store)
    const jar = createJar()
    await process.handle(jar, (session) => {
      void session.signIn('u1')
    })
    expect(await show(process, jar.cookie as string)).toEqual({ userId: 'u1' })
  })

  test('fails the answer when it fails', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    faulty.fail(undefined, { methods: ['create'] })
    const jar = createJar()
    const work = process.handle(jar, (session) => {
      void session.signIn('u1')
    })
    expect(await codeOf(work)).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    expect(jar.cookie).toBeUndefined()
    await new Promise((resolve) => setImmediate(resolve))
    expect(unhandled).not.toHaveBeenCalled()
  })

  test('and whose failure was caught is the handler’s own business', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    faulty.fail(undefined, { methods: ['create'], times: 1 })
    await process.handle(createJar(), (session) => session.signIn('u1').catch(() => {}))
    expect(unhandled).not.toHaveBeenCalled()
  })

  test('comes after what was asked for before it', async () => {
    const faulty = faultyStore(memoryStore())
    faulty.slow(1)
    const process = createProcess(faulty.store)
    const cookie = await newSession(process, { n: 1 })
    await process.handle(createJar(cookie), (session) => {
      void session.update((data) => {
        data.n = (data.n as number) * 10
      })
      void session.update((data) => {
        data.n = (data.n as number) + 1
      })
    })
    expect(await storedData(faulty.store, cookie)).toEqual({ n: 11 })
  })
})

describe('a function given to update', () => {
  test('cannot reach for req.session or its methods', async () => {
    const process = createProcess(memoryStore())
    const cookie = await newSession(process, { n: 1 })
    const visitor = await process.request(createJar(cookie))
    const { session, visit } = visitor
    await expect(session.update(() => visit.open())).rejects.toThrow(/change the data/)
    await expect(session.update(() => session.take('n'))).rejects.toThrow(/inside req\.session/)
    await expect(session.update(() => void session.save())).rejects.toThrow(/inside req\.session/)
    await expect(session.update(async () => {})).rejects.toThrow(/synchronous/)
    await visitor.respond()
  })

  test('that throws changes nothing, and the error is its caller’s', async () => {
    const process = createProcess(memoryStore())
    for (const cookie of [await newSession(process, { n: 1 }), undefined]) {
      const { session } = await process.request(createJar(cookie))
      const failing = session.update((data) => {
        data.n = 2
        throw new RangeError('no')
      })
      await expect(failing).rejects.toThrow(new RangeError('no'))
      expect(session.n).toBe(cookie === undefined ? undefined : 1)
    }
  })
})

describe('two cookies of our name', () => {
  test('where one opens a session: that one counts', async () => {
    const process = createProcess(memoryStore())
    const { engine } = process
    const cookie = await newSession(process, { a: 1 })
    const dead = await newSession(process, { b: 2 })
    await process.handle(createJar(dead), (session) => session.signOut())
    for (const values of [
      [dead, cookie],
      [cookie, dead],
      ['nonsense', cookie],
      [cookie, cookie],
    ]) {
      const visit = await openBoth(engine, values)
      expect({ ...visit.open() }).toEqual({ a: 1 })
      expect(visit.order.kind).toBe('none')
    }
  })

  test('that both open a session: neither counts, both are cleared, and a sign-in goes on', async () => {
    const process = createProcess(memoryStore())
    const { engine, manager } = process
    const rejected: unknown[] = []
    manager.on('rejected', ({ reason }) => rejected.push(reason))
    const values = [await newSession(process, { a: 1 }), await newSession(process, { b: 2 })]
    const visit = await openBoth(engine, values)
    expect(visit.isDuplicate).toBe(true)
    expect({ ...visit.open() }).toEqual({})
    expect(visit.order.kind).toBe('clear')
    expect(rejected).toEqual(['duplicate'])
    await visit.open().signIn('u1')
    await commitVisit(visit)
    expect(visit.order.kind).toBe('set')
  })

  async function openBoth(
    engine: ReturnType<typeof createProcess>['engine'],
    values: readonly string[],
  ) {
    const { openVisit } = await import('../../src/core/open-visit.js')
    const { createClient } = await import('./process.js')
    return openVisit(engine, createClient(), values)
  }
})

test('where the store fails, an anonymous session can be read and never written', async () => {
  const faulty = faultyStore(memoryStore())
  const process = createProcess(faulty.store, { onStoreError: 'anonymous' })
  const cookie = await newSession(process, { a: 1 })
  faulty.fail()
  const jar = createJar(cookie)
  expect(await show(process, cookie)).toEqual({ is: 'degraded' })
  const changes: ((session: TestSession) => unknown)[] = [
    (session) => Object.assign(session, { a: 1 }),
    (session) => session.signIn('u1'),
    (session) => session.update(() => {}),
    (session) => session.regenerate(),
  ]
  for (const change of changes) {
    const work = process.handle(jar, change)
    expect(await codeOf(work)).toBe('ERR_SESSION_READ_ONLY')
  }
  expect(jar.cookie).toBe(cookie)
})
