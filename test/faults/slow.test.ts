import { describe, expect, onTestFinished, test } from 'vitest'
import { startProxy } from '../servers/proxy.js'
import { inParallel } from '../worlds.js'
import { engines } from './engines.js'
import { load, row, sampled, statuses, took } from './load.js'
import { needs } from './needs.js'
import { worldAt } from './users.js'

const there = engines.filter(({ name, missing }) => !needs(name, missing))

describe.each(there)('$name', (engine) => {
  async function behindProxy(count: number) {
    const server = await engine.start()
    onTestFinished(() => server.close())
    const proxy = await startProxy(server.port)
    onTestFinished(() => proxy.close())
    return { proxy, world: await worldAt(engine, proxy.port, count) }
  }

  test.each([50, 250, 900])(
    'F4: %i ms further away, a read waits for one trip and a write for two, and all go on side by side',
    async (delay) => {
      const { proxy, world } = await behindProxy(20)
      const near = took(await reads(), 0.5)
      proxy.delay(delay / 2)
      const far = await reads()
      const began = performance.now()
      const writes = await Promise.all(
        world.users.map((user, index) => sampled('write', user.post(`/set/key${index}`))),
      )
      const together = performance.now() - began
      row(`${engine.name} F4, +${delay} ms`, 'a read takes longer by, ms', took(far, 0.5) - near)
      row(
        `F4, +${delay} ms`,
        '20 writes at once take, ms',
        together,
        JSON.stringify(statuses(writes)),
      )

      expect(statuses(far)).toEqual({ 200: 20 })
      expect(took(far, 0.5) - near).toBeLessThan(delay * 1.5 + 20)
      // Two trips of 900 ms are more than the budget of a request: that is refused, in time.
      expect(statuses(writes)).toEqual(delay === 900 ? { 503: 20 } : { 200: 20 })
      expect(together).toBeLessThan(delay === 900 ? 3000 : 3 * delay + 200)

      // One for each: two of one session at once in one process would be one after the other.
      function reads() {
        return Promise.all(world.users.map((user) => sampled('read', user.get('/me'))))
      }
    },
    30_000,
  )

  test('F5: connections that are reset again and again mix up no replies, tear none, and hardly any is refused', async () => {
    const { proxy, world } = await behindProxy(50)
    const resetting = setInterval(() => proxy.reset(), engine.resets.every)
    onTestFinished(() => clearInterval(resetting))
    const samples = await load({
      perSecond: engine.resets.perSecond,
      seconds: 10,
      send(index) {
        const user = index % 50
        const browser = world.users[user] as (typeof world.users)[0]
        return { kind: `user${user}`, answer: browser.get('/me') }
      },
    })
    clearInterval(resetting)
    const right = samples.filter(
      ({ kind, status, answer }) => status !== 200 || answer?.text === kind,
    )
    const good = samples.filter(({ status }) => status === 200)
    row(
      `${engine.name} F5`,
      'answers of 3,000',
      JSON.stringify(statuses(samples)),
      'resets',
      proxy.connections,
    )
    expect(proxy.connections).toBeGreaterThan(6000 / engine.resets.every)
    expect(right).toHaveLength(samples.length)
    expect(samples.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
    expect(good.length / samples.length).toBeGreaterThan(0.99)
  }, 40_000)

  test('F5: replies that arrive in part are nobody’s answer', async () => {
    const { proxy, world } = await behindProxy(10)
    const samples = await inParallel(60, 1, async (index) => {
      if (index % 3 === 0) proxy.tearNextReply()
      const user = index % 10
      return sampled(`user${user}`, (world.users[user] as (typeof world.users)[0]).get('/me'))
    })
    row(`${engine.name} F5`, 'torn replies', JSON.stringify(statuses(samples)))
    for (const { kind, status, answer } of samples) {
      expect([200, 503]).toContain(status)
      if (status === 200) expect(answer?.text).toBe(kind)
    }
    expect(statuses(samples)[200]).toBeGreaterThan(50)
  }, 40_000)

  test('F5: a connection that died without a word is replaced', async () => {
    const { proxy, world } = await behindProxy(4)
    proxy.silence()
    const began = performance.now()
    let answers = await all()
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503])
    while (answers.some(({ status }) => status !== 200)) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      answers = await all()
    }
    const recovery = performance.now() - began
    row(`${engine.name} F5`, 'dead connection replaced after, ms', recovery)
    expect(recovery).toBeLessThan(2 * 8000)

    function all() {
      return Promise.all(world.users.map((user) => sampled('read', user.get('/me'))))
    }
  }, 60_000)
})
