import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { quantile, row } from '../faults/load.js'
import { startProxy, type TcpProxy } from '../servers/proxy.js'
import { type EndedEvent, inParallel, processWorld, type World } from '../worlds.js'
import { type Browser, cachedSessions, counted, feedRigs, networkRigs } from './engines.js'

const isLarge = process.env.STAYKEPT_LARGE === '1'

describe.each(feedRigs)('$name', (rig) => {
  const heard: EndedEvent[][] = [[], [], []]
  let world: World
  beforeAll(async () => {
    world = await processWorld(
      rig,
      heard.map((events) => ({
        options: { nearCache: true },
        onEnded: (event: EndedEvent) => events.push(event),
      })),
    )
  })
  afterAll(() => world?.close())

  test('2,000 reads after an acknowledged change elsewhere are fresh, at once or soon', async () => {
    const sessions = 20
    const rounds = 100
    const browsers = await cachedSessions(world, sessions, 1)
    const lags: number[] = []
    await inParallel(sessions, sessions, async (one) => {
      const browser = browsers[one] as Browser
      for (let n = 2; n < rounds + 2; n += 1) {
        await browser.at(0).post('/increment')
        const acknowledged = performance.now()
        while ((await counted(browser, 1)) !== n) lags.push(performance.now() - acknowledged)
      }
    })
    const longest = Math.max(0, ...lags)
    row('N0', rig.name, `${lags.length} of 2000 reads stale, for at most ms`, longest)
    // Redis hands out the news before the answer, and SQLite is looked at before each read. PostgreSQL wakes those who
    // listen, and they have to get their turn.
    if (rig.name !== 'postgres, with pg') expect(lags).toEqual([])
    expect(longest).toBeLessThan(500)
  }, 120_000)

  test('every process hears of an end once, soon, and with its reason', async () => {
    const ends = isLarge ? 1000 : 100
    const delays: number[] = []
    const ids: string[] = []
    for (let index = 0; index < ends; index += 1) {
      const browser = world.browser()
      const { id } = (await browser.at(0).post('/login')).json()
      ids.push(id)
      await browser.at(0).post('/logout')
      const acknowledged = performance.timeOrigin + performance.now()
      const event = await until(() => heard[1]?.find((one) => one.id === id))
      delays.push(event.at - acknowledged)
    }
    await until(() => heard[2]?.some((one) => one.id === ids.at(-1)))
    for (const events of heard) {
      const ours = events.filter(({ id }) => ids.includes(id))
      expect(ours.map(({ id, reason }) => [id, reason])).toEqual(ids.map((id) => [id, 'destroy']))
    }
    const [p50, p99] = [quantile(delays, 0.5), quantile(delays, 0.99)]
    row('ended', rig.name, 'from the acknowledged sign-out to the event elsewhere, ms', p50, p99)
    expect(p99).toBeLessThan(500)
  }, 120_000)
})

describe.each(networkRigs)('$name, behind a network', (rig) => {
  const BOUND = 400
  let proxy: TcpProxy
  let world: World
  beforeAll(async () => {
    const { settings, remove } = await rig.prepare()
    proxy = await startProxy(settings.port)
    const here = { ...rig, prepare: async () => ({ settings, ...(remove && { remove }) }) }
    world = await processWorld(here, [
      {},
      { place: { port: proxy.port }, options: { nearCache: { maxStaleness: BOUND } } },
    ])
  })
  afterAll(async () => {
    await world?.close()
    await proxy?.close()
  })

  test('N4: while it is silent nothing is served that is older than maxStaleness', async () => {
    const trials = 200
    const episodes = 4
    const ages: number[] = []
    let served = 0
    for (let episode = 0; episode < episodes; episode += 1) {
      const browsers = await settledSessions(trials / episodes)
      proxy.hang()
      await inParallel(browsers.length, browsers.length, async (index) => {
        const browser = browsers[index] as Browser
        await sleep((index % 10) * 20)
        await browser.at(0).post('/increment')
        const acknowledged = performance.now()
        for (;;) {
          const sent = performance.now()
          const n = await counted(browser, 1)
          if (n !== 1) break
          served += 1
          ages.push(sent - acknowledged)
          await sleep(5)
        }
      })
      proxy.resume()
    }
    const oldest = Math.max(0, ...ages)
    row(
      'N4',
      rig.name,
      `${trials} trials, ${served} stale reads, the oldest after ms`,
      oldest,
      BOUND,
    )
    expect(served).toBeGreaterThan(trials / 10)
    expect(oldest).toBeLessThanOrEqual(BOUND)
  })

  test('N3: after each of ten cuts nothing is served that is older than the cut', async () => {
    const browsers = await settledSessions(20)
    const acknowledged = browsers.map(() => 1)
    let isOver = false
    let behind = 0
    let reads = 0
    let cutAt = Number.NEGATIVE_INFINITY
    let atCut = [...acknowledged]
    const writers = inParallel(browsers.length, browsers.length, async (index) => {
      while (!isOver) {
        await (browsers[index] as Browser).at(0).post('/increment')
        ;(acknowledged[index] as number) += 1
        await sleep(20)
      }
    })
    const readers = inParallel(browsers.length, browsers.length, async (index) => {
      while (!isOver) {
        const least = performance.now() - cutAt > 50 ? (atCut[index] as number) : 0
        const n = await counted(browsers[index] as Browser, 1)
        if (n !== undefined) reads += 1
        if (n !== undefined && n < least) behind += 1
        await sleep(5)
      }
    })
    for (let cut = 0; cut < 10; cut += 1) {
      await sleep(300)
      proxy.reset()
      cutAt = performance.now()
      atCut = [...acknowledged]
    }
    await sleep(300)
    isOver = true
    await Promise.all([writers, readers])
    row('N3', rig.name, `${behind} of ${reads} reads older than the last of 10 cuts`)
    expect(reads).toBeGreaterThan(100)
    expect(behind).toBe(0)
  })

  /** Sessions of process 1, once it is well and its near cache on. */
  async function settledSessions(count: number): Promise<Browser[]> {
    await until(async () => {
      const [probe] = await cachedSessions(world, 1, 1)
      const before = proxy.trips
      for (let round = 0; round < 3; round += 1) {
        if ((await counted(probe as Browser, 1)) !== 1) return false
      }
      return proxy.trips - before < 2
    })
    return cachedSessions(world, count, 1)
  }
})

async function until<T>(condition: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const found = await condition()
    if (found) return found
    if (performance.now() > deadline) throw new Error('It did not come to pass within 20 seconds')
    await sleep(5)
  }
}
