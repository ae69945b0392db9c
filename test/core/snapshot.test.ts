import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeData, encodeData, saysTheSame } from '../../src/core/codec.js'
import type { StoredSession } from '../../src/core/record.js'
import { takeSnapshot, textIfUnchanged } from '../../src/core/snapshot.js'
import { memoryStore } from '../../src/stores/memory.js'
import { createJar, createProcess } from './process.js'
import { newSession, storedData } from './scene.js'

type Data = Record<string, unknown>

/** What a request sees that reads `text`: a question whether its data are still that. */
function opened(text: string): { data: Data; isUnchanged(other?: object): boolean } {
  const stored = { text } as StoredSession
  const data = decodeData(text)
  const snapshot = takeSnapshot(stored, data)
  return {
    data,
    isUnchanged: (other = data) => textIfUnchanged(snapshot, stored, other) !== undefined,
  }
}

/** Few keys and few values, so that two of them are often nearly the same. */
const { object: plain } = fc.letrec<{ value: unknown; object: Data }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(0, 1, 2, 'a', 'b', '', true, null),
    fc.array(tie('value'), { maxLength: 2 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', '0', 'length'), tie('value'), {
    maxKeys: 2,
    noNullPrototype: true,
  }),
}))

/** The same, with what JSON does not know. */
const odd = fc.constantFrom<unknown>(-0, Number.NaN, undefined, 1n, new Date(0), new Set([1]), [])

describe('data that nobody changed', () => {
  test('are known as such', () => {
    fc.assert(fc.property(plain, (data) => opened(encodeData(data)).isUnchanged()))
  })

  test('are known as such with NaN, -0 or a bigint in them', () => {
    expect(opened(encodeData({ list: [Number.NaN, -0, 1n, undefined] })).isUnchanged()).toBe(true)
  })

  test('are left to the encoder where they could change inside', () => {
    const { data, isUnchanged } = opened(encodeData({ at: new Date(5) }))
    expect(isUnchanged()).toBe(false)
    ;(data.at as Date).setTime(6)
    expect(isUnchanged()).toBe(false)
  })

  test('are left to the encoder where they are nested deeper than it allows', () => {
    const nested = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`
    expect(opened(nested(64)).isUnchanged()).toBe(true)
    expect(opened(nested(65)).isUnchanged()).toBe(false)
    expect(opened(nested(100_000)).isUnchanged()).toBe(false)
  })
})

describe('data are never taken for others', () => {
  test('whatever both are', () => {
    fc.assert(
      fc.property(plain, plain, (data, other) => {
        const text = encodeData(data)
        if (opened(text).isUnchanged(other)) expect(saysTheSame(encodeData(other), text)).toBe(true)
      }),
      { numRuns: 20_000 },
    )
  })

  test('whatever stands in a place of theirs', () => {
    const place = fc.tuple(plain, fc.nat(), fc.oneof(odd, plain))
    fc.assert(
      fc.property(place, ([data, at, value]) => {
        const text = encodeData(data)
        const other = structuredClone(data)
        const places = placesIn(other)
        if (places.length === 0) return
        const [holder, key] = places[at % places.length] as [Data, string]
        holder[key] = value
        if (opened(text).isUnchanged(other)) expect(saysTheSame(encodeData(other), text)).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })

  test.each<[string, (data: Data) => unknown]>([
    ['a value is another', (data) => Object.assign(data, { n: 1 })],
    ['a value is of another type', (data) => Object.assign(data, { n: '0' })],
    ['0 becomes -0', (data) => Object.assign(data, { n: -0 })],
    ['null becomes NaN', (data) => Object.assign(data, { none: Number.NaN })],
    ['a key comes', (data) => Object.assign(data, { more: 1 })],
    ['a key goes', (data) => delete data.n],
    ['a key goes into an object', (data) => Object.assign(data.user as Data, { more: 1 })],
    ['a key leaves an object', (data) => delete (data.user as Data).name],
    ['an item comes', (data) => (data.list as unknown[]).push(3)],
    ['an item goes', (data) => (data.list as unknown[]).pop()],
    ['an item becomes a hole', (data) => delete (data.list as unknown[])[1]],
    ['items change places', (data) => (data.list as unknown[]).reverse()],
    ['a list gets a name', (data) => Object.assign(data.list as object, { name: 1 })],
    ['a list gets a class', (data) => Object.assign(data, { list: List.from([1, 2]) })],
    ['a list becomes an object', (data) => Object.assign(data, { list: { 0: 1, 1: 2 } })],
    ['an object becomes a list', (data) => Object.assign(data, { empty: [] })],
    ['an object gets a class', (data) => Object.setPrototypeOf(data.user, User.prototype)],
    ['an object becomes a Map', (data) => Object.assign(data, { empty: new Map() })],
    ['a date takes the place of its text', (data) => Object.assign(data, { at: new Date(0) })],
    ['a function comes', (data) => Object.assign(data, { call: () => {} })],
  ])('as when %s', (_, change) => {
    const text =
      '{"n":0,"none":null,"user":{"name":"Ada"},"list":[1,2],"empty":{},"at":"1970-01-01T00:00:00.000Z"}'
    const { data, isUnchanged } = opened(text)
    expect(isUnchanged()).toBe(true)
    change(data)
    expect(isUnchanged()).toBe(false)
  })

  test('and another record of the same session has a snapshot of its own', () => {
    const stored = { text: '{"n":1}' } as StoredSession
    const snapshot = takeSnapshot(stored, { n: 1 })
    expect(textIfUnchanged(snapshot, { ...stored, text: '{"n":2}' }, { n: 1 })).toBe(undefined)
  })
})

test('a change that is taken back after another was stored is stored as well', async () => {
  const store = memoryStore()
  const process = createProcess(store)
  const cookie = await newSession(process, { n: 1 })
  const visitor = await process.request(createJar(cookie))
  visitor.session.n = 2
  await visitor.session.save()
  visitor.session.n = 1
  await visitor.respond()
  expect(await storedData(store, cookie)).toEqual({ n: 1 })
})

class List extends Array<unknown> {}
class User {}

function placesIn(holder: object): [holder: object, key: string][] {
  return Object.entries(holder).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null
      ? [[holder, key] as [object, string], ...placesIn(value as object)]
      : [[holder, key] as [object, string]],
  )
}
