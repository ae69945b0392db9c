import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { SessionStore } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { sqliteStore } from '../../src/stores/sqlite.js'
import { faultyStore } from '../../src/testing.js'
import { dist } from '../dist.js'
import { output } from '../run.js'
import {
  codeOf,
  createJar,
  createProcess,
  type Data,
  type Process,
  type Visitor,
} from './process.js'
import { createScene, newSession, storedData } from './scene.js'

function increment(data: Data): number {
  data.n = (data.n as number) + 1
  return data.n as number
}

/** Requests that have all loaded the session before the first of them goes on. */
function crowd(count: number, process: Process, cookie: string): Promise<Visitor[]> {
  return Promise.all(Array.from({ length: count }, () => process.request(createJar(cookie))))
}

/** As far away as a server in the next room: every call takes a millisecond. */
function distant(store: SessionStore): SessionStore {
  const faulty = faultyStore(store)
  faulty.slow(1)
  return faulty.store
}

test('a thousand parallel updates in one process are exact, and few writes', async () => {
  const faulty = faultyStore(memoryStore())
  const cookie = await newSession(createProcess(faulty.store), { n: 0 })
  faulty.slow(1)
  const visitors = await crowd(1000, createProcess(faulty.store), cookie)
  const counted = await Promise.all(visitors.map(({ session }) => session.update(increment)))
  expect(counted.sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
  expect(await storedData(faulty.store, cookie)).toEqual({ n: 1000 })
  expect(faulty.calls.update).toBeLessThan(10)
})

test('eight processes count to a thousand together, and none gives up', async () => {
  const store = distant(memoryStore())
  const cookie = await newSession(createProcess(store), { n: 0 })
  const processes = Array.from({ length: 8 }, () => createProcess(store, { storeBudget: 5000 }))
  const outcomes = await Promise.all(
    processes.map(async (process) => {
      const seen: string[] = []
      for (let done = 0; done < 125; done += 1) {
        const work = process.handle(createJar(cookie), (session) => session.update(increment))
        seen.push(await codeOf(work))
      }
      return seen
    }),
  )
  expect(outcomes.flat().filter((code) => code !== 'ok')).toEqual([])
  expect(await storedData(store, cookie)).toEqual({ n: 1000 })
})

test('eight processes of the system count to a thousand in one SQLite file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'staykept-'))
  const filename = join(folder, 'sessions.db')
  const store = sqliteStore({ filename })
  try {
    const cookie = await newSession(createProcess(store), { n: 0 })
    const program = join(import.meta.dirname, 'incrementer.cjs')
    const told = JSON.stringify({ dist: await dist(), filename, cookie, count: 125 })
    await Promise.all(Array.from({ length: 8 }, () => output(process.execPath, [program, told])))
    expect(await storedData(store, cookie)).toEqual({ n: 1000 })
  } finally {
    await store.close?.()
    await rm(folder, { recursive: true })
  }
})

test('of a token, one of a hundred readers in three processes gets the value', async () => {
  const store = distant(memoryStore())
  const cookie = await newSession(createProcess(store), { token: 't' })
  const processes = [createProcess(store), createProcess(store), createProcess(store)]
  const visitors = await Promise.all(
    Array.from({ length: 99 }, (_, index) =>
      (processes[index % 3] as Process).request(createJar(cookie)),
    ),
  )
  const taken = await Promise.all(visitors.map(({ session }) => session.take('token')))
  expect(taken.filter((value) => value !== undefined)).toEqual(['t'])
})

test('changes that wait behind a store that hangs are all answered within the budget', async () => {
  const faulty = faultyStore(memoryStore())
  const process = createProcess(faulty.store)
  const cookie = await newSession(process, { n: 0 })
  const visitors = await crowd(10, process, cookie)
  faulty.hang({ methods: ['update'] })
  const began = performance.now()
  const codes = await Promise.all(
    visitors.map(({ session, respond }, index) => {
      session[`key${index}`] = true
      return codeOf(respond())
    }),
  )
  // One second, with room for a busy machine.
  expect(performance.now() - began).toBeLessThan(1400)
  // The first was sent, and may have been stored; those behind it most likely never were.
  expect(codes[0]).toBe('ERR_SESSION_OUTCOME_UNKNOWN')
  for (const code of codes) expect(code).toMatch(/^ERR_SESSION_(OUTCOME_UNKNOWN|STORE)$/)
  faulty.reset()
  await process.handle(createJar(cookie), (session) => session.update(increment))
  expect(await storedData(faulty.store, cookie)).toEqual({ n: 1 })
})

test('a store that answers every write with a conflict ends in 409, in bounded time', async () => {
  const inner = memoryStore()
  let isBusy = false
  const store: SessionStore = {
    ...inner,
    async update(key, record, version, now) {
      if (!isBusy) return inner.update(key, record, version, now)
      await new Promise((resolve) => setTimeout(resolve, 10))
      const current = await inner.load(key, now)
      if (current === undefined) return { outcome: 'missing' }
      return { outcome: 'conflict', record: { ...current, version: `v${Math.random()}` } }
    },
  }
  const process = createProcess(store, { storeBudget: 200 })
  const cookie = await newSession(process, { n: 0 })
  isBusy = true
  const began = performance.now()
  const work = process.handle(createJar(cookie), (session) => session.update(increment))
  expect(await codeOf(work)).toBe('ERR_SESSION_CONTENTION')
  expect(performance.now() - began).toBeLessThan(500)
})

test('of two changes that are too large together, the second is refused and the first stored', async () => {
  const { store, gate, slow, fast } = createScene({ maxBytes: 4000 })
  const cookie = await newSession(fast, { n: 0 })
  const visitors = []
  for (let index = 0; index < 3; index += 1) {
    visitors.push(await gate.run(slow.request(createJar(cookie))))
  }
  const [busy, first, second] = visitors as [Visitor, Visitor, Visitor]
  busy.session.n = 1
  first.session.large = 'x'.repeat(2500)
  second.session.big = 'y'.repeat(2500)
  const work = [busy, first, second].map((visitor) => codeOf(visitor.respond()))
  expect(await gate.run(Promise.all(work))).toEqual(['ok', 'ok', 'ERR_SESSION_TOO_LARGE'])
  expect(Object.keys((await storedData(store, cookie)) as Data)).toEqual(['n', 'large'])
  expect(gate.trace.filter((step) => step === 'update call')).toHaveLength(2)
})

test('an update that throws fails alone among those that are stored together', async () => {
  const { store, gate, slow, fast } = createScene()
  const cookie = await newSession(fast, { n: 0 })
  const visitors = []
  for (let index = 0; index < 4; index += 1) {
    visitors.push(await gate.run(slow.request(createJar(cookie))))
  }
  const work = visitors.map(({ session }, index) =>
    session.update((data) => {
      if (index === 2) throw new RangeError('no more')
      return increment(data)
    }),
  )
  const settled = await gate.run(Promise.allSettled(work))
  expect(settled.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
  ])
  expect(await storedData(store, cookie)).toEqual({ n: 3 })
})
