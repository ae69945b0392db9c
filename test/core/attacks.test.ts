import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { commitVisit } from '../../src/core/commit-visit.js'
import { openVisit } from '../../src/core/open-visit.js'
import type { SessionInfo } from '../../src/core/session.js'
import type { SessionRecord } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore, gatedStore, movableClock } from '../../src/testing.js'
import {
  codeOf,
  createClient,
  createJar,
  createProcess,
  type Data,
  type Jar,
  type Process,
  type TestSession,
} from './process.js'
import { idOf, newSession, show, stored, storedData } from './scene.js'

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockReturnValue()
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('who is nobody', () => {
  test('ends no session, whoever it belongs to', async () => {
    const process = createProcess(memoryStore())
    const revoked: unknown[] = []
    process.manager.on('revoked', (event) => revoked.push(event))
    for (const user of ['ada', undefined]) {
      const cookie = await newSession(process, { n: 1 }, user)
      expect(await process.manager.revoke(idOf(cookie), { userId: undefined })).toBe(false)
      expect(await show(process, cookie)).toMatchObject({ n: 1 })
    }
    expect(revoked).toEqual([])
  })

  test('and what is no user id is refused, before the store is asked', async () => {
    const faulty = faultyStore(memoryStore())
    const { manager } = createProcess(faulty.store)
    const wrong: unknown[] = [undefined, null, '', 'a\0b', '\ud800', Number.NaN, {}, [], true]
    for (const userId of wrong as string[]) {
      await expect(manager.listByUser(userId)).rejects.toThrow(/^listByUser takes the user's id/)
      await expect(manager.revokeByUser(userId)).rejects.toThrow(/^revokeByUser takes the user's/)
      if (userId === undefined) continue
      const revoked = manager.revoke('A'.repeat(22), { userId })
      await expect(revoked).rejects.toThrow(TypeError)
    }
    expect(faulty.total).toBe(0)
  })
})

test('a store that always says conflict, and says it at once, is contention and not an endless try', async () => {
  const inner = memoryStore()
  let tries = 0
  const process = createProcess({
    ...inner,
    update(key, _record, _version, now) {
      tries += 1
      // What used to go on for ever would hang the whole run; this lets it fail instead.
      if (tries > 5000) throw new Error('it goes on and on')
      return { outcome: 'conflict', record: inner.load(key, now) as SessionRecord }
    },
  })
  const jar = createJar(await newSession(process, { n: 1 }))
  const { session, respond } = await process.request(jar)
  session.n = 2
  await expect(respond()).rejects.toMatchObject({ code: 'ERR_SESSION_CONTENTION', status: 409 })
})

describe('of more cookies than three that verify', () => {
  test.each([0, 3])('none counts, be the right one the first or the last: %s', async (place) => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const rejected: string[] = []
    process.manager.on('rejected', ({ reason }) => rejected.push(reason))
    const cookies: string[] = []
    for (let count = 0; count < 4; count += 1) {
      const cookie = await newSession(process, {}, 'ada')
      cookies.push(cookie)
      if (count !== place) await process.manager.revoke(idOf(cookie))
    }
    faulty.reset()
    const visit = await openVisit(process.engine, createClient(), cookies)
    expect([visit.kind, visit.isDuplicate, rejected]).toEqual(['new', true, ['duplicate']])
    expect(await commitVisit(visit)).toEqual({ kind: 'clear' })
    expect(faulty.total).toBe(0)
  })
})

test('an async listener that rejects is warned of and ends nothing', async () => {
  const process = createProcess(memoryStore())
  const warnings: string[] = []
  process.manager.on('warning', ({ code }) => warnings.push(code))
  process.manager.on('created', () => Promise.reject(new Error('no')) as never)
  await newSession(process, { n: 1 })
  await vi.waitFor(() => expect(warnings).toEqual(['WARN_SESSION_LISTENER']))
})

describe('after a key was refused', () => {
  test.each<[string, (session: TestSession) => Promise<unknown>]>([
    ['save', (session) => session.save()],
    ['signIn', (session) => session.signIn('ada')],
    ['regenerate', (session) => session.regenerate({ keep: ['isAdmin'] })],
    [
      'update',
      (session) =>
        session.update((data) => {
          data.isAdmin = true
        }),
    ],
  ])('%s of the same request stores nothing', async (_method, call) => {
    for (const isNew of [false, true]) {
      const faulty = faultyStore(memoryStore())
      const process = createProcess(faulty.store)
      const jar = createJar(isNew ? undefined : await newSession(process, { n: 1 }))
      const { session, respond } = await process.request(jar)
      faulty.reset()
      expect(() => Object.assign(session, { isAdmin: true, id: 1 })).toThrow('session.id')
      expect(await codeOf(call(session))).toBe('ERR_SESSION_RESERVED_KEY')
      expect(await codeOf(respond())).toBe('ERR_SESSION_RESERVED_KEY')
      expect(faulty.total).toBe(0)
      if (!isNew) expect(await storedData(faulty.store, jar.cookie ?? '')).toEqual({ n: 1 })
    }
  })
})

describe('the cookie from before a session was replaced', () => {
  const REPLACE: Readonly<Record<string, (session: TestSession) => Promise<void>>> = {
    'a regenerate': (session) => session.regenerate({ keep: ['n'] }),
    'a regenerate that keeps nothing': (session) => session.regenerate(),
    'a sign-in as another user': (session) => session.signIn('bob'),
  }

  async function write(process: Process, jar: Jar): Promise<string> {
    const visitor = await process.request(jar)
    visitor.session.track = 1
    return codeOf(visitor.respond())
  }

  test.each(Object.entries(REPLACE))(
    'by %s is late for a minute, in every process, and then nothing',
    async (_how, replace) => {
      const clock = movableClock()
      const store = memoryStore()
      const [here, there] = [createProcess(store, { clock }), createProcess(store, { clock })]
      const jar = createJar(await newSession(here, { n: 1 }, 'ada'))
      const old = jar.cookie as string
      await here.handle(jar, replace)
      clock.advance(59_999)
      for (const process of [here, there]) {
        const late = createJar(old)
        expect(await write(process, late)).toBe('ERR_SESSION_ROTATED')
        expect(late.cookie).toBe(old)
        expect(await show(process, old)).toEqual({ is: 'superseded' })
        // What is left of the old session is nobody's.
        expect(await process.manager.listByUser('ada')).toEqual([])
      }
      clock.advance(1)
      for (const process of [here, there]) {
        const late = createJar(old)
        expect(await show(process, old)).toEqual({ is: 'new' })
        expect(await write(process, late)).toBe('ok')
        expect(late.cookie).not.toBe(old)
      }
    },
  )

  test('is late after two rotations, and after a rotation and an end, within that minute', async () => {
    const clock = movableClock()
    const process = createProcess(memoryStore(), { clock })
    const jar = createJar(await newSession(process, { n: 1 }))
    const cookies: string[] = []
    for (const step of [
      (session: TestSession) => session.signIn('ada'),
      (session: TestSession) => session.signIn('ada'),
      (session: TestSession) => session.regenerate(),
    ]) {
      cookies.push(jar.cookie as string)
      await process.handle(jar, step)
      clock.advance(15_000)
      for (const cookie of cookies) {
        expect(await write(process, createJar(cookie))).toBe('ERR_SESSION_ROTATED')
      }
    }
    clock.advance(15_001)
    expect(await show(process, cookies[0] as string)).toEqual({ is: 'new' })
    expect(await show(process, cookies[2] as string)).toEqual({ is: 'superseded' })
  })
})

describe('what is assigned after a regenerate that nobody waits for', () => {
  const WAYS: readonly [options: { keep: string[] } | undefined, data: Data][] = [
    [undefined, { flash: 'hello' }],
    [{ keep: ['n'] }, { n: 1, flash: 'hello' }],
    [{ keep: ['n', 'gone'] }, { n: 1, flash: 'hello' }],
  ]
  for (const isGated of [false, true]) {
    test.each(WAYS)(
      `is in the new session, on a store that answers ${isGated ? 'later' : 'at once'}, with %o`,
      async (options, data) => {
        const inner = memoryStore()
        const gate = gatedStore(inner)
        const fast = createProcess(inner)
        const process = isGated ? createProcess(gate.store) : fast
        const jar = createJar(await newSession(fast, { n: 1, gone: 2 }))
        if (isGated) await gate.open()
        await process.handle(jar, (session) => {
          void session.regenerate(options)
          session.flash = 'hello'
          delete session.gone
        })
        expect(await storedData(inner, jar.cookie as string)).toEqual(data)
      },
    )
  }
})

describe('a check', () => {
  test.each([true, false])(
    'tells of a store that fails, whether it has a ping: %s',
    async (has) => {
      const { ping, ...rest } = memoryStore()
      const faulty = faultyStore(has ? { ...rest, ping: ping ?? (() => ({})) } : rest)
      const { manager } = createProcess(faulty.store)
      expect(await manager.check()).toMatchObject({ ok: true })
      faulty.fail()
      const result = await manager.check()
      expect(result).toMatchObject({ ok: false, latency: undefined })
      expect(result).toHaveProperty('error')
    },
  )
})

describe('touch()', () => {
  const expiry = (session: TestSession) => (session.info as SessionInfo).expiresAt

  test('rejects where the store fails', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const jar = createJar(await newSession(process, { n: 1 }))
    const { session, respond } = await process.request(jar)
    faulty.refuse('no', { methods: ['touch'] })
    const before = expiry(session)
    expect(await codeOf(session.touch())).toBe('ERR_SESSION_STORE')
    expect(expiry(session)).toBe(before)
    expect(await codeOf(respond())).toBe('ok')
  })

  test('moves the time at which the session expires, for this request and for the next', async () => {
    const clock = movableClock()
    const store = memoryStore()
    const process = createProcess(store, { clock })
    const jar = createJar(await newSession(process, { n: 1 }))
    const { session, respond } = await process.request(jar)
    const before = expiry(session)
    clock.advance(5000)
    await session.touch()
    expect(expiry(session)).toBe(before + 5000)
    session.n = 2
    await respond()
    expect(await stored(store, jar.cookie as string, clock.now())).toMatchObject({
      expiresAt: before + 5000,
      text: '{"n":2}',
    })
  })
})

describe('an array of a class of its own', () => {
  class Cart extends Array<number> {
    total(): number {
      return this.reduce((sum, price) => sum + price, 0)
    }
  }

  test('is refused with its path', async () => {
    const process = createProcess(memoryStore())
    for (const [value, path] of [
      [Cart.of(1, 2), 'user'],
      [{ cart: [Cart.of()] }, 'user.cart[0]'],
      [new Map([['cart', Cart.of(1)]]), expect.stringMatching(/^user/)],
    ] as const) {
      const { session, respond } = await process.request()
      session.user = value
      await expect(respond()).rejects.toMatchObject({ code: 'ERR_SESSION_DATA', path })
    }
  })
})
