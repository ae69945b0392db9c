import { type MovableClock, movableClock } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { type Browser, openPair, openSite, type Site, storesNearAndFar } from './harness.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

describe.each(storesNearAndFar)('P7, $name', ({ open }) => {
  async function site(options = {}): Promise<{ site: Site; clock: MovableClock }> {
    const clock = movableClock()
    // Half an hour passes between two requests here in no time: what the first one sent must have arrived.
    return {
      clock,
      site: await openSite((await open())(), { clock, awaitTouch: true, ...options }),
    }
  }

  async function userOf(browser: Browser): Promise<unknown> {
    return (await browser.do((session) => session.info.userId ?? null)).body
  }

  async function signedIn(site: Site, options = {}): Promise<Browser> {
    const browser = site.browser()
    await browser.do((session) => session.signIn('ada', options))
    return browser
  }

  test('a session ends after half an hour without a request, and not before nine tenths of it', async () => {
    const { site: shop, clock } = await site()
    const browser = await signedIn(shop)
    for (let turn = 0; turn < 5; turn++) {
      clock.advance(27 * MINUTE - 1)
      expect(await userOf(browser)).toBe('ada')
    }
    clock.advance(30 * MINUTE)
    expect(await userOf(browser)).toBe(null)
  })

  test('a session ends twelve hours after sign-in, however busy it is', async () => {
    const { site: shop, clock } = await site()
    const browser = await signedIn(shop)
    for (let passed = 0; passed < 12 * HOUR - 10 * MINUTE; passed += 10 * MINUTE) {
      clock.advance(10 * MINUTE)
      expect(await userOf(browser)).toBe('ada')
    }
    clock.advance(10 * MINUTE - 1)
    expect(await userOf(browser)).toBe('ada')
    clock.advance(1)
    expect(await userOf(browser)).toBe(null)
  })

  test('writes, updates, touches and reloads move the absolute end by nothing', async () => {
    const { site: shop, clock } = await site({ absoluteTimeout: HOUR })
    const browser = await signedIn(shop)
    for (let turn = 0; turn < 5; turn++) {
      clock.advance(10 * MINUTE)
      await browser.do(async (session) => {
        session.turn = turn
        await session.save()
        await session.update((data: object) => Object.assign(data, { again: turn }))
        await session.touch()
        await session.reload()
      })
    }
    clock.advance(10 * MINUTE)
    expect(await userOf(browser)).toBe(null)
  })

  test('signing in again starts both clocks anew', async () => {
    const { site: shop, clock } = await site({ absoluteTimeout: HOUR })
    const browser = await signedIn(shop)
    clock.advance(25 * MINUTE)
    await browser.do((session) => session.touch())
    clock.advance(25 * MINUTE)
    await browser.do((session) => session.signIn('ada'))
    clock.advance(29 * MINUTE)
    expect(await userOf(browser)).toBe('ada')
    clock.advance(29 * MINUTE)
    expect(await userOf(browser)).toBe('ada')
    clock.advance(2 * MINUTE)
    expect(await userOf(browser)).toBe(null)
  })

  test('"remember me" gives one session its own idle timeout, and tells the browser', async () => {
    const { site: shop, clock } = await site()
    const [plain, kept] = [shop.browser(), shop.browser()]
    const short = await plain.do((session) => session.signIn('ada'))
    const long = await kept.do((session) => session.signIn('ada', { maxAge: 30 * DAY }))
    expect(short.cookies[0]).not.toContain('Max-Age')
    expect(long.cookies[0]).toContain('; Max-Age=2592000;')
    clock.advance(20 * DAY)
    expect(await userOf(plain)).toBe(null)
    expect(await userOf(kept)).toBe('ada')
    clock.advance(10 * DAY)
    expect(await userOf(kept)).toBe(null)
  })

  test('an idle timeout that a handler assigns holds from then on', async () => {
    const { site: shop, clock } = await site()
    const browser = await signedIn(shop)
    const { cookies, body } = await browser.do((session) => {
      session.cookie.maxAge = 2 * HOUR
      return session.cookie.maxAge
    })
    expect([body, cookies.length]).toEqual([2 * HOUR, 1])
    clock.advance(110 * MINUTE)
    expect(await userOf(browser)).toBe('ada')
    clock.advance(2 * HOUR)
    expect(await userOf(browser)).toBe(null)
  })

  test('a browser that keeps its cookie longer than told gains nothing', async () => {
    const { site: shop, clock } = await site({
      cookie: { maxAge: HOUR },
      absoluteTimeout: 2 * HOUR,
    })
    const browser = shop.browser()
    const { cookies } = await browser.do((session) => session.signIn('ada'))
    expect(cookies[0]).toContain('; Max-Age=7200;')
    const copy = shop.browser(browser.jar.clone())
    clock.advance(400 * DAY)
    expect(await userOf(copy)).toBe(null)
  })

  test('an ended session is not in the list of devices, and comes back by no write', async () => {
    const clock = movableClock()
    const [here, there] = await openPair(await open(), { clock })
    const browser = await signedIn(here)
    const { status, body } = await browser.do((session) => {
      clock.advance(31 * MINUTE)
      session.late = 1
    })
    expect([status, (body as { code: string }).code]).toEqual([401, 'ERR_SESSION_ENDED'])
    expect(await there.sessions.listByUser('ada')).toEqual([])
    expect(await userOf(browser)).toBe(null)
  })

  test('a request that takes longer than the idle timeout does not outlive its session by much', async () => {
    const { site: shop, clock } = await site()
    const browser = await signedIn(shop)
    clock.advance(20 * MINUTE)
    const { status } = await browser.do((session) => {
      // Its visit was activity, twenty minutes after the sign-in.
      clock.advance(25 * MINUTE)
      session.done = true
    })
    expect(status).toBe(200)
  })

  test('prune removes what has ended, and nothing else', async () => {
    const clock = movableClock()
    const store = (await open())()
    const shop = await openSite(store, { clock })
    const gone = await signedIn(shop)
    const kept = await signedIn(shop, { maxAge: 2 * HOUR })
    clock.advance(45 * MINUTE)
    // An engine that removes by itself leaves nothing to prune.
    expect(await shop.sessions.prune()).toBe(store.deleteExpired === undefined ? 0 : 1)
    expect(await userOf(gone)).toBe(null)
    expect(await userOf(kept)).toBe('ada')
  })
})
