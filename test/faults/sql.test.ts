import { describe, expect, onTestFinished, test } from 'vitest'
import { inParallel } from '../worlds.js'
import { sqlEngines } from './engines.js'
import { row, sampled, statuses, took } from './load.js'
import { needs } from './needs.js'
import { expectAlive, expectRefused } from './refusals.js'
import { type FaultWorld, serverWithPeople, worldAt } from './users.js'

/** Bounds that the library promises, and twice the time on a machine that others use. */
const SLACK = 2
const ANSWERED_WITHIN = 1500

const there = sqlEngines.filter(({ name, missing }) => !needs(name, missing))

describe.each(there)('$name', (engine) => {
  test('F6 and F12: one that takes no changes any more refuses them, says so, and recovers; reads go on', async () => {
    const { server, world } = await serverWithPeople(engine, 20)
    await engine.refuseChanges(server.port, true)
    await expectRefused(`${engine.name} F6, F12`, world)
    // Who looks for the first time now says it before anybody is served.
    const late = await worldAt(engine, server.port, 0)
    const check = (await late.browser().get('/check')).json()
    row(`${engine.name} F12`, check.concerns?.[0]?.message ?? JSON.stringify(check))
    expect(check.ok).toBe(false)
    expect(JSON.stringify(check)).toMatch(engine.refusal)
    await engine.refuseChanges(server.port, false)
    await expectAlive(world)
  }, 60_000)

  test('a pool whose five connections all hang holds up nobody without a session, and is free again by itself', async () => {
    const { server, world } = await serverWithPeople(engine, 20)
    const unlock = await engine.lockSessions(server.port)
    onTestFinished(async () => void (await unlock()))
    const hung = inParallel(100, 100, (index) =>
      sampled('hung', (world.users[index % 20] as FaultWorld['users'][0]).get('/me')),
    )
    const strangers = inParallel(100, 20, () => sampled('stranger', world.browser().get('/me')))
    const [refused, others] = await Promise.all([hung, strangers])
    const id = `${engine.name}, pool hung`
    row(id, 'answers', JSON.stringify(statuses(refused)))
    row(id, 'slowest, ms', took(refused, 1), 'no cookie, ms', took(others, 1))
    expect(statuses(refused)).toEqual({ 503: 100 })
    expect(took(refused, 1)).toBeLessThan(ANSWERED_WITHIN * SLACK)
    expect(statuses(others)).toEqual({ 401: 100 })
    expect(took(others, 1)).toBeLessThan(1000)
    await unlock()
    const free = performance.now()
    await expect
      .poll(async () => (await world.users[0]?.get('/me'))?.status, { timeout: 10_000 })
      .toBe(200)
    row(id, 'in use again after, ms', performance.now() - free)
    await expect.poll(() => served(world), { timeout: 10_000 }).toBe(20)
    await expectAlive(world)
  }, 60_000)

  test('a change that the server undoes in a deadlock is sent once more, and answered in time', async () => {
    const { server, world } = await serverWithPeople(engine, 0)
    const devices = [world.browser(), world.browser()]
    const ids: string[] = []
    for (const device of devices) ids.push((await device.post('/login?user=ada')).json().id)
    const other = await engine.transaction(server.port)
    const before = await engine.deadlocks(server)
    await other.lock(ids[1] as string)
    // It has the first, and waits for the second.
    const revoking = sampled('revoke', world.browser().post('/revoke-user/ada'))
    await expect.poll(other.isWaitedFor, { interval: 10, timeout: 5000 }).toBe(true)
    await other.lock(ids[0] as string)
    await other.commit()
    const revoked = await revoking
    row(`${engine.name}, deadlock`, 'answered', revoked.status, 'after ms', revoked.took)
    expect([revoked.status, revoked.answer?.json()]).toEqual([200, 2])
    expect(revoked.took).toBeLessThan(ANSWERED_WITHIN)
    expect(await engine.deadlocks(server)).toBe(before + 1)
    for (const device of devices) expect((await device.get('/me')).status).toBe(401)
  }, 60_000)
})

async function served({ users }: FaultWorld): Promise<number> {
  const answers = await Promise.all(users.map((user) => user.get('/me')))
  return answers.filter(({ status }) => status === 200).length
}
