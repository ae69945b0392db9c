import { inspect, isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeData,
  decodeField,
  encodeData,
  encodeFields,
  joinFields,
  saysTheSame,
  splitData,
} from '../../src/core/codec.js'
import { plainlyDiffer } from '../../src/core/plain-difference.js'
import { memoryStore } from '../../src/stores/memory.js'
import { faultyStore } from '../../src/testing.js'
import { createJar, createProcess } from './process.js'
import { createScene, newSession, stored, storedData } from './scene.js'

/** Names that mean something to somebody. */
const key = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('$', '$$', '$date', '$set', '$map', '$bigint', '$number', '$undefined', '$$set'),
  fc.constantFrom('constructor', 'toJSON', 'toString', 'hasOwnProperty', 'then', 'length', '0', ''),
)

/** Any string of UTF-16 units, lone surrogates too. */
const text = fc.oneof(
  fc.string(),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
)

/** What a session can hold, at any depth. */
const { value } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    fc.double(),
    fc.integer(),
    fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    fc.boolean(),
    fc.constant(null),
    fc.bigInt(),
    fc.date({ noInvalidDate: false }),
    fc.array(fc.oneof(tie('value'), fc.constant(undefined)), { maxLength: 4 }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((all) => new Map(all)),
    fc.array(tie('value'), { maxLength: 3 }).map((all) => new Set(all)),
    tie('object'),
  ),
  object: fc
    .array(fc.tuple(key, fc.oneof(tie('value'), fc.constant(undefined))), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries.filter(([name]) => name !== '__proto__'))),
}))

const data = fc
  .dictionary(key, value, { maxKeys: 5 })
  .map((object) => ({ ...object }))
  .filter((object) => !Object.hasOwn(object, '__proto__'))

describe('what is put in', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(data, (original) => {
        const encoded = encodeData(original)
        expectSame(decodeData(encoded), original)
        expect(() => encodeURIComponent(encoded)).not.toThrow()
      }),
      { numRuns: 2000 },
    )
  })

  test('is encoded key by key to the same text', () => {
    fc.assert(
      fc.property(data, (original) => {
        const fields = encodeFields(original)
        const encoded = encodeData(original)
        expect(joinFields(fields)).toBe(encoded)
        expect(splitData(encoded)).toEqual(fields)
        for (const [name, field] of fields) {
          expectSame(decodeField(field), original[name])
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('is not changed by being encoded', () => {
    fc.assert(
      fc.property(data, (original) => {
        const copy = structuredClone(original)
        encodeData(original)
        expectSame(original, copy)
      }),
    )
  })

  test.each([
    ['an operator', { query: { $set: { a: 1 } } }],
    ['an operator that looks encoded', { query: { $$set: [1] } }],
    ['nested operators', { q: { $and: [{ $date: 5 }, { $$$map: [] }] } }],
    ['an operator beside an absent key', { q: { $set: [1], b: undefined } }],
    ['an operator beside absent keys', { q: { a: undefined, $date: 5, c: undefined } }],
    ['an operator at the top', { $set: [1], $date: 'today' }],
    ['holes', { list: [undefined, null, Number.NaN, -0] }],
    ['a map in a set in a map', { m: new Map([[new Set([new Map([[1n, -0]])]), new Date(0)]]) }],
    ['an invalid date', { d: new Date(Number.NaN) }],
    ['a lone surrogate', { '\ud800': 'x\udc00' }],
  ])('%s', (_, original) => {
    expectSame(decodeData(encodeData(original)), original)
  })

  test.each<[string, object, string]>([
    ['a function', { a: { b: () => {} } }, 'a.b'],
    ['a symbol', { a: [Symbol('s')] }, 'a[0]'],
    ['a class instance', { user: new URL('http://localhost') }, 'user'],
    ['bytes', { a: Buffer.from('a') }, 'a'],
    ['an error', { a: new Map([['k', new Error('e')]]) }, 'a'],
    ['a cycle', cycle(), 'self'],
    ['a date with more to it', { d: Object.assign(new Date(), { zone: 'utc' }) }, 'd'],
    ['a key __proto__', { a: JSON.parse('{"__proto__":1}') as object }, 'a.__proto__'],
    ['a boxed number', { n: Object(1) as object }, 'n'],
    ['a depth without end', { deep: nested(100) }, 'deep'],
  ])('is refused with its path where it cannot come back: %s', (_, original, path) => {
    for (const encode of [encodeData, encodeFields]) {
      expect(() => encode(original)).toThrow(
        expect.objectContaining({
          code: 'ERR_SESSION_DATA',
          path: expect.stringMatching(new RegExp(`^${quoted(path)}`)),
        }),
      )
    }
  })
})

describe('what comes out of a store', () => {
  test('is read or refused, whatever it is, and never pollutes a prototype', () => {
    const json = fc.oneof(
      fc.json(),
      fc.string(),
      fc.json().map((inner) => `{"a":${inner}}`),
    )
    fc.assert(
      fc.property(json, (garbage) => {
        try {
          decodeData(garbage)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
        expect(({} as Record<string, unknown>).polluted).toBeUndefined()
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    '{"a":{"$map":5}}',
    '{"a":{"$map":[5]}}',
    '{"a":{"$set":null}}',
    '{"a":{"$bigint":"1.5"}}',
    '{"a":{"$unknown":1}}',
    `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    `{"a":${'{"$set":['.repeat(20_000)}${']}'.repeat(20_000)}}`,
    '[]',
    'null',
    '5',
    '',
    '{',
  ])('garbage is read or refused in no time: %.40s', (garbage) => {
    const began = performance.now()
    try {
      decodeData(garbage)
    } catch (error) {
      expect(error).toBeInstanceOf(Error)
    }
    expect(performance.now() - began).toBeLessThan(1000)
  })

  test.each([
    '{"a":1,"__proto__":{"polluted":true}}',
    '{"a":1,"\\u005f_proto__":{"polluted":true}}',
    '{"a":{"b":[{"__proto__":{"polluted":true}}]}}',
    '{"a":{"$$x":{"__proto__":{"polluted":true}}}}',
    '{"a":{"$map":[["k",{"__proto__":{"polluted":true}}]]}}',
  ])('loses the key __proto__ wherever it stands: %s', (planted) => {
    const decoded = decodeData(planted)
    const seen = JSON.stringify(decoded, (_, held: unknown) =>
      held instanceof Map ? [...held] : held,
    )
    expect(seen).not.toContain('polluted')
    expect((decoded as { polluted?: boolean }).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
  })
})

describe('text of another encoder', () => {
  const foreign = '{ "price": 1.0, "name": "\\u00e9", "list": [1, 2.50], "when": {"$date": 5} }'

  test('says the same as ours', () => {
    const ours = encodeData(decodeData(foreign))
    expect(ours).not.toBe(foreign)
    expect(saysTheSame(foreign, ours)).toBe(true)
    expect(splitData(foreign)).toEqual(splitData(ours))
  })

  test('is no reason to write, when it is only read', async () => {
    const faulty = faultyStore(memoryStore())
    const process = createProcess(faulty.store)
    const cookie = await withText(faulty.store, process)
    const { version } = (await stored(faulty.store, cookie)) ?? {}
    faulty.reset()
    await process.handle(createJar(cookie), (session) => [session.price, session.name])
    expect(faulty.calls).toMatchObject({ update: 0, touch: 0, create: 0 })
    expect((await stored(faulty.store, cookie))?.version).toBe(version)
  })

  test('is no change of the keys that nobody touched', async () => {
    const { store, gate, fast, enter } = createScene()
    const cookie = await withText(store, fast)
    const visitor = await enter(createJar(cookie))
    await fast.handle(createJar(cookie), (session) => {
      Object.assign(session, { price: 2, name: 'e' })
    })
    visitor.session.x = 1
    await gate.run(visitor.respond())
    expect(await storedData(store, cookie)).toMatchObject({ price: 2, name: 'e', x: 1 })
  })

  /** A session that some other program wrote. */
  async function withText(
    store: ReturnType<typeof memoryStore>,
    process: ReturnType<typeof createProcess>,
  ): Promise<string> {
    const cookie = await newSession(process, { a: 1 })
    const session = await stored(store, cookie)
    const record = await store.load(session?.id as never, Date.now())
    if (record === undefined) throw new Error('no session')
    const payload = record.payload.replace('{"a":1}', foreign)
    await store.update(session?.id as never, { ...record, payload }, record.version, Date.now())
    return cookie
  }
})

test('the order of keys and a spelling of numbers make no difference', () => {
  expect(saysTheSame('{"a":1,"b":2}', '{"b":2.0,"a":1e0}')).toBe(true)
  expect(saysTheSame('{"a":1}', '{"a":1,"b":null}')).toBe(false)
  expect(saysTheSame('{"a":{"x":1,"y":2}}', '{"a":{"y":2,"x":1}}')).toBe(false)
})

test('whether two sessions say the same is told as by decoding both, whoever wrote the first', () => {
  const slowly = (left: string, right: string): boolean => {
    const [fields, others] = [splitData(left), splitData(right)]
    return (
      fields.size === others.size && [...fields].every(([name, text]) => others.get(name) === text)
    )
  }
  const spelt = fc.constantFrom(
    (object: object) => encodeData(object),
    (object: object) => ` ${JSON.stringify(JSON.parse(encodeData(object)), undefined, 1)} `,
    (object: object) => joinFields(new Map([...encodeFields(object)].reverse())),
    (object: object) => `{"__proto__":{"a":1},${encodeData(object).slice(1)}`.replace(',}', '}'),
  )
  let different = 0
  fc.assert(
    fc.property(
      data,
      fc.dictionary(key, value, { maxKeys: 2 }),
      spelt,
      (object, changes, spell) => {
        const changed = Object.fromEntries(
          Object.entries({ ...object, ...changes }).filter(([name]) => name !== '__proto__'),
        )
        const [left, right] = [spell(object), encodeData(changed)]
        expect(saysTheSame(left, right)).toBe(slowly(left, right))
        if (plainlyDiffer(left, right)) different += 1
      },
    ),
    { numRuns: 2000 },
  )
  expect(different).toBeGreaterThan(100)
})

test('most changes show without decoding the rest of a session', () => {
  const text = '{"user":{"id":1,"tags":["a,\\"]}"]},"visits":12,"path":"/"}'
  expect(plainlyDiffer(text, text.replace('12', '13'))).toBe(true)
  expect(plainlyDiffer(text, text.replace('"a', '"b'))).toBe(true)
  expect(plainlyDiffer(text, text.replace('/"}', '/","new":1}'))).toBe(true)
  expect(plainlyDiffer('{}', '{"a":1}')).toBe(false)
  expect(plainlyDiffer('{"a":1.0}', '{"a":1}')).toBe(false)
  expect(plainlyDiffer(text, text)).toBe(false)
})

/** Equal to the last bit, but for own keys that are `undefined`: those are absent. */
function expectSame(actual: unknown, expected: unknown): void {
  const [left, right] = [comparable(actual), comparable(expected)]
  if (!isDeepStrictEqual(left, right)) expect.fail(`${inspect(left)} is not ${inspect(right)}`)
}

class Instant {
  readonly time: string

  constructor(date: Date) {
    this.time = String(date.getTime())
  }
}

function comparable(held: unknown): unknown {
  if (typeof held !== 'object' || held === null) return held
  // Two invalid dates are the same to a session, though not to Node.
  if (held instanceof Date) return new Instant(held)
  if (Array.isArray(held)) return held.map(comparable)
  if (held instanceof Map) return new Map(comparable([...held]) as [unknown, unknown][])
  if (held instanceof Set) return new Set(comparable([...held]) as unknown[])
  return Object.fromEntries(
    Object.entries(held)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => [name, comparable(inner)]),
  )
}

function cycle(): object {
  const object: Record<string, unknown> = {}
  object.self = object
  return object
}

function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)]
}

function quoted(path: string): string {
  return path.replaceAll(/[[\].]/g, '\\$&')
}
