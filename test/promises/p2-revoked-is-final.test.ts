import { describe, expect, test } from 'vitest'
import { type Act, type Browser, openPair, type Site, storesNearAndFar } from './harness.js'

/** How a session ends, from the process or the request that it is told to. */
const ENDINGS: Readonly<
  Record<
    string,
    (pair: { here: Site; there: Site; owner: Browser; id: string }) => Promise<unknown>
  >
> = {
  signOut: ({ owner }) => owner.do((session) => session.signOut()),
  destroy: ({ owner }) => owner.do((session) => session.destroy()),
  'req.session = null': ({ owner }) =>
    owner.do((_session, req) => {
      Object.assign(req, { session: null })
    }),
  regenerate: ({ owner }) => owner.do((session) => session.regenerate()),
  'signing in as somebody else': ({ owner }) => owner.do((session) => session.signIn('eve')),
  'revoke in this process': ({ here, id }) => here.sessions.revoke(id),
  'revoke in another process': ({ there, id }) => there.sessions.revoke(id),
  'revokeByUser in this process': ({ here }) => here.sessions.revokeByUser('ada'),
  'revokeByUser in another process': ({ there }) => there.sessions.revokeByUser('ada'),
}

/** What a request in flight does after the session has ended, and the status it gets: never a 2xx with a change. */
const LATE: Readonly<Record<string, readonly [Act, number, string?]>> = {
  'a write': [
    (session) => {
      session.late = 1
    },
    401,
    'ERR_SESSION_ENDED',
  ],
  'an update': [
    (session) => session.update((data: { late?: number }) => Object.assign(data, { late: 1 })),
    401,
    'ERR_SESSION_ENDED',
  ],
  'a take': [(session) => session.take('cart'), 401, 'ERR_SESSION_ENDED'],
  'a save': [
    (session) => {
      session.late = 1
      return session.save()
    },
    401,
    'ERR_SESSION_ENDED',
  ],
  'a reload': [(session) => session.reload(), 401, 'ERR_SESSION_ENDED'],
  'a touch': [(session) => session.touch(), 200],
  nothing: [(session) => session.cart, 200],
  regenerate: [(session) => session.regenerate({ keep: ['cart'] }), 401, 'ERR_SESSION_ENDED'],
}

/** A session that was replaced by another one of the same browser: a late request is told so for a minute. */
const REPLACED: ReadonlySet<string> = new Set(['regenerate', 'signing in as somebody else'])

describe.each(storesNearAndFar)('P2, $name', ({ open }) => {
  test.each(Object.keys(ENDINGS))(
    'after %s no request in flight brings the session back',
    async (how) => {
      const [here, there] = await openPair(await open())
      for (const [what, [act, ...told]] of Object.entries(LATE)) {
        const isReplaced = REPLACED.has(how) && told[0] === 401
        const [status, code] = isReplaced ? [409, 'ERR_SESSION_ROTATED'] : told
        const owner = here.browser()
        await owner.do((session) => session.signIn('ada', { data: { cart: [1] } }))
        const { body: id } = await owner.do((session) => session.id)
        const late = there.browser(owner.jar.clone())
        const old = owner.jar.clone()
        const answer = await late.do(async (session, req, res) => {
          void session.cart
          await ENDINGS[how]?.({ here, there, owner, id: id as string })
          return act(session, req, res)
        })
        expect([what, answer.status, (answer.body as { code?: string })?.code]).toEqual([
          what,
          status,
          code,
        ])
        expect([what, answer.cookies]).toEqual([what, []])
        for (const site of [here, there]) {
          const { body } = await site
            .browser(old.clone())
            .do((session) => [session.info.userId, { ...session }])
          expect([what, body]).toEqual([what, [null, {}]])
        }
        expect(await here.sessions.listByUser('ada')).toEqual([])
      }
    },
  )

  test('revokeByUser leaves the excepted session and other users alone, and says how many it ended', async () => {
    const [here, there] = await openPair(await open())
    const [laptop, phone, eve] = [here.browser(), there.browser(), there.browser()]
    const ids: unknown[] = []
    for (const [browser, user] of [
      [laptop, 'ada'],
      [phone, 'ada'],
      [eve, 'eve'],
    ] as const) {
      await browser.do((session) => session.signIn(user))
      ids.push((await browser.do((session) => session.id)).body)
    }
    const { body } = await laptop.do((session) =>
      here.sessions.revokeByUser('ada', { except: session.id }),
    )
    expect(body).toBe(1)
    const users = await Promise.all(
      [laptop, phone, eve].map(
        async (browser) => (await browser.do((s) => s.info.userId ?? null)).body,
      ),
    )
    expect(users).toEqual(['ada', null, 'eve'])
    expect(await there.sessions.revoke(ids[2] as string, { userId: 'ada' })).toBe(false)
    expect((await eve.do((session) => session.info.userId)).body).toBe('eve')
    expect(await there.sessions.revoke(ids[2] as string, { userId: 'eve' })).toBe(true)
    expect(await there.sessions.revoke(ids[2] as string)).toBe(false)
    expect(await there.sessions.revoke('../../etc/passwd')).toBe(false)
  })

  test('a sign-in that was under way while all sessions of the user were revoked is refused', async () => {
    const [here, there] = await openPair(await open())
    for (const site of [here, there]) {
      const browser = here.browser()
      const { status, body, cookies } = await browser.do(async (session) => {
        // The password was checked; now it changes.
        await site.sessions.revokeByUser('ada')
        await session.signIn('ada')
      })
      expect([status, (body as { code: string }).code]).toEqual([409, 'ERR_SESSION_REVOKED'])
      expect(cookies.filter((line) => !line.includes('Max-Age=0'))).toEqual([])
      expect(await here.sessions.listByUser('ada')).toEqual([])
    }
    const again = await here.browser().do((session) => session.signIn('ada'))
    expect(again.status).toBe(200)
  })

  test('the device list shows where a user is signed in, and nothing that opens a session', async () => {
    const [here, there] = await openPair(await open(), { devices: true })
    const [laptop, phone] = [here.browser(), there.browser()]
    await laptop.do((session) => session.signIn(7n))
    await phone.do((session) => session.signIn(7n))
    const { body: id } = await laptop.do((session) => session.id)
    const list = await there.sessions.listByUser(7n, { current: id as string })
    expect(list).toHaveLength(2)
    expect(list.filter(({ current }) => current).map((one) => one.id)).toEqual([id])
    for (const one of list) {
      expect(one).toMatchObject({ userId: 7n, ip: expect.stringContaining('127.0.0.1') })
      expect(one.signedInAt).toBeTypeOf('number')
      expect(Object.keys(one).sort()).toEqual(
        'createdAt current expiresAt id ip lastSeenAt signedInAt userAgent userId'.split(' '),
      )
      const text = JSON.stringify(one, (_key, value) =>
        typeof value === 'bigint' ? `${value}` : value,
      )
      for (const { jar } of [laptop, phone]) {
        for (const part of (jar.get('sid') as string).split('.').slice(1))
          expect(text).not.toContain(part)
      }
    }
  })
})
