import { describe, expect, onTestFinished, test } from 'vitest'
import { ask, missing, start } from '../servers/redis.js'
import { inParallel } from '../worlds.js'
import { row } from './load.js'
import { needs } from './needs.js'
import { expectAlive, expectRefused } from './refusals.js'
import { type FaultWorld, faultWorld } from './users.js'

const MANY = process.env.STAYKEPT_LARGE === '1' ? 60_000 : 15_000

async function onRedis(
  args: readonly string[],
  count = 20,
): Promise<{ port: number; world: FaultWorld }> {
  const server = await start({ args })
  onTestFinished(() => server.close())
  const world = await faultWorld({ port: server.port }, count)
  onTestFinished(world.close)
  return { port: server.port, world }
}

describe.skipIf(needs('Redis', missing()))('Redis', () => {
  test('F6: a full Redis refuses changes and nothing is acknowledged; reads go on', async () => {
    const { port, world } = await onRedis(['--maxmemory-policy', 'noeviction'])
    await ask(port, 'CONFIG', 'SET', 'maxmemory', '1')
    await expectRefused('F6, maxmemory', world)
    await ask(port, 'CONFIG', 'SET', 'maxmemory', '0')
    await expectAlive(world)
  }, 40_000)

  test('F6: a Redis that cannot save refuses changes (MISCONF), and the same holds', async () => {
    const { port, world } = await onRedis([
      '--save',
      '1 1',
      '--stop-writes-on-bgsave-error',
      'yes',
      '--enable-protected-configs',
      'yes',
    ])
    await ask(port, 'CONFIG', 'SET', 'dir', '/proc')
    await ask(port, 'BGSAVE')
    while (!(await ask(port, 'INFO', 'persistence')).includes('rdb_last_bgsave_status:err')) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await expectRefused('F6, MISCONF', world)
    await ask(port, 'CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no')
    await expectAlive(world)
  }, 40_000)

  test('F12: what became a read-only replica by mistake refuses changes, says so, and recovers', async () => {
    const { port, world } = await onRedis([])
    await ask(port, 'REPLICAOF', '127.0.0.1', '1')
    await ask(port, 'CONFIG', 'SET', 'replica-serve-stale-data', 'yes')
    await expectRefused('F12', world)
    // A process that starts now says it before it serves anyone.
    const late = await faultWorld({ port }, 0, [{}])
    onTestFinished(late.close)
    const check = (await late.browser().get('/check')).json()
    row('F12', check.concerns?.map((one: { message: string }) => one.message).join(' '))
    expect(check.ok).toBe(false)
    expect(JSON.stringify(check)).toMatch(/replica/)
    await ask(port, 'REPLICAOF', 'NO', 'ONE')
    await expectAlive(world)
  }, 40_000)

  test(`F7: ${MANY.toLocaleString('en')} anonymous visits push nobody out of a Redis of 8 MB that evicts, and its operator is told`, async () => {
    const { port, world } = await onRedis(
      ['--maxmemory', '8mb', '--maxmemory-policy', 'allkeys-lru'],
      200,
    )
    await inParallel(MANY, 50, () => world.browser().get('/me'))
    const alive = await Promise.all(world.users.map((user) => user.get('/me')))
    const check = (await world.browser().get('/check')).json()
    row('F7', 'still signed in', `${alive.filter(({ status }) => status === 200).length} of 200`)
    row('F7', check.concerns?.map((one: { message: string }) => one.message).join(' '))
    expect(alive.filter(({ status }) => status === 200)).toHaveLength(200)
    expect(check.concerns).toContainEqual(
      expect.objectContaining({
        code: 'WARN_SESSION_EVICTION',
        message: expect.stringMatching(/allkeys-lru.*noeviction/s),
      }),
    )
    expect(await ask(port, 'DBSIZE')).toMatch(/^:4\d\d/)
  }, 120_000)
})
