import { memoryStore } from 'staykept/memory'
import { movableClock } from 'staykept/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Act, openSite } from './harness.js'

/** What the process was warned of: code and message. */
const printed: [string, string][] = []

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(((message: string, options: Options) => {
    printed.push([options.code, message])
    expect(options.type).toBe('SessionWarning')
  }) as typeof process.emitWarning)
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  printed.length = 0
})

interface Options {
  readonly type: string
  readonly code: string
}

/** What goes wrong, the code of the warning, and the mend that its message names. */
interface Mistake {
  readonly code: string
  readonly mend: RegExp
  readonly options: object
  readonly acts: readonly Act[]
  readonly headers?: Readonly<Record<string, string>>
}
const MISTAKES: Readonly<Record<string, Mistake>> = {
  'a short secret': {
    code: 'WARN_SESSION_SECRET',
    mend: /randomBytes\(32\)/,
    options: { secret: 'keyboard cat' },
    acts: [],
  },
  'a proxy that is not trusted': {
    code: 'WARN_SESSION_TRUST_PROXY',
    mend: /app\.set\('trust proxy', 1\)/,
    options: {},
    acts: [(session) => void Object.assign(session, { n: 1 })],
    headers: { host: 'shop.example', 'x-forwarded-proto': 'https' },
  },
  'a shared cache': {
    code: 'WARN_SESSION_CACHEABLE',
    mend: /private, no-store/,
    options: {},
    acts: [
      (session, _req, res) => {
        session.n = 1
        res.set('Cache-Control', 'public, max-age=60')
      },
    ],
  },
  'a sign-in by hand on a session that was there before': {
    code: 'WARN_SESSION_FIXATION',
    mend: /await req\.session\.signIn\(/,
    options: {},
    acts: [
      (session) => void Object.assign(session, { cart: [] }),
      (session) => void Object.assign(session, { user: { id: 1 } }),
    ],
  },
  'keys that signIn drops': {
    code: 'WARN_SESSION_DROPPED_KEYS',
    mend: /theme.*\{ data \}.*\{ keep \}/,
    options: {},
    acts: [
      (session) => {
        session.theme = 'dark'
        return session.signIn(1)
      },
    ],
  },
  'a change after the answer': {
    code: 'WARN_SESSION_LATE_CHANGE',
    mend: /await req\.session\.save\(\)/,
    options: {},
    acts: [
      (session) => void Object.assign(session, { n: 1 }),
      async (_session, req, res) => {
        res.send('"done"')
        await new Promise((resolve) => setTimeout(resolve, 20))
        Object.assign(req.session, { n: 2 })
      },
    ],
  },
  'a clock that is wrong': {
    code: 'WARN_SESSION_CLOCK',
    mend: /3600000 ms ahead.*NTP/,
    options: { store: { ...memoryStore(), ping: () => ({ now: Date.now() - 3_600_000 }) } },
    acts: [(session) => void Object.assign(session, { n: 1 })],
  },
}

test.each(Object.entries(MISTAKES))('%s is said once, with its mend', async (_what, mistake) => {
  const { code, mend, options, acts, headers } = mistake
  const events: string[] = []
  const site = await openSite(memoryStore(), options, (_app, sessions) => {
    sessions.on('warning', (warning) => events.push(warning.code))
  })
  for (let round = 0; round < 2; round++) {
    const browser = site.browser()
    for (const act of acts) await browser.do(act, headers)
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
  expect(printed.map(([said]) => said)).toEqual([code])
  expect(printed[0]?.[1].replaceAll(/3599\d{3}|36000\d\d/g, '3600000')).toMatch(mend)
  // The secret is looked at before anyone can listen.
  expect(events).toEqual(code === 'WARN_SESSION_SECRET' ? [] : [code])
})

test('the default store in production is said at start, with what to use instead', async () => {
  vi.stubEnv('NODE_ENV', 'production')
  await openSite(undefined as never, {})
  expect(printed).toEqual([['WARN_SESSION_MEMORY_STORE', expect.stringContaining('sqliteStore(')]])
  printed.length = 0
  await openSite(memoryStore(), {})
  expect(printed).toEqual([])
})

test('secure: true on localhost is said once', async () => {
  const site = await openSite(memoryStore(), { cookie: { secure: true } })
  for (let round = 0; round < 2; round++) {
    expect((await site.browser().do((session) => session.signIn(1))).status).toBe(200)
  }
  expect(printed.map(([code]) => code)).toEqual(['WARN_SESSION_INSECURE_LOCALHOST'])
})

test('a listener that throws is said, and harms neither the request nor other listeners', async () => {
  const site = await openSite(memoryStore())
  const heard: unknown[] = []
  site.sessions.on('created', () => {
    throw new Error('my mistake')
  })
  site.sessions.on('created', (event) => heard.push(event))
  const { status } = await site.browser().do((session) => session.signIn(1))
  expect([status, heard.length]).toEqual([200, 1])
  expect(printed).toEqual([['WARN_SESSION_LISTENER', expect.stringContaining('my mistake')]])
})

test('an application without mistakes hears nothing', async () => {
  const clock = movableClock()
  const site = await openSite(memoryStore(), { clock })
  const browser = site.browser()
  await browser.do((session) => void Object.assign(session, { cart: [1] }))
  await browser.do((session) => session.signIn(1, { keep: ['cart'], data: { user: 1 } }))
  clock.advance(600_000)
  await browser.do((session) => session.update((data: object) => Object.assign(data, { n: 1 })))
  await browser.do((session) => session.take('n'))
  await browser.do((session) => session.signOut())
  expect(printed).toEqual([])
})
