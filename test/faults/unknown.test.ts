import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startProxy } from '../servers/proxy.js'
import { ask, missing, start } from '../servers/redis.js'
import { type Browser, inParallel } from '../worlds.js'
import { row, sampled, statuses } from './load.js'
import { needs } from './needs.js'
import { faultWorld } from './users.js'

describe.skipIf(needs('Redis', missing()))('Redis', () => {
  test('F22: a Redis that hangs during sign-in, sign-out and revocation leaves no half state, and nobody is told what is not so', async () => {
    const server = await start()
    onTestFinished(() => server.close())
    const world = await faultWorld({ port: server.port }, 30)
    onTestFinished(world.close)
    const before = world.users.map((user) => user.jar.clone())
    const [signOuts, logins, ends] = await Promise.all([
      // These have their session by the time Redis hangs.
      Promise.all(
        world.users.slice(0, 10).map((user) => sampled('sign-out', user.post('/logout?ms=500'))),
      ),
      sleep(300)
        .then(() => server.pause())
        .then(() =>
          inParallel(10, 10, (index) =>
            sampled('sign-in', world.browser().post(`/login?user=late${index}`)),
          ),
        ),
      sleep(310).then(() =>
        inParallel(10, 10, (index) =>
          sampled('revocation', world.browser().post(`/revoke-user/user${10 + index}`)),
        ),
      ),
    ])
    expect(statuses([...signOuts, ...logins, ...ends])).toEqual({ 503: 30 })
    for (const { answer } of signOuts) expect(answer?.cookies.join()).toMatch(/Max-Age=0/)
    for (const { answer } of logins) expect(answer?.cookies).toEqual([])
    server.resume()
    // What was asked for once more is fine, and final.
    for (const index of [0, 1, 2]) {
      const again = await untilAnswered(() => world.browser(before[index]?.clone()).post('/logout'))
      expect([200, 401]).toContain(again.status)
    }
    for (let index = 10; index < 20; index += 1) {
      await untilAnswered(() => world.browser().post(`/revoke-user/user${index}`))
    }
    const dead = await eventually(async () => {
      const answers = await Promise.all(
        before.slice(0, 20).map((jar) => world.browser(jar.clone()).get('/me')),
      )
      return answers.every(({ status }) => status === 401)
    })
    const alive = await Promise.all(before.slice(20).map((jar) => world.browser(jar).get('/me')))
    row('F22', 'unconfirmed sign-outs and revocations in force', dead ? 'all 20' : 'not all')
    expect(dead).toBe(true)
    expect(alive.map(({ status }) => status)).toEqual(Array(10).fill(200))
  }, 60_000)

  test('a change whose reply was lost is stored at most once, and told as unknown', async () => {
    const server = await start()
    onTestFinished(() => server.close())
    const proxy = await startProxy(server.port)
    onTestFinished(() => proxy.close())
    const world = await faultWorld({ port: proxy.port }, 1, [{}])
    onTestFinished(world.close)
    const [user] = world.users as [Browser]
    let [acknowledged, unknown] = [0, 0]
    for (let index = 0; index < 60; index += 1) {
      // The first reply is that of the load, now and then.
      if (index % 2 === 0) setTimeout(() => proxy.loseNextReply(), (index % 6) / 2)
      const { status, answer } = await sampled('increment', user.post('/increment'))
      if (status === 200) acknowledged += 1
      else {
        expect([status, answer?.headers['retry-after']]).toEqual([503, '1'])
        unknown += 1
      }
    }
    const { n } = (await untilAnswered(() => user.get('/data'))).json()
    row('Q14', 'acknowledged / stored / unknown', acknowledged, n, unknown)
    expect(n).toBeGreaterThanOrEqual(acknowledged)
    expect(n).toBeLessThanOrEqual(acknowledged + unknown)
    expect(await ask(server.port, 'PING')).toContain('PONG')
  }, 60_000)
})

async function untilAnswered(ask: () => ReturnType<Browser['get']>) {
  const end = performance.now() + 10_000
  let answer = await ask()
  while (answer.status === 503 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    answer = await ask()
  }
  return answer
}

async function eventually(isSo: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + 20_000
  while (performance.now() < end) {
    if (await isSo()) return true
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return false
}
