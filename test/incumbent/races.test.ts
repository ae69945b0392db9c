import http from 'node:http'
import incumbentSession from 'express-session'
import { memoryStore } from 'staykept/memory'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createClient, type Jar } from '../http.js'
import { farAway } from '../processes/far-away.cjs'
import { sharedRigs } from '../stores-under-test.js'
import {
  count,
  incumbentWorld,
  inParallel,
  memoryWorld,
  type ProcessSettings,
  processWorld,
  type World,
} from '../worlds.js'

function twoProcesses(settings: ProcessSettings = {}): [string, () => Promise<World>][] {
  return sharedRigs.map((rig) => [
    `${rig.name}, two processes`,
    () => processWorld(rig, [settings, settings].map(patient)),
  ])
}

/** Who wins is asked here, not when: on a busy machine a budget may be spent, which is no wrong answer. */
function patient(settings: ProcessSettings): ProcessSettings {
  return { ...settings, options: { storeBudget: 10_000 } }
}

/** A browser with the cookie as it is now, whatever becomes of it later. */
function thief(world: World, jar: Jar) {
  return world.browser(jar.clone())
}

/** B1 of the measurements: the session after a sign-out that a request in flight did not notice. */
async function countRevived(
  world: World,
  how: { readonly end: '/logout' | '/regenerate'; readonly slow: 'read' | 'write' },
  trials: number,
): Promise<number> {
  const alive = await inParallel(trials, 50, async () => {
    const browser = world.browser()
    await browser.post('/login')
    const before = browser.jar.clone()
    const slow =
      how.slow === 'read'
        ? thief(world, before).get('/slow-read')
        : thief(world, before).post('/slow-write')
    await new Promise((resolve) => setTimeout(resolve, 8))
    const ended = await browser.post(how.end)
    expect(ended.status).toBe(200)
    await slow
    const old = world.browser(before)
    return (await old.get('/me')).status === 200
  })
  return count(alive, Boolean)
}

/** B3: `parallel` browsers of one user press the same button. */
async function countIncrements(world: World, clicks: number): Promise<number> {
  const browser = world.browser()
  await browser.post('/login')
  const answers = await inParallel(clicks, 50, () => browser.post('/increment'))
  expect(count(answers, ({ status }) => status !== 200)).toBe(0)
  return (await browser.get('/data')).json().n
}

/** B4: keys that were acknowledged, and are there afterwards. */
async function countKeys(world: World, keys: number): Promise<number> {
  const browser = world.browser()
  await browser.post('/login')
  const answers = await inParallel(keys, 20, (index) => browser.post(`/set/key${index}`))
  expect(count(answers, ({ status }) => status !== 200)).toBe(0)
  const data = (await browser.get('/data')).json()
  return count(Object.keys(data), (key) => key.startsWith('key'))
}

/** B5: how often 50 one-time tokens were redeemed, each tried 20 times at once. */
async function countRedemptions(world: World): Promise<number[]> {
  const browser = world.browser()
  await browser.post('/login')
  await browser.post('/tokens/50')
  const redeemed: number[] = []
  for (let token = 0; token < 50; token++) {
    const answers = await inParallel(20, 20, () => browser.post(`/redeem/token${token}`))
    redeemed.push(count(answers, ({ status, text }) => status === 200 && text.includes('true')))
  }
  return redeemed
}

/** B7: the client follows a redirect as soon as it has the headers; the last process answers. */
async function countLostLogins(world: World, logins: number): Promise<number> {
  const statuses = await inParallel(logins, 25, async () => {
    const { status, cookie } = await signInOnHeaders(`${world.urls[0]}/login-and-go`)
    expect(status).toBe(302)
    return (await createClient(world.urls.at(-1) as string).get('/me', { headers: { cookie } }))
      .status
  })
  return count(statuses, (status) => status === 401)
}

/** Answers with the headers; the body may never come. */
function signInOnHeaders(url: string): Promise<{ status: number | undefined; cookie: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST' }, (response) => {
      const [line = ''] = response.headers['set-cookie'] ?? []
      resolve({ status: response.statusCode, cookie: line.split(';', 1)[0] as string })
      response.resume()
    })
    request.on('error', reject).end()
  })
}

describe.each([['memory, one process', () => memoryWorld()], ...twoProcesses()])(
  '%s',
  (_name, open) => {
    let world: World
    beforeAll(async () => {
      world = await open()
    })
    afterAll(() => world?.close())

    for (const slow of ['read', 'write'] as const) {
      test(`no sign-out of 200 is undone by a request in flight that ${slow}s (B1)`, async () => {
        expect(await countRevived(world, { end: '/logout', slow }, 200)).toBe(0)
      })

      test(`no session of 200 outlives regenerate through a request in flight that ${slow}s (B2)`, async () => {
        expect(await countRevived(world, { end: '/regenerate', slow }, 200)).toBe(0)
      })
    }

    test('1,000 increments through update, 50 at a time, count to 1,000 (B3)', async () => {
      expect(await countIncrements(world, 1000)).toBe(1000)
    })

    test('200 different keys written 20 at a time are all kept (B4)', async () => {
      expect(await countKeys(world, 200)).toBe(200)
    })

    test('50 one-time tokens, each tried 20 times at once, are redeemed once each (B5)', async () => {
      expect(await countRedemptions(world)).toEqual(Array(50).fill(1))
    })

    test('sign-in with 20 requests in flight on the old cookie leaves the user signed in, 200 times', async () => {
      const states = await inParallel(200, 4, async () => {
        const browser = world.browser()
        await browser.post('/begin')
        // They share the jar: what a late answer says about the cookie counts.
        const others = Array.from({ length: 20 }, (_, index) => {
          switch (index % 4) {
            case 0:
              return browser.get(`/slow-read?ms=${index % 8}`)
            case 1:
              return browser.post(`/slow-write?ms=${index % 8}`)
            case 2:
              return browser.post(`/set/key${index}`)
            default:
              return browser.post('/increment')
          }
        })
        const login = await browser.post('/login')
        await Promise.all(others)
        return [login.status, (await browser.get('/me')).status]
      })
      expect(count(states, ([login, me]) => login !== 200 || me !== 200)).toBe(0)
    })
  },
)

describe('a redirect is followed on its headers, with the store 10 ms away (B7)', () => {
  test.each([
    ['memory, one process', async () => memoryWorld({}, farAway(memoryStore(), 10))],
    ...twoProcesses({ storeDelay: 10 }),
  ])('%s: 500 of 500 arrive signed in', async (_name, open) => {
    const world = await open()
    onTestFinished(world.close)
    expect(await countLostLogins(world, 500)).toBe(0)
  })
})

describe('the same workloads break express-session, so they can fail', () => {
  let world: World
  beforeAll(async () => {
    world = await incumbentWorld()
  })
  afterAll(() => world?.close())

  test('B1: a request in flight that writes brings signed-out sessions back', async () => {
    expect(await countRevived(world, { end: '/logout', slow: 'write' }, 20)).toBeGreaterThan(0)
  })

  test('B2: and regenerated ones', async () => {
    expect(await countRevived(world, { end: '/regenerate', slow: 'write' }, 20)).toBeGreaterThan(0)
  })

  test('B3: increments get lost', async () => {
    expect(await countIncrements(world, 200)).toBeLessThan(200)
  })

  test('B4: keys get lost', async () => {
    expect(await countKeys(world, 100)).toBeLessThan(100)
  })

  test('B5: tokens are redeemed more than once', async () => {
    expect(Math.max(...(await countRedemptions(world)))).toBeGreaterThan(1)
  })

  test('B7: redirects arrive before the session does', async () => {
    const store = new incumbentSession.MemoryStore()
    const { set } = store
    store.set = (...args) => void setTimeout(() => set.apply(store, args), 10)
    const far = await incumbentWorld(store)
    onTestFinished(far.close)
    expect(await countLostLogins(far, 50)).toBeGreaterThan(0)
  })
})
