import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../servers/process.js'
import { bystander } from '../worlds.js'
import { oneOfEach } from './engines.js'
import { load, row, sampled, statuses, took } from './load.js'
import { needs } from './needs.js'
import { serverWithPeople, worldAt } from './users.js'

/** Bounds that the library promises, and twice the time on a machine that others use. */
const SLACK = 2
const BUDGET = 1000
const ANSWERED_WITHIN = 1500
const REFUSED_WITHIN = 20
const MEBIBYTE = 2 ** 20

const there = oneOfEach.filter(({ name, missing }) => !needs(name, missing))

describe.each(there)('$name', (engine) => {
  test('F2: a server that hangs for 15 s holds nobody up, and is used again when it goes on', async () => {
    const { server, world } = await serverWithPeople(engine, 100)
    const idle = await bystander()
    const strangers = (seconds: number) =>
      load({
        perSecond: 50,
        seconds,
        send: () => ({ kind: 'stranger', answer: world.browser().get('/me') }),
      })
    const bystanders = (seconds: number) =>
      load({
        perSecond: 50,
        seconds,
        send: () => ({ kind: 'bystander', answer: idle.get('/') }),
      })
    await strangers(1)
    const usual = took(await strangers(2), 0.99)
    const heaps = await world.heaps()

    server.pause()
    const paused = performance.now()
    const meanwhile = Promise.all([strangers(14), bystanders(14)])
    const first = await Promise.all(world.users.map((user) => sampled('hung', user.get('/me'))))
    await sleep(BUDGET)
    const refused = await load({
      perSecond: 50,
      seconds: 4,
      send: (index) => ({
        kind: 'refused',
        answer: world.users[index % 100]?.get('/me') as ReturnType<(typeof world.users)[0]['get']>,
      }),
    })
    const grown = (await world.heaps()).map((heap, index) => heap - (heaps[index] as number))
    await sleep(Math.max(0, paused + 15_000 - performance.now()))
    server.resume()
    const resumed = performance.now()
    // Whoever is still refused asks again: the first calls after an outage go through a few at a time.
    const names = await Promise.all(
      world.users.map(async (user) => {
        let answer = await user.get('/me')
        while (answer.status !== 200 && performance.now() - resumed < 20_000) {
          await sleep(50)
          answer = await user.get('/me')
        }
        return answer.text
      }),
    )
    const recovery = performance.now() - resumed
    const [others, machine] = await meanwhile

    row(
      `${engine.name} F2`,
      'answered',
      `${first.filter(({ status }) => status !== 0).length} of 100`,
    )
    row(`${engine.name} F2`, 'slowest answer while it hangs, ms', took(first, 1))
    row(
      'F2',
      'refused with the breaker open, p50 / p99 / worst ms',
      ...[0.5, 0.99, 1].map((part) => took(refused, part)),
    )
    row(
      `${engine.name} F2`,
      'no cookie, p99 before / meanwhile / of a server that does nothing, ms',
      ...[usual, took(others, 0.99), took(machine, 0.99)],
    )
    row(`${engine.name} F2`, 'heap grew, MiB', Math.max(...grown) / MEBIBYTE)
    row(`${engine.name} F2`, 'in use again after, ms', recovery)

    expect(statuses(first)).toEqual({ 503: 100 })
    for (const { answer } of [...first, ...refused]) {
      expect([answer?.headers['retry-after'], answer?.cookies]).toEqual(['1', []])
    }
    expect(took(first, 1)).toBeLessThan(ANSWERED_WITHIN * SLACK)
    expect(statuses(refused)).toEqual({ 503: 200 })
    // On a machine that is busy, those who need no store wait as well.
    expect(took(refused, 0.95)).toBeLessThan(Math.max(REFUSED_WITHIN, took(others, 0.95)) * SLACK)
    expect(statuses(others)).toEqual({ 401: 700 })
    const base = Math.max(usual, took(machine, 0.99))
    expect(took(others, 0.99)).toBeLessThan(Math.max(2 * base, 20) * SLACK)
    expect(Math.max(...grown)).toBeLessThan(20 * MEBIBYTE)
    expect(recovery).toBeLessThan(2000 * SLACK)
    expect(names).toEqual(world.users.map((_, index) => `user${index}`))
  }, 90_000)

  test('F1: a server killed under load and started again 8 s later: nothing that it had on disk is lost', async () => {
    const { server, world } = await serverWithPeople(engine, 40)
    const written = new Map<number, string[]>()
    const loaded = load({
      perSecond: 100,
      seconds: 14,
      send(index) {
        const user = index % 40
        const browser = world.users[user] as (typeof world.users)[number]
        if (index % 2 === 0) return { kind: 'read', answer: browser.get('/me') }
        const answer = browser.post(`/set/key${index}`)
        answer.then(
          ({ status, isWhole }) => {
            if (status === 200 && isWhole) {
              written.set(user, [...(written.get(user) ?? []), `key${index}`])
            }
          },
          () => {},
        )
        return { kind: 'write', answer }
      },
    })
    await sleep(2000)
    await server.kill()
    const killed = 2000
    await sleep(8000)
    const restarted = performance.now()
    await server.restart()
    const began = performance.now() - restarted
    const samples = await loaded
    const up = killed + 8000 + began
    const firstGood = samples.find(({ at, status }) => at > up - began && status === 200)
    let lost = 0
    for (const [user, keys] of written) {
      const data = (await world.users[user]?.get('/data'))?.json()
      lost += keys.filter((key) => data[key] !== 1).length
    }
    const acknowledged = [...written.values()].flat().length
    const recovery = Math.max(0, (firstGood?.at ?? Number.POSITIVE_INFINITY) - up)

    row(`${engine.name} F1`, 'acknowledged writes lost', `${lost} of ${acknowledged}`)
    row(`${engine.name} F1`, 'first answer after the restart, ms', recovery)
    row(`${engine.name} F1`, 'slowest answer, ms', took(samples, 1))
    row(`${engine.name} F1`, 'answers', JSON.stringify(statuses(samples)))

    expect(lost).toBe(0)
    expect(acknowledged).toBeGreaterThan(100)
    // Refused for contention is refused as well: after an outage many things are tried at once.
    expect(samples.filter(({ status }) => ![200, 409, 503].includes(status))).toEqual([])
    expect(took(samples, 1)).toBeLessThan(ANSWERED_WITHIN * SLACK)
    expect(recovery).toBeLessThan(2000 * SLACK)
  }, 90_000)

  test('F3: the application starts before its server, says that it is not ready, and is ready when that is', async () => {
    const port = await freePort()
    const world = await worldAt(engine, port, 0)
    const stranger = world.browser()
    expect((await stranger.get('/public')).status).toBe(200)
    const login = await sampled('login', stranger.post('/login'))
    expect([login.status, login.answer?.cookies]).toEqual([503, []])
    expect(login.took).toBeLessThan(ANSWERED_WITHIN * SLACK)
    const notReady = (await stranger.get('/check')).json()
    expect(notReady.ok).toBe(false)
    const server = await engine.start(port)
    onTestFinished(() => server.close())
    const since = performance.now()
    for (const index of [0, 1]) {
      while (!(await world.browser().at(index).get('/check')).json().ok) await sleep(20)
      const browser = world.browser()
      expect((await browser.at(index).post('/login')).status).toBe(200)
    }
    const ready = performance.now() - since
    row(`${engine.name} F3`, 'both processes ready after the server is, ms', ready)
    expect(ready).toBeLessThan(2000 * SLACK)
  }, 60_000)
})
