import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ask, missing, start } from '../servers/redis.js'
import { type Browser, inParallel } from '../worlds.js'
import { load, row, type Sample, sampled, statuses, took } from './load.js'
import { needs } from './needs.js'
import { type FaultWorld, faultWorld } from './users.js'

/** Nightly sizes where they are asked for; enough to see the same in every run. */
const isLarge = process.env.STAYKEPT_LARGE === '1'
const MANY = isLarge ? 1_000_000 : 20_000
const HERD = isLarge ? 5000 : 1000
const OUTAGE = isLarge ? 60_000 : 5000

async function onRedis(count: number) {
  const server = await start()
  onTestFinished(() => server.close())
  const world = await faultWorld({ port: server.port }, count)
  onTestFinished(world.close)
  return { server, world }
}

async function commands(port: number): Promise<number> {
  const info = await ask(port, 'INFO', 'stats')
  return Number(/total_commands_processed:(\d+)/.exec(info)?.[1])
}

describe.skipIf(needs('Redis', missing()))('Redis', () => {
  const mixes: Record<string, (user: Browser, index: number) => ReturnType<Browser['get']>> = {
    read: (user) => user.get('/me'),
    'disjoint keys': (user, index) => user.post(`/set/key${index % 400}`),
    counter: (user) => user.post('/increment'),
  }

  test.each(Object.keys(mixes))(
    'F18: thousands of requests of one session, %s: none is lost',
    async (mix) => {
      const { world } = await onRedis(1)
      const [user] = world.users as [Browser]
      const requests = mix === 'read' ? 5000 : 1500
      const samples: Sample[] = await inParallel(requests, 150, (index) =>
        sampled(mix, (mixes[mix] as (typeof mixes)[string])(user, index)),
      )
      const data = (await user.get('/data')).json()
      row(
        `F18, ${mix}`,
        'answers',
        JSON.stringify(statuses(samples)),
        'p99 ms',
        took(samples, 0.99),
      )
      const refused = samples.filter(({ status }) => status !== 200)
      // What does not fit into a request's budget is told: contention (409), or a store that took too long (503).
      expect(refused.filter(({ status }) => status !== 409 && status !== 503)).toEqual([])
      expect(refused.length).toBeLessThan(requests / 10)
      if (mix === 'counter') {
        const unknown = refused.filter(({ status }) => status === 503).length
        const acknowledged = requests - refused.length
        expect(data.n).toBeGreaterThanOrEqual(acknowledged)
        expect(data.n).toBeLessThanOrEqual(acknowledged + unknown)
      }
      if (mix === 'disjoint keys') {
        expect(Object.keys(data).filter((key) => key.startsWith('key'))).toHaveLength(400)
      }
    },
    120_000,
  )

  test(`F19 and F20: ${MANY.toLocaleString('en')} anonymous visits and as many garbage cookies leave nothing in Redis and ask it nothing`, async () => {
    const { server, world } = await onRedis(1)
    const known = (world.users[0] as Browser).jar.header()
    const cookies = [
      undefined,
      garbage(1),
      garbage(2),
      known.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
    ]
    const keys = await ask(server.port, 'DBSIZE')
    for (const browser of [world.browser(), world.browser()]) await browser.get('/me')
    const [heaps, asked] = [await world.heaps(), await commands(server.port)]
    let wrong = 0
    await inParallel(MANY, 50, async (index) => {
      const cookie = cookies[index % cookies.length]
      const { status } = await world
        .browser()
        .get('/me', cookie === undefined ? {} : { headers: { cookie } })
      if (status !== 401) wrong += 1
    })
    const grown = (await world.heaps()).map((heap, index) => heap - (heaps[index] as number))
    // The background looks at the engine now and then; visits do not.
    const sent = (await commands(server.port)) - asked
    row(
      'F19, F20',
      'not 401',
      wrong,
      'commands',
      sent,
      'heap grew, MiB',
      Math.max(...grown) / 2 ** 20,
    )
    expect(wrong).toBe(0)
    expect(sent).toBeLessThan(100)
    expect(Math.max(...grown)).toBeLessThan(5 * 2 ** 20)
    expect(await ask(server.port, 'DBSIZE')).toBe(keys)
  }, 900_000)

  test(`F21: ${HERD.toLocaleString('en')} clients that ask again and again while Redis is away do not bring it down when it is back`, async () => {
    const { server, world } = await onRedis(200)
    const asking = (perSecond: number, seconds: number) =>
      load({
        perSecond,
        seconds,
        send: (index) => ({
          kind: 'read',
          answer: (world.users[index % 200] as Browser).get('/me'),
        }),
      })
    const usual = await asking(200, 3)
    const steady = await perSecond(server.port, () => asking(200, 2))
    server.pause()
    let isOver = false
    const herd = crowd(world, () => isOver)
    await sleep(OUTAGE)
    server.resume()
    const peaks: number[] = []
    let recovered = Number.POSITIVE_INFINITY
    const resumed = performance.now()
    for (let second = 0; second < 5; second += 1) {
      peaks.push(
        await perSecond(server.port, async () => {
          const samples = await asking(200, 1)
          if (
            statuses(samples)[200] === 200 &&
            took(samples, 0.99) < 2 * Math.max(took(usual, 0.99), 20)
          ) {
            recovered = Math.min(recovered, performance.now() - resumed)
          }
        }),
      )
    }
    isOver = true
    const retries = await herd
    row('F21', 'commands a second, steady / peak after', steady, Math.max(...peaks))
    row('F21', 'all as usual after, ms', recovered, 'requests of the herd', retries)
    expect(retries).toBeGreaterThan(HERD)
    // The herd itself asks too: its reads are answered, each by one command.
    expect(Math.max(...peaks)).toBeLessThan(3 * (steady + HERD))
    expect(recovered).toBeLessThan(5000 * 2)
  }, 180_000)
})

/** Clients that wait a second after a 503, as they are told, and ask until they are answered. */
async function crowd(world: FaultWorld, isOver: () => boolean): Promise<number> {
  let requests = 0
  await inParallel(HERD, HERD, async (index) => {
    await sleep(Math.random() * 1000)
    for (;;) {
      requests += 1
      const answer = await (world.users[index % 200] as Browser).get('/me').catch(() => undefined)
      if (answer?.status === 200 || isOver()) return
      await sleep(1000)
    }
  })
  return requests
}

async function perSecond(port: number, during: () => Promise<unknown>): Promise<number> {
  const [before, began] = [await commands(port).catch(() => 0), performance.now()]
  await during()
  return ((await commands(port)) - before) / ((performance.now() - began) / 1000)
}

/** Looks like a cookie of ours, and is none. */
function garbage(seed: number): string {
  const text = (length: number): string => String(seed).repeat(length).slice(0, length)
  return `sid=${text(22)}.${text(43)}.${text(22)}`
}
