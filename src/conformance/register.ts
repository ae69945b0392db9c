import type { SessionRecord, StoreKey } from '../core/store.js'
import { type AskedStore, type Bench, IDLE } from './bench.js'
import type { Answer, Call, Played } from './linearizable.js'

/**
 * Lets four clients make four random calls each on one key, pausing now and then, and writes down who asked what when
 * and what was answered. They name versions that any of them saw, mostly the newest, now and then an old one.
 */
export async function playRegister(
  bench: Bench,
  key: StoreKey,
  stores: readonly AskedStore[],
): Promise<Played[]> {
  const history: Played[] = []
  const seen: string[] = [bench.mark()]
  let ticks = 0

  async function client(number: number): Promise<void> {
    const store = stores[number % stores.length] as AskedStore
    for (let turn = 0; turn < TURNS; turn += 1) {
      await pause(bench)
      const call = turn === 0 && number === 0 ? creation(bench) : randomCall(bench, seen)
      const invoked = ticks++
      const answer = await make(store, key, call, bench.now)
      history.push({ client: number, call, now: bench.now, answer, invoked, completed: ticks++ })
      const version = shownVersion(answer) ?? written(call, answer)
      if (version !== undefined) seen.push(version)
    }
  }

  await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)))
  return history.sort((a, b) => a.invoked - b.invoked)
}

/** Makes `call` on a store. */
export function make(store: AskedStore, key: StoreKey, call: Call, now: number): Promise<Answer> {
  switch (call.method) {
    case 'load':
      return store.load(key, now)
    case 'create':
      return store.create(key, call.record, now)
    case 'update':
      return store.update(key, call.record, call.expected, now)
    case 'touch':
      return store.touch(key, call.expected, call.lastSeenAt, call.expiresAt, now)
    case 'delete':
      return store.delete(key, now)
  }
}

function randomCall(bench: Bench, seen: readonly string[]): Call {
  const { random, now } = bench
  const newest = seen[seen.length - 1] as string
  const expected = random.below(5) === 0 ? random.pick(seen) : newest
  const dice = random.below(10)
  if (dice < 2) return { method: 'load' }
  if (dice < 3) return { method: 'delete' }
  if (dice < 5) return creation(bench)
  const lastSeenAt = now - 20 + random.below(30)
  // One in eight writes a deadline at the very edge, which ends the session or all but ends it.
  const expiresAt = random.below(8) === 0 ? now - 1 + random.below(3) : lastSeenAt + IDLE
  if (dice < 7) return { method: 'touch', expected, lastSeenAt, expiresAt: lastSeenAt + IDLE }
  return { method: 'update', expected, record: bench.record({ lastSeenAt, expiresAt }) }
}

function creation(bench: Bench): Call {
  return { method: 'create', record: bench.record({ lastSeenAt: bench.now - 10 }) }
}

function shownVersion(answer: Answer): string | undefined {
  if (typeof answer !== 'object') return undefined
  if ('outcome' in answer) return answer.outcome === 'conflict' ? answer.record.version : undefined
  return answer.version
}

function written(call: Call, answer: Answer): string | undefined {
  if (call.method === 'create') return answer === true ? call.record.version : undefined
  if (call.method !== 'update' || typeof answer !== 'object') return undefined
  return 'outcome' in answer && answer.outcome === 'updated'
    ? (call.record as SessionRecord).version
    : undefined
}

/** Nothing, a microtask, or a turn of the event loop. */
async function pause(bench: Bench): Promise<void> {
  const length = bench.random.below(3)
  if (length === 1) await undefined
  if (length === 2) await new Promise((resolve) => setImmediate(resolve))
}

const CLIENTS = 4
const TURNS = 4
