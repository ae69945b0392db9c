import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeData, encodeData, saysTheSame } from '../../src/core/codec.js'
import {
  adoptData,
  copyData,
  type DataCopy,
  renewCopy,
  surelyDiffer,
  thawData,
} from '../../src/core/copied-data.js'
import { memoryStore } from '../../src/stores/memory.js'
import { createJar, createProcess } from './process.js'
import { newSession, storedData } from './scene.js'

type Data = Record<string, unknown>

/** What a request sees that reads `text`: a question whether its data are still that. */
function opened(text: string): { data: Data; isUnchanged(other?: object): boolean } {
  const data = decodeData(text)
  const copy = copyData(text, data)
  return { data, isUnchanged: (other = data) => isCopyOf(copy, other) }
}

function isCopyOf(copy: DataCopy, data: object): boolean {
  try {
    return renewCopy(copy, data) === copy
  } catch {
    return false
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

  test('are left to the encoder where every object inherits a name', () => {
    const { data, isUnchanged } = opened('{"n":1}')
    const copy = copyData('{"n":1}', data)
    const everywhere = Object.prototype as Data
    everywhere.everywhere = 1
    const seen = [isUnchanged(), renewCopy(copy, data).text, Object.keys(adoptData(data).data)]
    delete everywhere.everywhere
    expect(seen).toEqual([false, '{"n":1}', ['n']])
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
})

describe('a copy that is renewed', () => {
  test('is that of the new data, whatever changed', () => {
    const changed = fc.tuple(plain, fc.nat(), fc.oneof(odd, plain))
    fc.assert(
      fc.property(changed, plain, ([data, at, value], other) => {
        const present = structuredClone(data)
        const places = placesIn(present)
        const [holder, key] = (places[at % places.length] ?? [present, 'a']) as [Data, string]
        holder[key] = value
        const first = copyData(encodeData(data), decodeData(encodeData(data)))
        const renewed = renewCopy(first, present)
        expect(renewed.text).toBe(renewed === first ? first.text : encodeData(present))
        if (isCopyOf(renewed, other)) expect(encodeData(other)).toBe(renewed.text)
        const isOdd = typeof value === 'object' && !isCopyOf(copyData('', present), present)
        expect(isCopyOf(renewed, present)).toBe(!isOdd)
        if (surelyDiffer(first, renewed)) expect(saysTheSame(first.text, renewed.text)).toBe(false)
      }),
      { numRuns: 5000 },
    )
  })

  test('shares with the one before what did not change', () => {
    const data = { cart: [{ id: 1 }], n: 0 }
    const before = copyData(encodeData(data), data)
    data.n = 1
    const after = renewCopy(before, data)
    expect(after.text).toBe('{"cart":[{"id":1}],"n":1}')
    expect(after.data.values[0]).toBe(before.data.values[0])
  })

  test('is not taken of what cannot be stored', () => {
    const ring: Data = { n: 1 }
    const copy = copyData('{"n":1}', ring)
    Object.assign(ring, { left: ring, right: ring })
    expect(() => renewCopy(copy, ring)).toThrow()
  })

  test.each<[string, (data: Data) => unknown]>([
    ['another number', (data) => Object.assign(data, { n: 2 })],
    ['a key more', (data) => Object.assign(data, { more: 1 })],
    ['a key less', (data) => delete data.n],
    ['an item more', (data) => (data.list as unknown[]).push({})],
    [
      'another value deep inside',
      (data) => Object.assign((data.list as Data[])[0] as Data, { x: 2 }),
    ],
  ])('is known to say something else without a look at its text: %s', (_, change) => {
    const text = '{"n":1,"list":[{"x":1}]}'
    const data = decodeData(text)
    const before = copyData(text, data)
    change(data)
    expect(surelyDiffer(before, renewCopy(before, data))).toBe(true)
  })

  test('is not taken for another for a key without a value, or for the order of its keys', () => {
    const before = copyData('{"n":1,"m":2}', { n: 1, m: 2 })
    expect(surelyDiffer(before, renewCopy(before, { n: 1, m: 2, x: undefined }))).toBe(false)
    expect(surelyDiffer(before, renewCopy(before, { m: 2, n: 1 }))).toBe(false)
  })
})

describe('data that are given out again', () => {
  const copyOf = (text: string) => copyData(text, decodeData(text)).data

  test('are what they were, and of nobody else', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', '0'), fc.oneof(plain, odd)), (data) => {
        const text = encodeData(data)
        const copied = copyOf(text)
        const first = thawData(copied) as Data
        expect(encodeData(first)).toBe(text)
        for (const [holder, key] of placesIn(first)) (holder as Data)[key] = 'spoiled'
        expect(encodeData(thawData(copied) as Data)).toBe(text)
      }),
    )
  })

  test.each<[string, (value: never) => unknown]>([
    ['{"at":{"$date":5}}', (at: Date) => at.setTime(6)],
    ['{"at":{"$map":[["a",{"b":1}]]}}', (at: Map<string, Data>) => at.clear()],
    [
      '{"at":{"$map":[["a",{"b":1}]]}}',
      (at: Map<string, Data>) => Object.assign(at.get('a') ?? {}, { b: 2 }),
    ],
    ['{"at":{"$set":[1]}}', (at: Set<number>) => at.add(2)],
  ])('%s too, though it changes inside', (text, spoil) => {
    const copied = copyOf(text)
    spoil((thawData(copied) as Data).at as never)
    expect(encodeData(thawData(copied) as Data)).toBe(text)
  })

  test('are decoded again where they are nested deeper than the encoder allows', () => {
    const nested = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`
    expect(thawData(copyOf(nested(100_000)))).toBe(undefined)
  })
})

describe('data that are adopted', () => {
  const name = fc.string().filter((key) => key !== '__proto__')
  const value = fc.oneof(plain, odd, fc.array(odd), fc.dictionary(name, odd))
  const any = fc.dictionary(name, value, { noNullPrototype: true })

  test('are those that would be decoded, whatever is handed over, and nobody else has them', () => {
    fc.assert(
      fc.property(any, (given) => {
        const { copy, data } = adoptData(given)
        expect(copy.text).toBe(encodeData(given))
        expect(data).toStrictEqual(decodeData(copy.text))
        expect(Object.keys(data)).toEqual(Object.keys(decodeData(copy.text)))
        expect(renewCopy(copy, data).text).toBe(copy.text)
      }),
    )
  })

  test('are of this realm and no Proxy, wherever one stood in what was handed over', () => {
    const given = {
      map: new Map([['a', new Proxy({ n: 1 }, {})]]),
      foreign: runInNewContext('[1, [{ n: 1 }]]') as unknown[],
      set: new Set([{ n: undefined, list: Object.assign([], { 1: 1 }) }]),
    }
    const { copy, data } = adoptData(given)
    expect(data).toStrictEqual({
      map: new Map([['a', { n: 1 }]]),
      foreign: [1, [{ n: 1 }]],
      set: new Set([{ list: [undefined, 1] }]),
    })
    expect(data).toStrictEqual(decodeData(copy.text))
  })

  test('do not change with what was handed over', () => {
    const given = { list: [{ n: 1 }], map: new Map([['a', { n: 1 }]]), date: new Date(0) }
    const { data } = adoptData(given)
    given.list[0] = { n: 2 }
    given.map.set('a', { n: 2 })
    given.date.setTime(9)
    expect(data).toEqual({ list: [{ n: 1 }], map: new Map([['a', { n: 1 }]]), date: new Date(0) })
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
