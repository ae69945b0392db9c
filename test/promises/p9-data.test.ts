import express from 'express'
import { memoryStore } from 'staykept/memory'
import { describe, expect, test } from 'vitest'
import { openSite, type Site, storesUnderTest } from './harness.js'
import sloppy from './sloppy.cjs'

const MEGABYTE = 2 ** 20

class Point {
  x: number
  constructor(x: number) {
    this.x = x
  }
}
class Money {
  cents = 5
  toJSON(): string {
    return '5'
  }
}
class LaterDate extends Date {}

const shared = { a: 1 }

/** What comes back as it was. */
const KEPT: readonly (readonly [string, unknown])[] = [
  ['text', 'hello'],
  ['an empty string', ''],
  ['a number', 1.5],
  ['a large number', Number.MAX_SAFE_INTEGER],
  ['NaN', Number.NaN],
  ['infinities', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ['-0', -0],
  ['-0 in an array', [-0, 0]],
  ['booleans and null', [true, false, null]],
  ['a BigInt', 12345678901234567890n],
  ['a negative BigInt', [-1n]],
  ['a Date', new Date(86_400_000)],
  ['an invalid Date', new Date(Number.NaN)],
  [
    'a Map',
    new Map<unknown, unknown>([
      ['a', 1],
      [{ b: 1 }, new Map([[2n, new Date(0)]])],
    ]),
  ],
  ['a Set', new Set<unknown>(['a', 1, new Set([undefined, Number.NaN])])],
  ['empty containers', [[], {}, new Map(), new Set()]],
  ['undefined in an array', [1, undefined, 3]],
  ['lone surrogates', '\ud800 and \udc00'],
  ['NUL and controls', '\0\u0001\u001f\u007f\u2028\u2029\ufeff'],
  ['emoji and accents', '👩‍👩‍👧 é e\u0301'],
  ['names of every object', { constructor: 1, toString: 'x', hasOwnProperty: null, valueOf: [] }],
  ['stand-ins of our own', [{ $date: 5 }, { $map: [] }, { $$set: 1 }, { $undefined: 0 }, { $: 1 }]],
  ['names of ours, deeper down', { id: 1, touch: 2, save: 3, cookie: 4, signOut: 5 }],
  ['the same object twice', [shared, shared]],
  ['keys that are numbers', { 10: 'a', 9: 'b' }],
  ['an empty key', { '': 1 }],
  ['64 levels', nest(60)],
]

/** What is refused, with the path that the error names. */
const REFUSED: readonly (readonly [string, () => unknown, string])[] = [
  ['a function', () => ({ f() {} }), 'value.f'],
  ['a symbol', () => [Symbol('s')], 'value[0]'],
  ['a class instance', () => ({ at: [new Point(1)] }), 'value.at[0]'],
  ['a class instance with toJSON', () => new Money(), 'value'],
  ['a plain object with toJSON', () => ({ toJSON: () => 5 }), 'value.toJSON'],
  ['a Buffer', () => ({ file: Buffer.from('x') }), 'value.file'],
  ['a Uint8Array', () => new Uint8Array(3), 'value'],
  ['a cycle', () => cycle(), 'value.self'],
  ['a cycle through an array', () => arrayCycle(), 'value[0][0]'],
  ['a cycle through a Map', () => mapCycle(), 'value[0][1]'],
  ['an Error', () => new Error('x'), 'value'],
  ['a RegExp', () => /x/, 'value'],
  ['a URL', () => new URL('http://a'), 'value'],
  ['a promise', () => Promise.resolve(1), 'value'],
  ['a WeakMap', () => new WeakMap(), 'value'],
  ['a boxed number', () => Object(1), 'value'],
  ['a boxed BigInt', () => Object(1n), 'value'],
  ['a subclass of Date', () => new LaterDate(0), 'value'],
  ['a Map with more on it', () => Object.assign(new Map(), { extra: 1 }), 'value'],
  ['an array with more on it', () => Object.assign([1], { extra: 1 }), 'value'],
  ['own __proto__', () => JSON.parse('{"a":{"__proto__":{"isAdmin":true}}}'), 'value.a.__proto__'],
  ['100 levels', () => nest(100), 'value.a.a'],
  ['100,000 levels', () => nest(100_000), 'value.a.a'],
]

function nest(levels: number): object {
  let value = {}
  for (let level = 1; level < levels; level++) value = { a: value }
  return value
}

function cycle(): object {
  const object: { self?: object } = {}
  object.self = object
  return object
}

function arrayCycle(): unknown[] {
  const inner: unknown[] = []
  inner.push(inner)
  return [inner]
}

function mapCycle(): Map<string, unknown> {
  const map = new Map<string, unknown>()
  return map.set('a', map)
}

const RESERVED = [
  'id',
  'cookie',
  'info',
  'touch',
  'save',
  'reload',
  'destroy',
  'regenerate',
  'signIn',
  'signOut',
  'update',
  'take',
  '__proto__',
]

describe.each(storesUnderTest)('$name', ({ open }) => {
  test.each(KEPT)('%s comes back as it was', async (_what, value) => {
    const browser = (await openSite((await open())())).browser()
    const seen: unknown[] = []
    const put = await browser.do((session) => {
      session.value = value
    })
    expect(put.status).toBe(200)
    const got = await browser.do(async (session) => {
      seen[0] = session.value
      await session.update((data: object) => {
        seen[1] = (data as { value?: unknown }).value
      })
      seen[2] = await session.take('value')
    })
    expect(got.status).toBe(200)
    expect(seen).toStrictEqual([value, value, value])
  })

  test.each(REFUSED)(
    '%s is refused in the same request, with its path',
    async (_what, make, path) => {
      const browser = (await openSite((await open())())).browser()
      await browser.do((session) => {
        session.value = 'old'
      })
      const pathPattern = path.endsWith('.a.a') ? expect.stringMatching(/^value(\.a)+/) : path
      const wanted = [500, 'ERR_SESSION_DATA', pathPattern]

      const plain = await browser.do((session) => {
        session.other = 1
        session.value = make()
        return 'fine'
      })
      expect(codeOf(plain)).toEqual(wanted)
      const saved = await browser.do(async (session) => {
        session.value = make()
        await session.save()
        return 'fine'
      })
      expect(codeOf(saved)).toEqual(wanted)
      const updated = await browser.do((session) =>
        session.update((data: object) => {
          Object.assign(data, { value: make() })
        }),
      )
      expect(codeOf(updated)).toEqual(wanted)
      const signedIn = await browser.do((session) =>
        session.signIn('ada', { data: { value: make() } }),
      )
      expect(codeOf(signedIn)).toEqual(wanted)
      const fresh = (await openSite((await open())())).browser()
      const first = await fresh.do((session) => {
        session.value = make()
      })
      expect(codeOf(first)).toEqual(wanted)
      expect(first.cookies).toEqual([])

      const after = await browser.do((session) => ({ ...session }))
      expect(after.body).toEqual({ value: 'old' })
    },
  )

  test.each(RESERVED)(
    'a key %s is refused and named, and nothing of the request is stored',
    async (key) => {
      const site = await openSite((await open())(), {}, (app) => {
        app.post('/assign', express.json(), (req, res) => {
          Object.assign(req.session, req.body)
          res.send('fine')
        })
        app.post('/merge', express.json(), async (req, res) => {
          await req.session.update((data: object) => void Object.assign(data, req.body))
          res.send('fine')
        })
        app.post('/sloppy/:key', sloppy.assign)
        app.post('/sloppy-quiet/:key', sloppy.assignQuietly)
        app.post('/define/:key', sloppy.define)
      })
      const browser = site.browser()
      await browser.do((session) => {
        session.old = 1
      })
      const wanted = [500, 'ERR_SESSION_RESERVED_KEY', key]
      const headers = { 'content-type': 'application/json' }
      const body = `{"before":1,${JSON.stringify(key)}:{"isAdmin":true},"after":1}`
      for (const path of [
        '/assign',
        '/merge',
        `/sloppy/${key}`,
        `/sloppy-quiet/${key}`,
        `/define/${key}`,
      ]) {
        const signal = AbortSignal.timeout(2000)
        const answer = await browser.post(path, { headers, body, signal })
        const told = answer.text === 'fine' ? {} : answer.json()
        expect([path, answer.status, told.code, told.path]).toEqual([path, ...wanted])
      }
      const after = await browser.do((session) => [
        { ...session },
        typeof session.id,
        typeof session.save,
      ])
      expect(after.body).toEqual([{ old: 1 }, 'string', 'function'])
    },
  )

  test('1 MB is refused with 413, and stored where maxBytes and the store allow it', async () => {
    const text = 'é'.repeat(MEGABYTE / 2)
    const opened = await open()
    const small = (await openSite(opened())).browser()
    await small.do((session) => {
      session.value = 'old'
    })
    const refused = await small.do((session) => {
      session.value = text
    })
    expect([refused.status, (refused.body as { code: string }).code]).toEqual([
      413,
      'ERR_SESSION_TOO_LARGE',
    ])
    expect((await small.do((session) => session.value)).body).toBe('old')
    const store = opened()
    const large = (await openSite(store, { maxBytes: 2 * MEGABYTE })).browser()
    const stored = await large.do((session) => void Object.assign(session, { value: text }))
    const isAllowed = (store.limits?.maxPayloadBytes ?? Number.POSITIVE_INFINITY) > MEGABYTE
    expect(stored.status).toBe(isAllowed ? 200 : 413)
    expect((await large.do((session) => session.value === text)).body).toBe(isAllowed)
  })

  test('an own undefined is absent', async () => {
    const browser = (await openSite((await open())())).browser()
    await browser.do((session) => {
      session.a = undefined
      session.b = { c: undefined, d: 1 }
    })
    const { body } = await browser.do((session) =>
      Object.keys(session).concat(Object.keys(session.b)),
    )
    expect(body).toEqual(['b', 'd'])
  })

  test('keys of every kind at the top level come back', async () => {
    const browser = (await openSite((await open())())).browser()
    const data = {
      '': 1,
      ' ': 2,
      '0': 3,
      $date: 4,
      $$map: 5,
      constructor: 6,
      toString: 7,
      // biome-ignore lint/suspicious/noThenProperty: that is the question
      then: 8,
      toJSON: 9,
      'a.b': 10,
      '\ud800': 11,
      length: 12,
      hasOwnProperty: 13,
      prototype: 14,
    }
    const put = await browser.do((session) => void Object.assign(session, data))
    expect(put.status).toBe(200)
    let seen: unknown
    const got = await browser.do((session) => {
      seen = { ...session }
    })
    expect(got.status).toBe(200)
    expect(seen).toEqual(data)
  })
})

function codeOf({
  status,
  body,
}: Awaited<ReturnType<ReturnType<Site['browser']>['do']>>): unknown[] {
  const { code, path } = (body ?? {}) as { code?: string; path?: string }
  return [status, code, path]
}

test('the message of a refusal says what to store instead', async () => {
  const browser = (await openSite(memoryStore())).browser()
  const messages: string[] = []
  for (const value of [new Point(1), new Money(), Buffer.from('x'), () => 1, cycle()]) {
    const { body } = await browser.do((session) => {
      session.user = value
    })
    messages.push((body as { message: string }).message)
  }
  expect(messages).toEqual([
    'req.session.user cannot be stored: it is an instance of Point and would come back without its class; store a plain object instead',
    'req.session.user cannot be stored: it is an instance of Money and would come back without its class; store its id, such as user.id, instead',
    "req.session.user cannot be stored: it is a Buffer; store value.toString('base64')",
    'req.session.user cannot be stored: it is a function; store plain data',
    'req.session.user.self cannot be stored: it refers back to an object that contains it; store an id instead',
  ])
})
