import { describe, expect, test } from 'vitest'
import { encodePayload } from '../../src/core/record.js'
import type { SessionStore } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore, movableClock } from '../../src/testing.js'
import { codeOf, createJar, createProcess, type Data, dataOf, type TestSession } from './process.js'
import { createScene, idOf, newSession, show, stored, storedData } from './scene.js'

// The interleavings that a model checker found to break protocols like this one, each as a fixed case.

describe('a session that ended while a request was under way (Q1)', () => {
  const changes: Record<string, (session: TestSession) => unknown> = {
    'an assignment': (session) => {
      session.x = 1
    },
    'an update': (session) =>
      session.update((data) => {
        data.x = 1
      }),
    'a take': (session) => session.take('flash'),
  }

  for (const [name, change] of Object.entries(changes)) {
    test(`${name} is refused with 401 and not stored`, async () => {
      const { store, gate, fast, enter } = createScene()
      const cookie = await newSession(fast, { flash: 'hello' })
      const visitor = await enter(createJar(cookie))
      const work = Promise.resolve(change(visitor.session)).then(() => visitor.respond())
      const outcome = codeOf(work)
      const update = await gate.next('update')
      await fast.handle(createJar(cookie), (session) => session.signOut())
      await update.finish()
      expect(await outcome).toBe('ERR_SESSION_ENDED')
      expect(await storedData(store, cookie)).toBeUndefined()
      expect(visitor.visit.order.kind).toBe('none')
    })
  }

  test('a request that changed nothing answers as it would have', async () => {
    const { fast, enter } = createScene()
    const cookie = await newSession(fast, { flash: 'hello' })
    const visitor = await enter(createJar(cookie))
    expect(dataOf(visitor.session)).toEqual({ flash: 'hello' })
    await fast.handle(createJar(cookie), (session) => session.signOut())
    await visitor.respond()
    expect(visitor.visit.order.kind).toBe('none')
  })

  test('a change that another request had made just so is refused as well', async () => {
    const { gate, fast, enter } = createScene()
    const cookie = await newSession(fast, { x: 0 })
    const [first, second] = [await enter(createJar(cookie)), await enter(createJar(cookie))]
    first.session.x = 1
    const stored = first.respond()
    await (await gate.next('update')).go()
    const reply = await gate.next('update', 'reply')
    await fast.handle(createJar(cookie), (session) => session.signOut())
    second.session.x = 1
    const late = codeOf(second.respond())
    await reply.go()
    await stored
    expect(await gate.run(late)).toBe('ERR_SESSION_ENDED')
  })

  test('a change without effect is refused as well', async () => {
    const { gate, fast, enter } = createScene()
    const cookie = await newSession(fast, { n: 1 })
    const visitor = await enter(createJar(cookie))
    const outcome = codeOf(visitor.session.update(() => 'nothing'))
    await fast.handle(createJar(cookie), (session) => session.signOut())
    await (await gate.next('load')).finish()
    expect(await outcome).toBe('ERR_SESSION_ENDED')
  })
})

test('a request does not join a load that was sent before it began (Q3)', async () => {
  const { slow, fast, gate } = createScene()
  const cookie = await newSession(fast, {}, 'u1')
  const first = slow.request(createJar(cookie))
  const load = await gate.next('load')
  await load.go()
  const reply = await gate.next('load', 'reply')
  await fast.manager.revokeByUser('u1')
  const second = slow.request(createJar(cookie))
  const third = slow.request(createJar(cookie))
  await reply.go()
  expect((await first).session.info.userId).toBe('u1')
  await (await gate.next('load')).finish()
  expect((await second).visit.kind).toBe('new')
  // The third shared the load of the second.
  expect((await third).visit.kind).toBe('new')
  expect(gate.waiting).toEqual([])
})

describe('a sign-in on a session that others write to', () => {
  test('drops what was planted after it was loaded (Q5)', async () => {
    const { store, gate, fast, enter } = createScene()
    const planted = await newSession(fast, { cart: ['book'] })
    const jar = createJar(planted)
    const victim = await enter(jar)
    const work = victim.session.signIn('u1', { keep: ['cart'], data: { name: 'ada' } })
    const update = await gate.next('update')
    await fast.handle(createJar(planted), (session) => {
      session.isAdmin = true
      session.cart = ['book', 'pen']
    })
    await update.finish()
    await (await gate.next('update')).finish()
    await gate.run(work)
    await victim.respond()
    expect(await storedData(store, planted)).toEqual({ cart: ['book', 'pen'], name: 'ada' })
    expect(dataOf(victim.session)).toEqual({ cart: ['book', 'pen'], name: 'ada' })
    expect(await show(fast, jar.cookie as string)).toEqual({
      cart: ['book', 'pen'],
      name: 'ada',
      userId: 'u1',
    })
  })

  test('shows nothing of itself to whoever planted the cookie (Q6)', async () => {
    const { gate, fast, enter } = createScene()
    const planted = await newSession(fast, { n: 0 })
    const seen: Data[] = []
    const attacks: ((session: TestSession) => Promise<unknown>)[] = [
      (session) => session.reload(),
      (session) => session.update((data) => void seen.push({ ...data })),
      (session) => session.take('secret'),
      (session) => {
        session.planted = true
        return session.save()
      },
      (session) => session.regenerate(),
    ]
    const visitors = []
    for (const attack of attacks) {
      visitors.push({ attack, visitor: await enter(createJar(planted)) })
    }
    const jar = createJar(planted)
    await fast.handle(jar, (session) => session.signIn('u1', { data: { secret: 's' } }))
    await gate.open()
    for (const { attack, visitor } of visitors) {
      expect(await codeOf(attack(visitor.session))).toBe('ERR_SESSION_ROTATED')
      expect(dataOf(visitor.session)).not.toHaveProperty('secret')
      expect(visitor.session.info.userId).toBeUndefined()
    }
    // The function may have run on what the attacker had loaded, never on more.
    expect(seen.filter((data) => 'secret' in data)).toEqual([])
    expect(await show(fast, jar.cookie as string)).toEqual({ secret: 's', userId: 'u1' })
  })

  test('is not seen by a change that is stored just before it in the same process', async () => {
    const { gate, fast, enter } = createScene()
    const planted = await newSession(fast, { token: 't' })
    const [busy, attacker, victim] = [
      await enter(createJar(planted)),
      await enter(createJar(planted)),
      await enter(createJar(planted)),
    ]
    busy.session.x = 1
    const work = [
      busy.respond(),
      attacker.session.take('token'),
      victim.session.signIn('u1', { data: { secret: 's' } }),
    ]
    await gate.run(Promise.all(work))
    expect(await work[1]).toBe('t')
    expect(dataOf(attacker.session)).toEqual({ x: 1 })
    expect(attacker.session.info.userId).toBeUndefined()
    expect(dataOf(victim.session)).toEqual({ secret: 's' })
  })

  test('is a fence even when the latest rotation was none of privilege (Q7)', async () => {
    const { store, gate, fast, enter } = createScene()
    const planted = await newSession(fast, { n: 0 })
    const attacker = await enter(createJar(planted))
    attacker.session.planted = true
    const outcome = codeOf(attacker.respond())
    const update = await gate.next('update')
    await fast.handle(createJar(planted), (session) => session.signIn('u1'))
    await renew(store, planted)
    await update.finish()
    expect(await outcome).toBe('ERR_SESSION_ROTATED')
    expect(await storedData(store, planted)).toEqual({})
  })

  test('a rotation without privilege is no fence for who was there before', async () => {
    const { store, gate, fast, enter } = createScene()
    const cookie = await newSession(fast, { n: 0 }, 'u1')
    const visitor = await enter(createJar(cookie))
    visitor.session.x = 1
    const work = visitor.respond()
    const update = await gate.next('update')
    await renew(store, cookie)
    await update.finish()
    await gate.run(work)
    expect(await storedData(store, cookie)).toEqual({ n: 0, x: 1 })
    expect(visitor.visit.order.kind).toBe('none')
  })

  /** What a renewal will do: another secret for the same rights. */
  async function renew(store: ReturnType<typeof memoryStore>, cookie: string): Promise<void> {
    const id = idOf(cookie)
    const session = await stored(store, cookie)
    const record = await store.load(id, Date.now())
    if (session === undefined || record === undefined) throw new Error('nothing to renew')
    const { meta, text, version } = session
    const previous = [{ secretHash: meta.secretHash, at: Date.now() }]
    const payload = encodePayload({ ...meta, secretHash: 'renewed', previous }, text)
    await store.update(id, { ...record, version: 'renewed', payload }, version, Date.now())
  }
})

describe('a fail-over that loses writes (Q8)', () => {
  test('does not let a write pass on a version that was given twice', async () => {
    const faulty = faultyStore(memoryStore())
    const { gate, fast, enter } = createScene({}, faulty.store)
    const cookie = await newSession(fast, { n: 0 })
    await fast.handle(createJar(cookie), (session) => {
      session.a = 1
    })
    const late = await enter(createJar(cookie))
    await faulty.loseWrites(1)
    await fast.handle(createJar(cookie), (session) => {
      session.c = 1
    })
    late.session.b = 1
    await gate.run(late.respond())
    expect(await storedData(faulty.store, cookie)).toEqual({ n: 0, b: 1, c: 1 })
  })

  for (const lost of [1, 2, 3]) {
    test(`keeps the data of one user out of another's session, ${lost} writes lost`, async () => {
      const faulty = faultyStore(memoryStore())
      const { gate, fast, enter } = createScene({}, faulty.store)
      const shared = await newSession(fast, { n: 0 })
      const first = createJar(shared)
      await fast.handle(first, (session) => session.signIn('u1', { data: { of: 'u1' } }))
      for (let write = 1; write < lost; write += 1) {
        await fast.handle(first, (session) => {
          session[`w${write}`] = 'u1'
        })
      }
      const late = await enter(createJar(first.cookie))
      late.session.private = 'u1'
      await faulty.loseWrites(lost)
      const second = createJar(shared)
      await fast.handle(second, (session) => session.signIn('u2'))
      expect(await gate.run(codeOf(late.respond()))).toBe('ERR_SESSION_ROTATED')
      expect(await show(fast, second.cookie as string)).toEqual({ userId: 'u2' })
      expect(await show(fast, first.cookie as string)).toEqual({ is: 'new' })
    })
  }
})

describe('a sign-in does not fail because of the session it began with (Q9)', () => {
  test('a form that is sent twice signs in twice', async () => {
    const { gate, fast, enter } = createScene()
    const cookie = await newSession(fast, { cart: 1 })
    const jars = [createJar(cookie), createJar(cookie)] as const
    const both = [await enter(jars[0]), await enter(jars[1])]
    await gate.run(Promise.all(both.map(({ session }) => session.signIn('u1', { keep: ['cart'] }))))
    await gate.open()
    for (const visitor of both) await visitor.respond()
    expect(jars[0].cookie).not.toBe(jars[1].cookie)
    for (const jar of jars) {
      expect(await show(fast, jar.cookie as string)).toEqual({ cart: 1, userId: 'u1' })
    }
    expect(await show(fast, cookie)).toEqual({ is: 'superseded' })
  })

  test('a session that ended or expired meanwhile is replaced', async () => {
    const clock = movableClock()
    const ends = [
      (cookie: string, { fast }: ReturnType<typeof createScene>) =>
        fast.manager.revoke(idOf(cookie)),
      () => clock.advance(31 * 60_000),
    ]
    for (const end of ends) {
      const scene = createScene({ clock })
      const cookie = await newSession(scene.fast, { cart: 1, other: 2 })
      const jar = createJar(cookie)
      const visitor = await scene.enter(jar)
      await end(cookie, scene)
      await scene.gate.open()
      await visitor.session.signIn('u1', { keep: ['cart'] })
      await visitor.respond()
      expect(idOf(jar.cookie as string)).not.toBe(idOf(cookie))
      expect(await show(scene.fast, jar.cookie as string)).toEqual({ cart: 1, userId: 'u1' })
    }
  })

  test('a load that failed is not taken for an anonymous visit', async () => {
    const faulty = faultyStore(memoryStore())
    const { fast } = createScene({}, faulty.store)
    const cookie = await newSession(fast, { n: 0 })
    faulty.fail(undefined, { methods: ['load'], times: 2 })
    const outcome = codeOf(fast.handle(createJar(cookie), (session) => session.signIn('u1')))
    expect(await outcome).toBe('ERR_SESSION_STORE')
  })

  test('another user gets another session, and the first one ends (Q18)', async () => {
    const { fast } = createScene()
    const cookie = await newSession(fast, { of: 'u1' }, 'u1')
    const jar = createJar(cookie)
    await fast.handle(jar, (session) => session.signIn('u2'))
    expect(idOf(jar.cookie as string)).not.toBe(idOf(cookie))
    expect(await show(fast, jar.cookie as string)).toEqual({ userId: 'u2' })
    expect(await fast.manager.listByUser('u1')).toEqual([])
    expect(await fast.manager.listByUser('u2')).toHaveLength(1)
  })
})

describe('a request of several changes builds each on the one before (Q13)', () => {
  test('an update of another request between two of its own is kept', async () => {
    const { store, gate, fast, enter } = createScene()
    const cookie = await newSession(fast, { n: 0 })
    const increment = (data: Data): number => {
      data.n = (data.n as number) + 1
      return data.n as number
    }
    const visitor = await enter(createJar(cookie))
    expect(await gate.run(visitor.session.update(increment))).toBe(1)
    expect(await fast.handle(createJar(cookie), (s) => s.update(increment))).toBe(2)
    visitor.session.x = 1
    await gate.run(visitor.respond())
    expect(await storedData(store, cookie)).toEqual({ n: 2, x: 1 })
  })

  test('what was set anew after a take stays', async () => {
    const { store, gate, fast, enter } = createScene()
    const cookie = await newSession(fast, { flash: 'old' })
    const visitor = await enter(createJar(cookie))
    expect(await gate.run(visitor.session.take('flash'))).toBe('old')
    await fast.handle(createJar(cookie), (session) => {
      session.flash = 'new'
    })
    visitor.session.x = 1
    await gate.run(visitor.respond())
    expect(await storedData(store, cookie)).toEqual({ flash: 'new', x: 1 })
  })

  test('assignments made while a change was under way come on top of it', async () => {
    const { store, gate, fast, enter } = createScene()
    const cookie = await newSession(fast, { n: 0 })
    const { session, respond } = await enter(createJar(cookie))
    const work = session.update((data) => {
      data.n = 1
    })
    session.meanwhile = true
    await gate.run(work)
    expect(dataOf(session)).toEqual({ n: 1, meanwhile: true })
    await gate.run(respond())
    expect(await storedData(store, cookie)).toEqual({ n: 1, meanwhile: true })
  })
})

describe('a change whose answer was lost (Q14)', () => {
  test('is told as unknown and not sent again', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const cookie = await newSession(process, { n: 0, token: 't' })
    faulty.reset()
    faulty.loseReplies({ methods: ['update'], times: 1 })
    const increment = process.handle(createJar(cookie), (session) =>
      session.update((data) => {
        data.n = (data.n as number) + 1
      }),
    )
    expect(await codeOf(increment)).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    expect(faulty.calls.update).toBe(1)
    expect(await storedData(faulty.store, cookie)).toMatchObject({ n: 1 })

    faulty.loseReplies({ methods: ['update'], times: 1 })
    const taken = process.handle(createJar(cookie), (session) => session.take('token'))
    expect(await codeOf(taken)).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    const again = process.handle(createJar(cookie), (session) => session.take('token'))
    expect(await again).toBeUndefined()
  })

  test('as a sign-in is looked at once, and its own mark there means success', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const jar = createJar(await newSession(process, { n: 0 }))
    faulty.loseReplies({ methods: ['update'], times: 1 })
    await process.handle(jar, (session) => session.signIn('u1'))
    expect(await show(process, jar.cookie as string)).toEqual({ userId: 'u1' })
  })

  test('as a first write is taken back, and comes under another id if it comes again (Q27)', async () => {
    const { store, slow, fast, gate } = createScene()
    const jar = createJar()
    const visitor = await slow.request(jar)
    visitor.session.x = 1
    const saved = codeOf(visitor.session.save())
    const lost = await gate.next('create')
    const { id } = visitor.session
    await lost.go()
    await (await gate.next('create', 'reply')).fail()
    expect(await saved).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    const takenBack = await gate.next('delete')
    const work = visitor.respond()
    await (await gate.next('create')).finish()
    await work
    await takenBack.finish()
    expect(idOf(jar.cookie as string)).not.toBe(id)
    expect(await store.load(id as never, Date.now())).toBeUndefined()
    expect(await show(fast, jar.cookie as string)).toMatchObject({ x: 1 })
  })
})

describe('a touch (Q20)', () => {
  const minute = 60_000

  test('does not shorten a session that was remembered meanwhile', async () => {
    const clock = movableClock()
    const { store, slow, fast, gate } = createScene({ clock })
    const cookie = await newSession(fast, { a: 1 })
    clock.advance(10 * minute)
    const poll = slow.request(createJar(cookie))
    await (await gate.next('load')).finish()
    await poll
    const touch = await gate.next('touch')
    await fast.handle(createJar(cookie), (session) =>
      session.signIn('u1', { maxAge: 30 * 24 * 60 * minute }),
    )
    await touch.finish()
    await gate.open()
    const session = await stored(store, cookie, clock.now())
    expect(session?.expiresAt).toBe(clock.now() + 30 * 24 * 60 * minute)
  })

  test('is sent again, for the newer record, where another request wrote meanwhile', async () => {
    const clock = movableClock()
    const { store, slow, fast, gate } = createScene({ clock })
    const cookie = await newSession(fast, { a: 1 })
    clock.advance(10 * minute)
    const poll = slow.request(createJar(cookie))
    await (await gate.next('load')).finish()
    await poll
    const touch = await gate.next('touch')
    await fast.handle(createJar(cookie), (session) => {
      session.x = 1
      session.cookie.maxAge = 60 * minute
    })
    clock.advance(minute)
    await touch.finish()
    await gate.open()
    expect(await stored(store, cookie, clock.now())).toMatchObject({
      text: '{"a":1,"x":1}',
      lastSeenAt: clock.now(),
      expiresAt: clock.now() + 60 * minute,
    })
  })

  test('that comes late never moves last-seen back', async () => {
    const clock = movableClock()
    const { store, slow, fast, gate } = createScene({ clock })
    const cookie = await newSession(fast, { a: 1 })
    clock.advance(10 * minute)
    await Promise.all([slow.request(createJar(cookie)), gate.next('load').then((c) => c.finish())])
    const late = await gate.next('touch')
    clock.advance(10 * minute)
    await fast.request(createJar(cookie))
    const seenAt = clock.now()
    await late.finish()
    const session = await stored(store, cookie, clock.now())
    expect(session).toMatchObject({ lastSeenAt: seenAt, expiresAt: seenAt + 30 * minute })
  })

  test('does not bring back a session that ended', async () => {
    const clock = movableClock()
    const { store, slow, fast, gate } = createScene({ clock })
    const cookie = await newSession(fast, { a: 1 })
    clock.advance(10 * minute)
    await Promise.all([slow.request(createJar(cookie)), gate.next('load').then((c) => c.finish())])
    const touch = await gate.next('touch')
    await fast.manager.revoke(idOf(cookie))
    await touch.finish()
    expect(await stored(store, cookie, clock.now())).toBeUndefined()
  })
})

describe('a sign-out that the store does not confirm (Q22)', () => {
  test('is refused with 503, clears the cookie, and holds in this process at once', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const cookie = await newSession(process, {}, 'u1')
    faulty.fail(undefined, { methods: ['delete'] })
    const visitor = await process.request(createJar(cookie))
    expect(await codeOf(visitor.session.signOut())).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    expect(visitor.visit.order.kind).toBe('clear')
    expect(await show(process, cookie)).toEqual({ is: 'new' })
    expect(await process.manager.listByUser('u1')).toEqual([])
    await faulty.heal()
    await process.engine.tombstones.attempt(idOf(cookie))
    expect(await storedData(faulty.store, cookie)).toBeUndefined()
    await process.manager.close()
  })

  test('does not end the sign-in that follows it', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const cookie = await newSession(process, { cart: 1 }, 'u1')
    const jar = createJar(cookie)
    const other = await process.request(jar)
    faulty.hang({ methods: ['delete'] })
    const visitor = await process.request(createJar(cookie))
    const outcome = codeOf(visitor.session.signOut())
    await new Promise((resolve) => setImmediate(resolve))
    await faulty.heal('fail')
    expect(await outcome).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
    await other.session.signIn('u1', { keep: ['cart'] })
    await other.respond()
    await process.engine.tombstones.attempt(idOf(cookie))
    expect(await show(process, jar.cookie as string)).toEqual({ cart: 1, userId: 'u1' })
    expect(await storedData(faulty.store, cookie)).toBeUndefined()
    await process.manager.close()
  })
})

describe('a sign-in that races the revocation of its user (Q19)', () => {
  const places = ['in this process', 'in another process'] as const
  const stores = { 'is asked': memoryStore, tells: tellingStore }
  for (const [place, [how, open]] of places.flatMap((one) =>
    Object.entries(stores).map((store) => [one, store] as const),
  )) {
    test(`is refused where its request began before the revocation ${place}, and the store ${how}`, async () => {
      const clock = movableClock()
      const { slow, fast, gate } = createScene({ clock }, open())
      const visitor = await slow.request(createJar())
      clock.advance(100)
      const work = codeOf(visitor.session.signIn('u1'))
      const create = await gate.next('create')
      const { manager } = place === 'in this process' ? slow : fast
      await gate.run(manager.revokeByUser('u1'))
      await create.finish()
      expect(await gate.run(work)).toBe('ERR_SESSION_REVOKED')
      expect(await fast.manager.listByUser('u1')).toEqual([])
    })
  }

  test('leaves no session where the store answers what is no mark', async () => {
    const inner = memoryStore()
    const store = { ...inner, revocationMark: () => null as never }
    const process = createProcess(store)
    const jar = createJar()
    await process.handle(jar, async (session) => {
      await expect(session.signIn('u1')).rejects.toThrow(TypeError)
    })
    expect(jar.cookie).toBeUndefined()
    await process.manager.close()
  })

  test('is fine where its request began after the revocation', async () => {
    const clock = movableClock()
    const { store, fast } = createScene({ clock })
    await createProcess(store, { clock }).manager.revokeByUser('u1')
    clock.advance(1)
    await newSession(fast, {}, 'u1')
    await fast.manager.revokeByUser('u2')
    expect(await fast.manager.listByUser('u1')).toHaveLength(1)
  })

  test('is fine where the revocation excepts its session', async () => {
    const { fast } = createScene()
    const jar = createJar(await newSession(fast, {}, 'u1'))
    await fast.handle(jar, async (session) => {
      await fast.manager.revokeByUser('u1', { except: session.id })
      await session.signIn('u1')
    })
    expect(await show(fast, jar.cookie as string)).toEqual({ userId: 'u1' })
  })
})

/** One that tells the mark when it stores the record of a sign-in, and must not be asked for it. */
function tellingStore(): SessionStore {
  const store = memoryStore()
  return {
    ...store,
    async create(key, record, now, tellMark) {
      const isCreated = await store.create(key, record, now)
      tellMark?.(await store.revocationMark?.(record.userId ?? '', now))
      return isCreated
    },
    revocationMark() {
      throw new Error('asked for what was told')
    },
  }
}

test('reading again with the cookie from before a sign-in shows nothing of it', async () => {
  const { gate, fast, enter } = createScene()
  const planted = await newSession(fast, { n: 0 })
  const attacker = await enter(createJar(planted))
  await fast.handle(createJar(planted), (session) =>
    session.signIn('u1', { data: { secret: 's' } }),
  )
  await gate.open()
  expect(await codeOf(attacker.session.reload())).toBe('ERR_SESSION_ROTATED')
  expect(dataOf(attacker.session)).toEqual({ n: 0 })
  const next = await fast.request(createJar(planted))
  expect(next.visit.kind).toBe('superseded')
  expect(dataOf(next.session)).toEqual({})
  expect(await codeOf(next.session.reload())).toBe('ERR_SESSION_ROTATED')
  next.session.x = 1
  expect(await codeOf(next.respond())).toBe('ERR_SESSION_ROTATED')
  expect(next.visit.order.kind).toBe('none')
})
