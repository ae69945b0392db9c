import { createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import incumbentSession from 'express-session'
import { type SessionOptions, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { sqliteStore } from 'staykept/sqlite'
import { describe, expect, test } from 'vitest'
import { createClient, serve } from './http.js'
import { createApp } from './processes/app.cjs'

/** Must not turn up in any message. */
const HUSH = 'hush-hush-hush-hush-hush-hush-hush'
const secret = HUSH

const MAKE_ONE = "randomBytes(32).toString('base64url')"
const HOUR_HINT = 'One hour is 60 * 60 * 1000.'

/** What a newcomer writes, and what the message must say: the option, the value, and what to write instead. */
type Row = readonly [what: string, options: unknown, ...said: readonly string[]]

const SECRETS: readonly Row[] = [
  ['no options', undefined, 'session({ secret: process.env.SESSION_SECRET })'],
  ['a string for options', HUSH, 'session({ secret: process.env.SESSION_SECRET })'],
  ['no secret', {}, 'needs a secret', 'the variable is not set', MAKE_ONE],
  ['a variable that is not set', { secret: undefined }, 'secret is undefined', 'process.env'],
  ['null', { secret: null }, 'secret is null', MAKE_ONE],
  ['an empty text', { secret: '' }, 'secret is empty', MAKE_ONE],
  ['an empty list', { secret: [] }, 'secret is an empty list', MAKE_ONE],
  ['a list with a hole', { secret: [HUSH, undefined] }, 'secret[1]', 'not undefined', MAKE_ONE],
  ['a list with an empty text', { secret: ['', HUSH] }, 'secret[0]', 'not an empty string'],
  ['a number', { secret: 4242424242 }, 'secret', 'type number', MAKE_ONE],
  ['a flag', { secret: true }, 'secret', 'type boolean', MAKE_ONE],
  ['an object', { secret: { key: HUSH } }, 'secret', 'type object', MAKE_ONE],
  ['a function', { secret: () => HUSH }, 'secret', 'type function', MAKE_ONE],
  ['an empty Buffer', { secret: Buffer.alloc(0) }, 'secret', 'an empty Buffer'],
  ['a public key', { secret: publicKey() }, 'secret', 'a public key', MAKE_ONE],
]

const UNKNOWN: readonly Row[] = [
  ['sercet', { sercet: HUSH }, 'sercet is no option', 'Did you mean secret?'],
  ['secrets', { secrets: [HUSH] }, 'secrets is no option', 'Did you mean secret?'],
  ['Store', { secret, Store: 1 }, 'Store is no option', 'Did you mean store?'],
  ['saveUnitialized', { secret, saveUnitialized: false }, 'Did you mean saveUninitialized?'],
  ['idletimeout', { secret, idletimeout: 1 }, 'Did you mean idleTimeout?'],
  ['absolute_timeout', { secret, absolute_timeout: 1 }, 'Did you mean absoluteTimeout?'],
  ['cookies', { secret, cookies: {} }, 'Did you mean cookie?'],
  ['maxAge', { secret, maxAge: 1 }, 'maxAge is no option', 'cookie: { maxAge }'],
  ['ttl', { secret, ttl: 60 }, 'cookie: { maxAge }, in milliseconds'],
  ['timeout', { secret, timeout: 60 }, 'idleTimeout or absoluteTimeout'],
  ['key', { secret, key: 'sid' }, 'Did you mean name'],
  ['sameSite', { secret, sameSite: 'lax' }, 'cookie: { sameSite }'],
  ['genid', { secret, genid: () => 'x' }, 'leave it out'],
  ['unset', { secret, unset: 'destroy' }, 'req.session = null'],
  ['client', { secret, client: {} }, 'sqliteStore({ database })'],
  ['trustProxy', { secret, trustProxy: true }, "app.set('trust proxy', 1)"],
  ['something of its own', { secret, colour: 'red' }, 'colour is no option', 'absoluteTimeout'],
  ['cookie.maxage', { secret, cookie: { maxage: 1 } }, 'Did you mean cookie.maxAge?'],
  ['cookie.max-age', { secret, cookie: { 'max-age': 1 } }, 'Did you mean cookie.maxAge?'],
  ['cookie.httpOnyl', { secret, cookie: { httpOnyl: true } }, 'Did you mean cookie.httpOnly?'],
  ['cookie.SameSite', { secret, cookie: { SameSite: 'Lax' } }, 'Did you mean cookie.sameSite?'],
  ['cookie.expires', { secret, cookie: { expires: new Date() } }, 'cookie.maxAge, in milliseconds'],
  ['cookie.signed', { secret, cookie: { signed: true } }, 'always signed', 'leave it out'],
  ['cookie.name', { secret, cookie: { name: 'x' } }, 'beside cookie', 'session({ secret, name })'],
  ['cookie.secret', { cookie: { secret: HUSH }, secret }, 'beside cookie'],
]

const withoutFeed = { ...memoryStore(), watch: undefined }

const NEAR_CACHE: readonly Row[] = [
  ["nearCache: 'yes'", { secret, nearCache: 'yes' }, 'nearCache is true, false', "not 'yes'"],
  ['nearCache: 2000', { secret, nearCache: 2000 }, 'nearCache: { maxStaleness: 2000 }', 'not 2000'],
  ['nearCache: []', { secret, nearCache: [] }, 'nearCache is true, false'],
  [
    'nearCache.ttl',
    { secret, nearCache: { ttl: 1 } },
    'no option "ttl"',
    'maxStaleness, maxEntryAge',
  ],
  ['maxStaleness: 5', { secret, nearCache: { maxStaleness: 5 } }, 'at least 100, not 5'],
  ["maxStaleness: '2s'", { secret, nearCache: { maxStaleness: '2s' } }, "at least 100, not '2s'"],
  ['maxEntries: 0', { secret, nearCache: { maxEntries: 0 } }, 'maxEntries', 'at least 1, not 0'],
  ['maxBytes: NaN', { secret, nearCache: { maxBytes: Number.NaN } }, 'maxBytes', 'not NaN'],
  ['maxBytes: 32', { secret, nearCache: { maxBytes: 32 } }, 'maxBytes', 'at least 65536, not 32'],
  ['maxEntryAge: 30', { secret, nearCache: { maxEntryAge: 30 } }, 'at least 1000, not 30'],
  ['nearCache.toString', { secret, nearCache: { toString: 1 } }, 'no option "toString"'],
  ['cache', { secret, cache: true }, 'Did you mean nearCache?'],
  [
    'a store without a feed',
    { secret, nearCache: true, store: withoutFeed },
    'the memory store has no change feed',
    'Leave nearCache out',
  ],
]

const COOKIES: readonly Row[] = [
  ["maxAge: '1h'", { secret, cookie: { maxAge: '1h' } }, 'cookie.maxAge', "'1h'", HOUR_HINT],
  ['maxAge as text', { secret, cookie: { maxAge: '60000' } }, "'60000' is not", 'milliseconds'],
  ['a negative maxAge', { secret, cookie: { maxAge: -1 } }, 'cookie.maxAge', '-1 is not', 'null'],
  ['maxAge: 0', { secret, cookie: { maxAge: 0 } }, 'cookie.maxAge', '0 is not', 'null'],
  ['maxAge: NaN', { secret, cookie: { maxAge: Number.NaN } }, 'cookie.maxAge', 'NaN is not'],
  ['maxAge: Infinity', { secret, cookie: { maxAge: Infinity } }, 'Infinity is not'],
  ['maxAge: 5n', { secret, cookie: { maxAge: 5n } }, 'cookie.maxAge', '5n is not'],
  ['a Date', { secret, cookie: { maxAge: new Date(0) } }, 'an object of class Date is not'],
  ['a function for maxAge', { secret, cookie: { maxAge: () => 1 } }, 'cookie.maxAge'],
  ['a cookie by function', { secret, cookie: () => ({}) }, 'second session()'],
  ['a cookie by name', { secret, cookie: 'sid' }, 'cookie is an object', "not 'sid'"],
  ['cookie: null', { secret, cookie: null }, 'cookie is an object', 'not null'],
  ['cookie: []', { secret, cookie: [] }, 'cookie is an object', 'not an array'],
  ["sameSite: 'none'", { secret, cookie: { sameSite: 'none' } }, 'cookie.secure: true'],
  [
    "sameSite: 'None' with secure: 'auto'",
    { secret, cookie: { sameSite: 'None', secure: 'auto' } },
    "cookie.sameSite: 'none' needs cookie.secure: true",
  ],
  [
    'sameSite: loose',
    { secret, cookie: { sameSite: 'loose' } },
    "'lax', 'strict' or 'none'",
    "not 'loose'",
  ],
  ['sameSite: null', { secret, cookie: { sameSite: null } }, 'not null', 'Leave it out'],
  [
    "secure: 'true'",
    { secret, cookie: { secure: 'true' } },
    "cookie.secure is true, false or 'auto', not 'true'",
  ],
  ['secure: 1', { secret, cookie: { secure: 1 } }, 'cookie.secure', 'not 1'],
  ['secure by function', { secret, cookie: { secure: () => true } }, 'not the function secure'],
  ['httpOnly: 5n', { secret, cookie: { httpOnly: 5n } }, 'cookie.httpOnly', 'not 5n'],
  ["httpOnly: 'false'", { secret, cookie: { httpOnly: 'false' } }, "not 'false'"],
  ['partitioned alone', { secret, cookie: { partitioned: true } }, 'cookie.secure: true'],
  ['priority: High', { secret, cookie: { priority: 'High' } }, "'high'", "not 'High'"],
  ['path: admin', { secret, cookie: { path: 'admin' } }, "as in '/admin'", "'admin'"],
  ['a path with a semicolon', { secret, cookie: { path: '/a;b' } }, 'no semicolon', "'/a;b'"],
  [
    'a path that smuggles a header',
    { secret, cookie: { path: '/\r\nSet-Cookie: a=b' } },
    'cookie.path',
    "'/\\r\\nSet-Cookie: a=b'",
  ],
  ['path: null', { secret, cookie: { path: null } }, 'cookie.path', 'cannot be null'],
  [
    'a URL for a domain',
    { secret, cookie: { domain: 'https://a.com' } },
    "as in 'example.com'",
    "'https://a.com'",
  ],
  ['a domain with a port', { secret, cookie: { domain: 'a.com:3000' } }, "'a.com:3000' is not"],
  ['a domain with a star', { secret, cookie: { domain: '*.a.com' } }, 'Leave it out'],
  ['a domain with two dots', { secret, cookie: { domain: 'a..com' } }, "'a..com' is not"],
  ['an empty domain', { secret, cookie: { domain: '' } }, 'Leave it out'],
  ['name: 5', { secret, name: 5 }, 'name of the cookie', '5 is not'],
  ['an empty name', { secret, name: '' }, 'name of the cookie', "'' is not"],
  ['a name with a blank', { secret, name: 'my cookie' }, "'my cookie' is not"],
  ['a name with an =', { secret, name: 'a=b' }, "'a=b' is not"],
  ['a name that smuggles', { secret, name: 'a\r\nb' }, "'a\\r\\nb' is not"],
  ['a very long name', { secret, name: 'n'.repeat(5000) }, 'name has 5000 characters', '4007'],
  [
    '__Host- with a domain',
    { secret, name: '__Host-sid', cookie: { domain: 'a.com' } },
    "'__Host-sid'",
    'Leave out cookie.domain, or the prefix.',
  ],
  [
    '__Host- with a path',
    { secret, name: '__host-sid', cookie: { path: '/a' } },
    "'__host-sid'",
    'Leave out cookie.path, or the prefix.',
  ],
  [
    '__Host- without Secure',
    { secret, name: '__Host-sid', cookie: { secure: false } },
    'needs cookie.secure: true',
  ],
  [
    "__Secure- with secure: 'auto'",
    { secret, name: '__Secure-sid', cookie: { secure: 'auto' } },
    'needs cookie.secure: true',
  ],
]

class SomeStore {}
const { touch: _, ...withoutTouch } = memoryStore()

const STORES: readonly Row[] = [
  ['a class', { secret, store: SomeStore }, 'the function SomeStore', 'sqliteStore({ filename'],
  ['sqliteStore itself', { secret, store: sqliteStore }, 'the function sqliteStore', 'Call it'],
  [
    'an express-session store',
    { secret, store: new incumbentSession.MemoryStore() },
    'staykept/sqlite',
  ],
  [
    'its class',
    { secret, store: incumbentSession.MemoryStore },
    'express-session',
    'staykept/sqlite',
  ],
  ['a promise of a store', { secret, store: Promise.resolve(memoryStore()) }, 'await it first'],
  [
    'a client',
    { secret, store: { get() {}, set() {}, del() {} } },
    'client',
    'sqliteStore({ database })',
  ],
  [
    'a pool',
    { secret, store: { query() {}, connect() {} } },
    'no load',
    'sqliteStore({ database })',
  ],
  ['a Map', { secret, store: new Map() }, 'store is no session store'],
  ['half a store', { secret, store: withoutTouch }, 'it has no touch'],
  ['an address', { secret, store: `redis://:${HUSH}@localhost` }, 'memoryStore()', 'not a string'],
  ['null', { secret, store: null }, 'memoryStore()', 'not null'],
  ['a number', { secret, store: 5 }, 'memoryStore()', 'not a number'],
]

const OTHERS: readonly Row[] = [
  ["idleTimeout: '30m'", { secret, idleTimeout: '30m' }, 'idleTimeout', "'30m' is not", HOUR_HINT],
  ['idleTimeout: 0', { secret, idleTimeout: 0 }, 'idleTimeout', '0 is not'],
  ['both idle timeouts', { secret, idleTimeout: 5, cookie: { maxAge: 5 } }, 'keep cookie.maxAge'],
  [
    'absoluteTimeout below maxAge',
    { secret, absoluteTimeout: 1000, cookie: { maxAge: 5000 } },
    'absoluteTimeout (1000)',
    '5000, from cookie.maxAge',
  ],
  ['absoluteTimeout: null', { secret, absoluteTimeout: null }, 'absoluteTimeout', 'null is not'],
  ['absoluteTimeout: false', { secret, absoluteTimeout: false }, 'false is not', HOUR_HINT],
  ['storeBudget: 0', { secret, storeBudget: 0 }, 'storeBudget', '0 is not'],
  ["storeBudget: '1s'", { secret, storeBudget: '1s' }, "'1s' is not"],
  ['more than a timer counts', { secret, storeBudget: 1e12 }, 'storeBudget', '24 days'],
  ['a prune in a far future', { secret, pruneInterval: 2 ** 31 }, 'pruneInterval', '24 days'],
  ['pruneInterval: false', { secret, pruneInterval: false }, 'pruneInterval', 'false is not'],
  ['pruneInterval: -1', { secret, pruneInterval: -1 }, '-1 is not'],
  [
    'onStoreError: ignore',
    { secret, onStoreError: 'ignore' },
    "'fail' or 'anonymous', not 'ignore'",
  ],
  ['onStoreError by function', { secret, onStoreError() {} }, 'not the function onStoreError'],
  ['skip: a path', { secret, skip: '/assets' }, 'skip is a function', "not '/assets'"],
  ['skip: a pattern', { secret, skip: /assets/ }, 'not an object of class RegExp'],
  ["devices: 'on'", { secret, devices: 'on' }, "devices is true or false, not 'on'"],
  ['awaitTouch: 1', { secret, awaitTouch: 1 }, 'awaitTouch is true or false, not 1'],
  ['proxy: 1', { secret, proxy: 1 }, 'proxy', "app.set('trust proxy', 1)"],
  [
    "proxy: 'loopback'",
    { secret, proxy: 'loopback' },
    "not 'loopback'",
    "app.set('trust proxy', 1)",
  ],
  ["maxBytes: '1mb'", { secret, maxBytes: '1mb' }, 'maxBytes is a number of bytes', "'1mb' is not"],
  ["resave: 'false'", { secret, resave: 'false' }, "resave is true or false, not 'false'"],
  ['rolling: 1', { secret, rolling: 1 }, 'rolling is true or false, not 1'],
  ['saveUninitialized: null', { secret, saveUninitialized: null }, 'not null'],
  ['clock: new Date()', { secret, clock: new Date() }, 'now()', 'movableClock()'],
  ['clock: Date.now', { secret, clock: () => 5 }, 'now()', 'movableClock()'],
  [
    'what cannot be written out',
    { secret, devices: Object.assign(Object.create(null), { self: 5n }) },
    'devices is true or false, not an object',
  ],
]

function publicKey(): unknown {
  const { privateKey } = generateKeyPairSync('ed25519')
  return createPublicKey(privateKey)
}

for (const [what, rows] of Object.entries({
  SECRETS,
  UNKNOWN,
  NEAR_CACHE,
  COOKIES,
  STORES,
  OTHERS,
})) {
  describe(`a wrong option is a TypeError that says what to write instead: ${what.toLowerCase()}`, () => {
    test.each(rows)('%s', (_what, options, ...said) => {
      let error: unknown
      try {
        session(options as SessionOptions)
      } catch (thrown) {
        error = thrown
      }
      expect(error).toBeInstanceOf(TypeError)
      const { message } = error as TypeError
      for (const part of said) expect(message).toContain(part)
      expect(message).not.toContain(HUSH)
      expect(message).not.toContain('4242424242')
      expect(message).not.toMatch(/[\r\n]/)
      expect(message.length).toBeLessThan(400)
    })
  })
}

describe('what works', () => {
  test.each<readonly [string, Partial<SessionOptions>]>([
    ['a Buffer', { secret: randomBytes(32) }],
    ['a KeyObject', { secret: createSecretKey(randomBytes(32)) }],
    [
      'several secrets of all kinds',
      { secret: [HUSH, randomBytes(32), createSecretKey(Buffer.from(HUSH))] },
    ],
    [
      'options of express-session',
      { resave: false, saveUninitialized: true, rolling: true, name: 'x' },
    ],
    [
      'undefined everywhere',
      { store: undefined, name: undefined, cookie: undefined, skip: undefined } as object,
    ],
    ['an absolute timeout below the default idle timeout', { absoluteTimeout: 60_000 }],
    ['sameSite in capitals', { cookie: { secure: true, sameSite: 'None' as 'none' } }],
    ['sameSite: true', { cookie: { sameSite: true } }],
    ['a domain with a leading dot', { cookie: { domain: '.example.com' } }],
  ])('%s', async (_what, options) => {
    const { url } = await serve(createApp(session({ secret, ...options })))
    const browser = createClient(url)
    const { cookies } = await browser.post('/login')
    expect(cookies).toHaveLength(1)
    const [pair = ''] = cookies[0]?.split(';') ?? []
    expect((await createClient(url).get('/me', { headers: { cookie: pair } })).text).toBe('ada')
  })

  test('a short secret works, and is warned about once', async () => {
    const said: unknown[] = []
    const listener = (warning: Error & { code?: string }): unknown => said.push(warning)
    process.on('warning', listener)
    const sessions = session({ secret: 'k' })
    const { url } = await serve(createApp(sessions))
    const browser = createClient(url)
    await browser.post('/login')
    expect((await browser.get('/me')).text).toBe('ada')
    process.off('warning', listener)
    expect(said).toEqual([
      expect.objectContaining({ name: 'SessionWarning', code: 'WARN_SESSION_SECRET' }),
    ])
    expect((said[0] as Error).message).toContain(MAKE_ONE)
  })

  test('an array of secrets that is changed afterwards changes nothing', async () => {
    const secrets = [HUSH]
    const { url } = await serve(createApp(session({ secret: secrets })))
    secrets.length = 0
    const browser = createClient(url)
    await browser.post('/login')
    expect((await browser.get('/me')).text).toBe('ada')
  })
})

describe('what a handler passes wrongly is a TypeError that says what to write instead', () => {
  const calls: Record<string, readonly [(session: never) => unknown, ...string[]]> = {
    'signIn(undefined)': [(s: Any) => s.signIn(undefined), "the user's id", 'got undefined'],
    'signIn(null)': [(s: Any) => s.signIn(null), "the user's id", 'null'],
    "signIn('')": [(s: Any) => s.signIn(''), "the user's id", '1 to 256'],
    'signIn(NaN)': [(s: Any) => s.signIn(Number.NaN), "the user's id"],
    'signIn({ id })': [(s: Any) => s.signIn({ id: 1 }), 'String(user._id)'],
    'signIn([1])': [(s: Any) => s.signIn([1]), 'an array'],
    "signIn(1, { keep: 'cart' })": [
      (s: Any) => s.signIn(1, { keep: 'cart' }),
      "{ keep: ['cart'] }",
    ],
    "signIn(1, { keep: ['id'] })": [(s: Any) => s.signIn(1, { keep: ['id'] }), "'id'"],
    'signIn(1, { data: [] })': [(s: Any) => s.signIn(1, { data: [] }), '{ data: { user } }'],
    'signIn(1, { data: { id } })': [(s: Any) => s.signIn(1, { data: { id: 1 } }), "'id'"],
    "signIn(1, { maxAge: '30d' })": [
      (s: Any) => s.signIn(1, { maxAge: '30d' }),
      "'30d'",
      HOUR_HINT,
    ],
    'update()': [(s: Any) => s.update(), 'takes a function'],
    'update(async)': [(s: Any) => s.update(async () => 1), 'synchronous', 'Await first'],
    'take()': [(s: Any) => s.take(), 'name of a key'],
    "take('id')": [(s: Any) => s.take('id'), 'name of a key', 'id'],
    "regenerate({ keep: 'a' })": [(s: Any) => s.regenerate({ keep: 'a' }), "{ keep: ['cart'] }"],
    "save('x')": [(s: Any) => s.save('x'), 'callback'],
    "cookie.maxAge = '1h'": [
      (s: Any) => {
        s.cookie.maxAge = '1h'
      },
      'req.session.cookie.maxAge',
      "'1h'",
      HOUR_HINT,
    ],
    "cookie.expires = 'tomorrow'": [
      (s: Any) => {
        s.cookie.expires = 'tomorrow'
      },
      'Date',
    ],
    'signIn off its object': [(s: Any) => s.signIn.call(undefined, 1), 'on req.session itself'],
  }

  test.each(Object.entries(calls))('%s', async (_what, [call, ...said]) => {
    const sessions = session({ secret })
    const app = createApp(sessions)
    const thrown: unknown[] = []
    app.post('/call', async (req, res) => {
      try {
        await call(req.session as never)
      } catch (error) {
        thrown.push(error)
      }
      res.send('fine')
    })
    const { url } = await serve(app)
    const browser = createClient(url)
    for (const isSignedIn of [false, true]) {
      thrown.length = 0
      if (isSignedIn) await browser.post('/login')
      const signal = AbortSignal.timeout(2000)
      expect((await browser.post('/call', { signal })).status).toBe(200)
      expect(thrown).toEqual([expect.any(TypeError)])
      for (const part of said) expect((thrown[0] as Error).message).toContain(part)
    }
  })

  // biome-ignore lint/suspicious/noExplicitAny: wrong on purpose
  type Any = any
})
