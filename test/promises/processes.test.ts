import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sharedRigs } from '../stores-under-test.js'
import { inParallel, processWorld, type World } from '../worlds.js'

// What the other files show of two managers on one store, here once more with two processes.
describe.each(sharedRigs)('$name', (rig) => {
  let world: World
  beforeAll(async () => {
    world = await processWorld(rig, rig.isNear === true ? [{}, {}, {}, {}] : [{}, {}])
  })
  afterAll(() => world?.close())

  test('revoke in one process refuses a request that is under way in the other, and all after it', async () => {
    const results = await inParallel(20, 4, async (index) => {
      const browser = world.browser()
      const { id } = (await browser.at(0).post(`/login?user=ada${index}`)).json()
      const slow = browser.at(0).post('/slow-write?ms=800')
      await new Promise((resolve) => setTimeout(resolve, 300))
      const revoked = (await world.browser().at(1).post(`/revoke/${id}`)).json()
      const { status, cookies } = await slow
      const after = [await browser.at(0).get('/me'), await browser.at(1).get('/me')]
      return [revoked, status, cookies.length, ...after.map((answer) => answer.status)]
    })
    expect(results).toEqual(Array(20).fill([true, 401, 0, 401, 401]))
  })

  test('revokeByUser in one process ends the sessions of the other, but for the excepted one', async () => {
    const browsers = await inParallel(10, 10, async (index) => {
      const browser = world.browser()
      const { id } = (await browser.at(index % 2).post('/login?user=bob')).json()
      return { browser, id }
    })
    const [kept, ...others] = browsers
    const list = (await kept?.browser.at(1).get('/devices?user=bob'))?.json()
    expect(list).toHaveLength(10)
    expect(list.filter(({ current }: { current: boolean }) => current)).toEqual([
      expect.objectContaining({ id: kept?.id }),
    ])
    const ended = await world.browser().at(1).post(`/revoke-user/bob?except=${kept?.id}`)
    expect(ended.json()).toBe(9)
    for (const { browser } of others) expect((await browser.at(0).get('/me')).status).toBe(401)
    expect((await kept?.browser.at(0).get('/me'))?.text).toBe('bob')
  })

  test('a sign-in in one process is seen by the other at once, and the cookie from before is dead in both', async () => {
    const browser = world.browser()
    await browser.at(0).post('/begin')
    const old = world.browser(browser.jar.clone())
    await browser.at(1).post('/login')
    expect((await browser.at(0).get('/me')).text).toBe('ada')
    for (const index of [0, 1]) expect((await old.at(index).get('/me')).status).toBe(401)
  })

  test('prune in two processes at once harms no live session', async () => {
    const browser = world.browser()
    await browser.at(0).post('/login')
    await Promise.all([0, 1, 0, 1].map((index) => world.browser().at(index).post('/prune')))
    expect((await browser.at(1).get('/me')).status).toBe(200)
  })
})
