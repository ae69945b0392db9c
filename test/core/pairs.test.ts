import { describe, expect, test } from 'vitest'
import type { SessionStore } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore, type MovableClock, movableClock } from '../../src/testing.js'
import {
  codeOf,
  createJar,
  createProcess,
  type Data,
  dataOf,
  type Jar,
  type Process,
  type Visitor,
} from './process.js'
import { idOf, newSession, show, storedData } from './scene.js'

// Every pair of operations on one session: the one of the row had loaded it, then that of the column was acknowledged
// in another process, then the row commits.

const MINUTE = 60_000
const BASE: Data = { a: 1, n: 0, flash: 'f', cart: 'c' }
const KEEP = ['cart']

interface World {
  readonly clock: MovableClock
  readonly process: Process
  readonly cookie: string
}

interface Column {
  run(world: World, jar: Jar): unknown
  /** What stands in the store afterwards; nothing for an end. */
  readonly data?: Data
  readonly isPrivilege?: boolean
}

const columns: Record<string, Column> = {
  write: {
    run: ({ process }, jar) =>
      process.handle(jar, (session) => void Object.assign(session, { a: 2, cart: 'c2', y: 2 })),
    data: { ...BASE, a: 2, cart: 'c2', y: 2 },
  },
  update: {
    run: ({ process }, jar) => process.handle(jar, (session) => session.update(addTo(10))),
    data: { ...BASE, n: 10 },
  },
  take: {
    run: ({ process }, jar) => process.handle(jar, (session) => session.take('flash')),
    data: { a: 1, n: 0, cart: 'c' },
  },
  touch: {
    run: ({ process }, jar) => process.handle(jar, (session) => session.touch()),
    data: BASE,
  },
  'sign-in': {
    run: ({ process }, jar) =>
      process.handle(jar, (session) => session.signIn('u1', { data: { rights: 'new' } })),
    data: { rights: 'new' },
    isPrivilege: true,
  },
  'sign-out': { run: ({ process }, jar) => process.handle(jar, (session) => session.signOut()) },
  revoke: { run: ({ process, cookie }) => process.manager.revoke(idOf(cookie)) },
  revokeByUser: { run: ({ process }) => process.manager.revokeByUser('u1') },
  expiry: { run: ({ clock }) => clock.advance(2 * MINUTE) },
}

interface Row {
  run(visitor: Visitor, world: World): unknown
  /** What stands there afterwards, on top of a column that left the session alive. */
  on(data: Data): Data | undefined
  /** What the client is told where the rights changed meanwhile, and where the session ended. */
  readonly rotated: string
  readonly ended: string
  /** Makes a new session instead, also where the old one is gone, with these data. */
  readonly anew?: (data: Data) => Data
}

const rows: Record<string, Row> = {
  read: { run: () => {}, on: (data) => data, rotated: 'ok', ended: 'ok' },
  write: {
    run: ({ session }) => {
      session.x = 1
    },
    on: (data) => ({ ...data, x: 1 }),
    rotated: 'ERR_SESSION_ROTATED',
    ended: 'ERR_SESSION_ENDED',
  },
  'write of the same key': {
    run: ({ session }) => {
      session.a = 'row'
    },
    on: (data) => ({ ...data, a: 'row' }),
    rotated: 'ERR_SESSION_ROTATED',
    ended: 'ERR_SESSION_ENDED',
  },
  'removal of a key': {
    run: ({ session }) => {
      delete session.cart
    },
    on: ({ cart: _, ...data }) => data,
    rotated: 'ERR_SESSION_ROTATED',
    ended: 'ERR_SESSION_ENDED',
  },
  update: {
    run: async ({ session }) => {
      const n = await session.update(addTo(1))
      expect(n).toBe(session.n)
    },
    on: (data) => ({ ...data, n: (data.n as number) + 1 }),
    rotated: 'ERR_SESSION_ROTATED',
    ended: 'ERR_SESSION_ENDED',
  },
  take: {
    run: async ({ session }) => {
      session.taken = await session.take('flash')
    },
    on: ({ flash, ...data }) => (flash === undefined ? data : { ...data, taken: flash }),
    rotated: 'ERR_SESSION_ROTATED',
    ended: 'ERR_SESSION_ENDED',
  },
  touch: {
    run: ({ session }) => session.touch(),
    on: (data) => data,
    rotated: 'ok',
    ended: 'ok',
  },
  'sign-in': {
    run: ({ session }) => session.signIn('u1', { keep: KEEP, data: { fresh: true } }),
    on: ({ cart }) => ({ cart, fresh: true }),
    rotated: 'ok',
    ended: 'ok',
    anew: ({ cart }) => ({ cart, fresh: true }),
  },
  'sign-in of another user': {
    run: ({ session }) => session.signIn('u2', { keep: KEEP, data: { fresh: true } }),
    on: () => undefined,
    rotated: 'ok',
    ended: 'ok',
    anew: ({ cart }) => ({ cart, fresh: true }),
  },
  regenerate: {
    run: ({ session }) => session.regenerate({ keep: KEEP }),
    on: () => undefined,
    rotated: 'ERR_SESSION_ROTATED',
    ended: 'ERR_SESSION_ENDED',
    anew: ({ cart }) => ({ cart }),
  },
  'sign-out': {
    run: ({ session }) => session.signOut(),
    on: () => undefined,
    rotated: 'ok',
    ended: 'ok',
  },
  revokeByUser: {
    run: (_, { process }) => process.manager.revokeByUser('u1'),
    on: () => undefined,
    rotated: 'ok',
    ended: 'ok',
  },
  prune: {
    run: (_, { process }) => process.manager.prune(),
    on: (data) => data,
    rotated: 'ok',
    ended: 'ok',
  },
}

/** Operations that end a session whatever became of its rights. */
const ENDING = new Set(['sign-out', 'revokeByUser'])

const stores: Record<string, () => SessionStore> = {
  'a store that answers at once': memoryStore,
  'a store that answers by promise': () => promising(memoryStore()),
}

for (const [kind, open] of Object.entries(stores)) {
  describe(`with ${kind}`, () => {
    for (const [row, { run, on, rotated, ended, anew }] of Object.entries(rows)) {
      for (const [column, { run: runColumn, data, isPrivilege }] of Object.entries(columns)) {
        test(`${row}, after ${column}`, async () => {
          const { clock, store, slow, fast, cookie } = await setUp(open())
          const jar = createJar(cookie)
          const visitor = await slow.request(jar)
          expect(dataOf(visitor.session)).toEqual(BASE)
          clock.advance(29 * MINUTE)
          await runColumn({ clock, process: fast, cookie }, createJar(cookie))
          clock.advance(2 * MINUTE)

          const work = async (): Promise<void> => {
            await run(visitor, { clock, process: slow, cookie })
            await visitor.respond()
          }
          const isRevoked = row === 'sign-in' && column === 'revokeByUser'
          const expected =
            data === undefined
              ? isRevoked
                ? 'ERR_SESSION_REVOKED'
                : ended
              : isPrivilege
                ? rotated
                : 'ok'
          expect(await codeOf(work())).toBe(expected)

          const isLeftAlone = data === undefined || isPrivilege === true
          const left = ENDING.has(row) ? undefined : isLeftAlone ? data : on(data)
          expect(await storedData(store, cookie, clock.now())).toEqual(left)

          if (anew === undefined || expected !== 'ok') {
            // Nobody is given a cookie who has not signed in or begun anew.
            expect([cookie, undefined]).toContain(jar.cookie)
            return
          }
          const isInPlace = row === 'sign-in' && !isLeftAlone
          expect(idOf(jar.cookie as string) === idOf(cookie)).toBe(isInPlace)
          const shown = await show(fast, jar.cookie as string)
          expect(shown).toMatchObject(anew(isLeftAlone ? BASE : data))
          expect(shown).not.toHaveProperty('flash')
        })
      }
    }

    for (const [column, { run, data, isPrivilege }] of Object.entries(columns)) {
      test(`a request that begins after ${column}`, async () => {
        const { clock, slow, fast, cookie } = await setUp(open())
        clock.advance(29 * MINUTE)
        await run({ clock, process: fast, cookie }, createJar(cookie))
        const gone = { is: isPrivilege === true ? 'superseded' : 'new' }
        const isThere = data !== undefined && isPrivilege !== true
        expect(await show(slow, cookie)).toEqual(isThere ? { ...data, userId: 'u1' } : gone)
      })
    }
  })
}

test('a write says which keys of another request it overwrote', async () => {
  const { slow, fast, cookie } = await setUp(memoryStore())
  const conflicts: unknown[] = []
  slow.manager.on('conflict', (event) => conflicts.push(event))
  const visitor = await slow.request(createJar(cookie))
  await fast.handle(createJar(cookie), (session) => {
    Object.assign(session, { a: 2, flash: 'g', n: 5 })
  })
  Object.assign(visitor.session, { a: 3, flash: 'g', own: true })
  await visitor.respond()
  expect(conflicts).toEqual([{ id: idOf(cookie), keys: ['a'] }])

  const updating = await slow.request(createJar(cookie))
  await fast.handle(createJar(cookie), (session) => {
    session.a = 4
  })
  updating.session.a = 5
  await updating.session.update(addTo(1))
  expect(conflicts).toHaveLength(2)
})

async function setUp(store: SessionStore): Promise<{
  clock: MovableClock
  store: SessionStore
  slow: Process
  fast: Process
  cookie: string
}> {
  const clock = movableClock()
  const slow = createProcess(store, { clock })
  const fast = createProcess(store, { clock })
  return { clock, store, slow, fast, cookie: await newSession(fast, BASE, 'u1') }
}

function addTo(amount: number): (data: Data) => number {
  return function add(data) {
    data.n = (data.n as number) + amount
    return data.n as number
  }
}

/** Answers every call by promise, a turn of the event loop later. */
function promising(store: SessionStore): SessionStore {
  const sleep = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const faulty = faultyStore(store, { sleep })
  faulty.slow(0)
  return faulty.store
}
