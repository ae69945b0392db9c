import incumbentSession from 'express-session'
import { session } from 'staykept'
import { movableClock } from 'staykept/testing'
import { expect, onTestFinished, test } from 'vitest'
import { createClient, serve } from '../http.js'
import { createApp } from '../processes/app.cjs'
import { sharedRigs, storesUnderTest } from '../stores-under-test.js'
import { inParallel, processWorld, SECRET } from '../worlds.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

for (const { name, open } of storesUnderTest) {
  test(`a session in constant use ends at the absolute timeout: ${name} (B24)`, async () => {
    const clock = movableClock()
    const store = (await open())()
    const sessions = session({
      secret: SECRET,
      store,
      clock,
      cookie: { maxAge: MINUTE },
      absoluteTimeout: 10 * MINUTE,
      // The clock moves on while a touch is under way.
      awaitTouch: true,
    })
    const { url } = await serve(createApp(sessions))
    const browser = createClient(url)
    await browser.post('/login')
    for (let passed = 20; passed < 600; passed += 20) {
      clock.advance(20 * SECOND)
      expect([passed, (await browser.get('/me')).status]).toEqual([passed, 200])
    }
    clock.advance(20 * SECOND)
    expect((await browser.get('/me')).status).toBe(401)
  })
}

test('express-session has no absolute timeout, so this can fail (B24)', async () => {
  const middleware = incumbentSession({
    secret: SECRET,
    resave: false,
    saveUninitialized: false,
    rolling: true,
    cookie: { maxAge: 200 },
  })
  const { url } = await serve(createApp(middleware, { isIncumbent: true }))
  const browser = createClient(url)
  await browser.post('/login')
  for (let turn = 0; turn < 8; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await browser.get('/me')).status).toBe(200)
  }
})

test('a cookie without maxAge ends on the server after half an hour of silence', async () => {
  const clock = movableClock()
  const { url } = await serve(createApp(session({ secret: SECRET, clock })))
  const browser = createClient(url)
  const { cookies } = await browser.post('/login')
  expect(cookies[0]).not.toMatch(/Max-Age|Expires/i)
  clock.advance(30 * MINUTE - 1)
  expect((await browser.get('/me')).status).toBe(200)
  clock.advance(30 * MINUTE)
  expect((await browser.get('/me')).status).toBe(401)
})

test.each(sharedRigs)(
  '$name: a server whose clock is an hour behind sends a cookie that browsers keep (B33)',
  async (rig) => {
    const behind = { clockError: -HOUR, options: { cookie: { maxAge: 30 * MINUTE } } }
    const world = await processWorld(rig, [behind, behind])
    onTestFinished(world.close)
    // A store that answers later has to have answered once, as a balancer sees to: then the clock of the store is known.
    if (rig.name !== 'sqlite') {
      for (const index of [0, 1]) await world.browser().at(index).get('/check')
    }
    // The first request of a process already, be it a sign-in or a plain write.
    const browsers = [world.browser(), world.browser()] as const
    for (const [index, path] of ['/login', '/set/n'].entries()) {
      const { cookies } = (await browsers[index]?.at(index).post(path)) ?? {}
      expect(cookies?.[0]).toMatch(/; Max-Age=43200;/)
      expect(cookies?.[0]).not.toMatch(/Expires/i)
    }
    expect((await browsers[0].at(0).get('/data')).text).toBe('{"user":"ada"}')
    expect((await browsers[1].at(1).get('/data')).text).toBe('{"n":1}')
  },
)

test.each(sharedRigs)(
  '$name: a process whose clock is an hour ahead ends no session of the other (B33)',
  async (rig) => {
    const world = await processWorld(rig, [{}, { clockError: HOUR }])
    onTestFinished(world.close)
    const browsers = await inParallel(200, 20, async (index) => {
      const browser = world.browser()
      await browser.at(0).post(`/login?user=user${index}`)
      return browser
    })
    // Whatever it makes of them, it must not end them: not by a visit, a change, or a prune.
    await inParallel(100, 20, async (index) => browsers[index]?.at(1).get('/me'))
    await world.browser().at(1).post('/prune')
    const alive = await inParallel(200, 20, async (index) => browsers[index]?.at(0).get('/me'))
    expect(alive.map((answer) => answer?.text)).toEqual(browsers.map((_, index) => `user${index}`))
  },
)
