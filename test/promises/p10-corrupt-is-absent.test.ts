import type { SessionStore, StoreKey } from 'staykept'
import { movableClock } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { openSite, storesUnderTest } from './harness.js'

const HOUR = 3_600_000

// What garbage does to a session is in incumbent/corrupt.test.ts. Here: what a later release wrote.
describe.each(storesUnderTest)('P10, $name', ({ open }) => {
  async function upgraded() {
    const opened = await open()
    const store = opened()
    const clock = movableClock()
    const site = await openSite(store, { clock })
    const reasons: string[] = []
    site.sessions.on('corrupt', ({ reason }) => reasons.push(reason))
    const browser = site.browser()
    await browser.do((session) => session.signIn('ada', { data: { n: 1 } }))
    const key = (await browser.do((session) => session.id)).body as StoreKey
    const now = clock.now()
    const record = await store.load(key, now)
    if (record === undefined) throw new Error('no such session')
    const payload = `2{"a later":"format"}\n${record.payload}`
    const newer = { ...record, version: 'written-by-newer', payload }
    await store.update(key, newer, record.version, now)
    const isThere = async (): Promise<boolean> =>
      (await (store as SessionStore).load(key, now))?.payload === payload
    return { site, browser, store, key, clock, record, newer, reasons, isThere }
  }

  test('a record of a newer format is no session here, and stays whatever its browser does', async () => {
    const { browser, site, reasons, isThere } = await upgraded()
    const cookie = browser.jar.clone()
    const read = await browser.do((session) => [session.info.userId ?? null, { ...session }])
    expect(read).toMatchObject({ status: 200, body: [null, {}], cookies: [] })
    expect(await isThere()).toBe(true)
    const write = await site
      .browser(cookie.clone())
      .do((session) => void Object.assign(session, { n: 2 }))
    expect([write.status, write.cookies.length]).toEqual([200, 1])
    const signIn = await site.browser(cookie.clone()).do((session) => session.signIn('ada'))
    expect([signIn.status, signIn.cookies.length]).toEqual([200, 1])
    const signOut = await site.browser(cookie.clone()).do((session) => session.signOut())
    expect(signOut.status).toBe(200)
    expect(await isThere()).toBe(true)
    expect(new Set(reasons)).toEqual(new Set(['newer']))
  })

  test('a request that meets it on its way to the store refuses its change and leaves it alone', async () => {
    const { site, store, browser, key, record, newer, clock, isThere } = await upgraded()
    await store.update(key, { ...record, version: 'back' }, newer.version, clock.now())
    for (const end of ['write', 'take', 'regenerate'] as const) {
      const { status } = await browser.do(async (session) => {
        void session.n
        await store.update(key, newer, 'back', clock.now())
        if (end === 'write') session.n = 2
        if (end === 'take') await session.take('n')
        if (end === 'regenerate') await session.regenerate()
      })
      expect([end, status]).toEqual([end, 401])
      expect(await isThere()).toBe(true)
      await store.update(key, { ...record, version: 'back' }, newer.version, clock.now())
    }
    expect((await browser.do((session) => session.n)).body).toBe(1)
    await site.sessions.close()
  })

  test('listing leaves it out, pruning leaves it alone, and revocation still ends it', async () => {
    const { site, isThere, clock } = await upgraded()
    expect(await site.sessions.listByUser('ada')).toEqual([])
    expect(await site.sessions.prune()).toBe(0)
    expect(await isThere()).toBe(true)
    expect(await site.sessions.revokeByUser('ada')).toBe(1)
    expect(await isThere()).toBe(false)
    clock.advance(HOUR)
  })
})
