import { faultyStore } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { visitCalls } from '../visit-calls.js'
import { type Act, openSite, storesUnderTest } from './harness.js'

/** What a visitor without a session does that leaves nothing worth keeping. */
const NOTHING: Readonly<Record<string, Act>> = {
  'looking at the session': (session) => [session.id, session.info.isNew, session.info.expiresAt],
  'reading keys': (session) => [session.user, Object.keys(session), 'user' in session],
  'assigning undefined': (session) => {
    session.user = undefined
  },
  'assigning and deleting': (session) => {
    session.user = 1
    delete session.user
  },
  'an update without effect': (session) => session.update(() => 5),
  'a take of nothing': (session) => session.take('flash'),
  'a save': (session) => session.save(),
  'a touch': (session) => session.touch(),
  regenerate: (session) => session.regenerate(),
  signOut: (session) => session.signOut(),
  'req.session = null': (_session, req) => {
    Object.assign(req, { session: null })
  },
  'cookie.maxAge': (session) => {
    session.cookie.maxAge = 60_000
  },
  'a token for forms': (session) => session.info.csrfId.length,
  'writing it out': (session) => [JSON.stringify(session), String(session)],
}

describe.each(storesUnderTest)('P5, $name', ({ open }) => {
  test.each(Object.entries(NOTHING))(
    '%s by a visitor stores nothing and sends no cookie',
    async (_what, act) => {
      const faulty = faultyStore((await open())())
      const { browser } = await openSite(faulty.store)
      const { status, cookies, headers } = await browser().do(act)
      expect([status, cookies, headers['cache-control']]).toEqual([200, [], undefined])
      expect(visitCalls(faulty)).toBe(0)
    },
  )

  test('a request that failed, or asked for what is not there, leaves nothing either', async () => {
    const faulty = faultyStore((await open())())
    const { browser } = await openSite(faulty.store)
    const failed = await browser().do(() => {
      throw new Error('no')
    })
    expect([failed.status, failed.cookies]).toEqual([500, []])
    expect((await browser().get('/no-such-page')).cookies).toEqual([])
    expect(visitCalls(faulty)).toBe(0)
  })

  test('skip leaves a route without a session, whatever cookie it gets', async () => {
    const faulty = faultyStore((await open())())
    const skip = (req: { readonly url?: string | undefined }): boolean =>
      req.url?.startsWith('/assets') === true
    const { browser } = await openSite(faulty.store, { skip }, (app) => {
      app.get('/assets/style.css', (req, res) => void res.send(String(req.session)))
    })
    const user = browser()
    await user.do((session) => session.signIn('ada'))
    faulty.reset()
    expect((await user.get('/assets/style.css')).text).toBe('undefined')
    expect(visitCalls(faulty)).toBe(0)
  })

  test('a cookie of another secret, of an older release, or of nobody costs no store call', async () => {
    const opened = await open()
    const other = await openSite(opened(), {
      secret: 'another secret of more than thirty-two characters',
    })
    const stranger = other.browser()
    await stranger.do((session) => session.signIn('ada'))
    const faulty = faultyStore(opened())
    const { browser, sessions } = await openSite(faulty.store)
    const rejected: string[] = []
    sessions.on('rejected', ({ reason }) => rejected.push(reason))
    const { body } = await browser(stranger.jar.clone()).do(
      (session) => session.info.userId ?? null,
    )
    expect(body).toBe(null)
    expect(rejected).toEqual(['forged'])
    expect(visitCalls(faulty)).toBe(0)
  })
})
