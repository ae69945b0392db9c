import { describe, expect, test } from 'vitest'
import { testSessionStore } from '../../src/conformance.js'
import type { SessionRecord, SessionStore, StoreEvent, StoreKey } from '../../src/core/store.js'
import { PRUNE_SLACK } from '../../src/core/store.js'
import { type MemoryStoreOptions, memoryStore } from '../../src/stores/memory.js'
import { dist } from '../dist.js'
import { run } from '../run.js'

testSessionStore({ test, open: () => memoryStore() })

describe('a full store', () => {
  test('lets anonymous sessions go first, the one unused for longest before the others', () => {
    const store = open({ maxEntries: 4 })
    store.create(key('ada'), record({ userId: 'ada' }), NOW)
    for (const name of ['a', 'b', 'c']) store.create(key(name), record(), NOW)
    store.touch(key('a'), 'v', NOW + 1, NOW + HOUR, NOW)
    store.create(key('d'), record(), NOW)
    expect(alive(store, ['ada', 'a', 'b', 'c', 'd'])).toEqual(['ada', 'a', 'c', 'd'])
    store.update(key('c'), record({ version: 'w' }), 'v', NOW)
    store.create(key('grace'), record({ userId: 'grace' }), NOW)
    expect(alive(store, ['ada', 'a', 'c', 'd', 'grace'])).toEqual(['ada', 'c', 'd', 'grace'])
  })

  test('refuses a session rather than end a signed-in one', () => {
    const store = open({ maxEntries: 2 })
    store.create(key('a'), record({ userId: 'ada' }), NOW)
    store.create(key('b'), record({ userId: 'grace' }), NOW)
    for (const userId of [undefined, 'eve']) {
      expect(() => store.create(key('c'), record({ userId }), NOW)).toThrow(
        expect.objectContaining({
          code: 'ERR_SESSION_STORE_FULL',
          message: expect.stringMatching(/^memoryStore is full .*raise the limit, or keep/),
        }),
      )
    }
    expect(alive(store, ['a', 'b', 'c'])).toEqual(['a', 'b'])
    expect(store.update(key('a'), record({ userId: 'ada', version: 'w' }), 'v', NOW)).toEqual({
      outcome: 'updated',
    })
    store.delete(key('b'), NOW)
    expect(store.create(key('c'), record(), NOW)).toBe(true)
  })

  test('keeps all 200 signed-in sessions through a flood of 100,000 anonymous ones', () => {
    const store = open({ maxEntries: 1000 })
    const signedIn = Array.from({ length: 200 }, (_, index) => `user-${index}`)
    for (const name of signedIn) store.create(key(name), record({ userId: name }), NOW)
    const flood = Array.from({ length: 100_000 }, (_, index) => `flood-${index}`)
    for (const name of flood) store.create(key(name), record(), NOW)
    expect(alive(store, signedIn)).toHaveLength(200)
    expect(alive(store, flood)).toEqual(flood.slice(-800))
  })

  test('counts bytes as well, and makes room for a session that grows', () => {
    const store = open({ maxBytes: 20_000 })
    for (const name of ['a', 'b', 'c']) store.create(key(name), record(big(2000)), NOW)
    store.create(key('ada'), record({ userId: 'ada' }), NOW)
    store.update(key('ada'), record({ ...big(6000), userId: 'ada', version: 'w' }), 'v', NOW)
    expect(alive(store, ['a', 'b', 'c', 'ada'])).toEqual(['c', 'ada'])
    store.update(key('ada'), record({ userId: 'ada', version: 'x' }), 'w', NOW)
    for (const name of ['d', 'e']) store.create(key(name), record(big(2000)), NOW)
    expect(alive(store, ['c', 'd', 'e', 'ada'])).toEqual(['c', 'd', 'e', 'ada'])
    // An anonymous one that grows takes the place of the others, though it was unused for longest.
    store.update(key('c'), record({ ...big(8000), version: 'w' }), 'v', NOW)
    expect(alive(store, ['c', 'd', 'e', 'ada'])).toEqual(['c', 'ada'])
  })

  test('ends nobody for a session that would not fit even then, and keeps its old data', () => {
    const store = open({ maxBytes: 20_000 })
    store.create(key('ada'), record({ ...big(5000), userId: 'ada' }), NOW)
    store.create(key('a'), record(big(1000)), NOW)
    const grown = record({ ...big(9000), version: 'w' })
    const full = expect.objectContaining({ code: 'ERR_SESSION_STORE_FULL' })
    expect(() => store.create(key('b'), grown, NOW)).toThrow(full)
    expect(() => store.update(key('a'), grown, 'v', NOW)).toThrow(full)
    // Its own place does not count as room twice.
    const slightly = record({ ...big(4600), version: 'w' })
    expect(() => store.update(key('a'), slightly, 'v', NOW)).toThrow(full)
    expect(alive(store, ['ada', 'a', 'b'])).toEqual(['ada', 'a'])
    expect(store.load(key('a'), NOW)).toEqual(record(big(1000)))
  })

  test('takes the place of signed-in sessions that have long ended, without being pruned', () => {
    const store = open({ maxEntries: 2 })
    store.create(key('a'), record({ userId: 'ada' }), NOW)
    store.create(key('b'), record({ userId: 'ada' }), NOW)
    const later = NOW + HOUR + PRUNE_SLACK + 1
    const next = record({ userId: 'ada', expiresAt: later + HOUR })
    expect(store.create(key('c'), next, later)).toBe(true)
    expect(store.listByUser('ada', later)).toEqual([{ key: 'c', record: next }])
  })

  test('tells watchers who had to go', () => {
    const store = open({ maxEntries: 1 })
    store.create(key('a'), record(), NOW)
    const events: StoreEvent[] = []
    store.watch((event) => events.push(event))
    store.create(key('b'), record(), NOW)
    expect(events).toEqual([
      { type: 'ended', key: 'a' },
      { type: 'changed', key: 'b', version: expect.any(String) },
    ])
  })

  test('keeps the latest revocation marks, as many as it keeps sessions', () => {
    const store = open({ maxEntries: 3 })
    const mark = { value: 'm', expiresAt: NOW + HOUR }
    for (const user of ['a', 'b', 'c', 'a', 'd']) {
      store.deleteByUser(user, { except: [], mark, now: NOW })
    }
    expect(['a', 'b', 'c', 'd'].map((user) => store.revocationMark(user, NOW))).toEqual([
      'm',
      undefined,
      'm',
      'm',
    ])
  })

  test('says how long a payload can be', () => {
    const store = open({ maxBytes: 4096 })
    const longest = store.limits.maxPayloadBytes ?? 0
    expect(store.create(key('a'), record(big(longest)), NOW)).toBe(true)
    expect(() => store.create(key('b'), record(big(longest + 1)), NOW)).toThrow('is full')
  })
})

test('a session is handed out as it is kept: one frozen object, at once', () => {
  const store = open()
  const given = record()
  store.create(key('a'), given, NOW)
  const loaded = store.load(key('a'), NOW)
  expect(loaded).toBe(store.load(key('a'), NOW))
  expect(loaded).not.toBe(given)
  expect(Object.isFrozen(loaded)).toBe(true)
})

test('a prune looks at a few thousand sessions at a time, and gets to all of them', () => {
  const store = open({ maxEntries: 30_000 })
  for (let i = 0; i < 23_000; i += 1) {
    const expiresAt = i % 2 === 0 ? NOW + HOUR : NOW + 10 * HOUR
    store.create(key(`k${i}`), record({ expiresAt }), NOW)
  }
  const later = NOW + 2 * HOUR
  let removed = 0
  for (let call = 0; call < 60; call += 1) removed += store.deleteExpired(1000, later)
  expect(removed).toBe(11_500)
  expect(alive(store, ['k1', 'k22999'], later)).toEqual(['k1', 'k22999'])
})

test('a process with nothing else to do ends', async () => {
  const source = `
    const store = require('${await dist()}/memory.cjs').memoryStore()
    store.create('k', { version: 'v', payload: '{}', lastSeenAt: 1, expiresAt: 1e13, absoluteExpiresAt: 1e13 }, 1)
    store.watch(() => {})
    console.log('stored')`
  const { code, stdout } = await run(process.execPath, ['-e', source], { timeout: 10_000 })
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'stored\n' })
})

test.each<[string, unknown, RegExp]>([
  ['a number', 5, /takes an object: memoryStore\(\{ maxEntries/],
  ['null', null, /takes an object: memoryStore\(\{ maxEntries/],
  ['ttl', { ttl: 60 }, /has no option "ttl": it takes maxEntries and maxBytes/],
  ['a word', { maxEntries: '1k' }, /maxEntries must be a whole number of at least 1, not 1k/],
  ['none', { maxEntries: 0 }, /maxEntries must be a whole number of at least 1, not 0/],
  ['no bound', { maxBytes: Infinity }, /maxBytes must be a whole number of at least 1024, not Inf/],
  ['too few', { maxBytes: 512 }, /maxBytes must be a whole number of at least 1024, not 512/],
])('%s as options is refused with what to write instead', (_, options, message) => {
  const refused = () => memoryStore(options as MemoryStoreOptions)
  expect(refused).toThrow(TypeError)
  expect(refused).toThrow(message)
})

const NOW = 2_000_000_000_000
const HOUR = 3_600_000

function key(text: string): StoreKey {
  return text as StoreKey
}

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 'v',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + HOUR,
    absoluteExpiresAt: NOW + 100 * HOUR,
    ...changes,
  }
}

function big(length: number): { payload: string } {
  return { payload: 'x'.repeat(length) }
}

function alive(store: AtOnce, names: readonly string[], now: number = NOW): string[] {
  return names.filter((name) => store.load(key(name), now) !== undefined)
}

function open(options?: MemoryStoreOptions): AtOnce {
  return memoryStore(options) as unknown as AtOnce
}

/** A store whose answers are there at once: a promise in their place would show. */
type AtOnce = {
  readonly [Part in keyof SessionStore]-?: Required<SessionStore>[Part] extends (
    ...args: infer Args
  ) => infer Answer
    ? (...args: Args) => Awaited<Answer>
    : NonNullable<SessionStore[Part]>
}
