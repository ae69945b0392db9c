import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ask as askPostgres, login } from '../servers/postgres.js'
import { ask, missing, start } from '../servers/redis.js'
import { inParallel, type World } from '../worlds.js'
import { postgres } from './engines.js'
import { row, sampled, statuses, took } from './load.js'
import { needs } from './needs.js'
import { type FaultWorld, faultWorld, serverWithPeople, signedIn } from './users.js'

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

/** What no refusal may do: acknowledge what was not stored, or hand out a cookie for it. */
async function tryEverything(world: FaultWorld) {
  const reads = await all(world, (user) => user.get('/me'))
  const writes = await all(world, (user) => user.post('/set/new'))
  const strangers = await inParallel(20, 20, (index) =>
    sampled('login', world.browser().post(`/login?user=late${index}`)),
  )
  const signOuts = await all(world, (user) => world.browser(user.jar.clone()).post('/logout'))
  return { reads, writes, strangers, signOuts }
}

function all(
  world: FaultWorld,
  act: (user: FaultWorld['users'][0]) => Promise<never> | ReturnType<FaultWorld['users'][0]['get']>,
) {
  return Promise.all(world.users.map((user) => sampled('request', act(user))))
}

async function expectRefused(id: string, world: FaultWorld): Promise<void> {
  const { reads, writes, strangers } = await tryEverything(world)
  row(id, 'reads', JSON.stringify(statuses(reads)), 'writes', JSON.stringify(statuses(writes)))
  expect(statuses(reads)).toEqual({ 200: 20 })
  expect(statuses(writes)).toEqual({ 503: 20 })
  expect(statuses(strangers)).toEqual({ 503: 20 })
  for (const { answer } of [...writes, ...strangers]) {
    expect(answer?.cookies).toEqual([])
    expect(answer?.headers['retry-after']).toBe('1')
    expect(answer?.text).not.toMatch(
      /redis|OOM|READONLY|MISCONF|maxmemory|postgres|standby|127\.0/i,
    )
  }
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

describe.skipIf(needs(postgres.name, postgres.missing))('PostgreSQL', () => {
  test('F6 and F12: one that takes no changes any more refuses them, says so, and recovers; reads go on', async () => {
    const { server, world } = await serverWithPeople(postgres, 20)
    await askPostgres(server.port, 'ALTER SYSTEM SET default_transaction_read_only = on')
    await askPostgres(server.port, 'SELECT pg_reload_conf()')
    await expectRefused('PostgreSQL F6, F12', world)
    const check = (await world.browser().get('/check')).json()
    row('PostgreSQL F12', check.concerns?.[0]?.message ?? JSON.stringify(check))
    expect(check.ok).toBe(false)
    expect(JSON.stringify(check)).toMatch(/takes no changes here/)
    await askPostgres(server.port, 'ALTER SYSTEM RESET default_transaction_read_only')
    await askPostgres(server.port, 'SELECT pg_reload_conf()')
    await expectAlive(world)
  }, 60_000)

  test('a pool whose five connections all hang holds up nobody without a session, and is free again by itself', async () => {
    const { server, world } = await serverWithPeople(postgres, 20)
    const lock = new pg.Client(login(server.port))
    await lock.connect()
    onTestFinished(() => lock.end())
    await lock.query('BEGIN; LOCK TABLE staykept_sessions IN ACCESS EXCLUSIVE MODE')
    const hung = inParallel(100, 100, (index) =>
      sampled('hung', (world.users[index % 20] as FaultWorld['users'][0]).get('/me')),
    )
    const strangers = inParallel(100, 20, () => sampled('stranger', world.browser().get('/me')))
    const [refused, others] = await Promise.all([hung, strangers])
    row('PostgreSQL, pool hung', 'answers', JSON.stringify(statuses(refused)))
    row('PostgreSQL, pool hung', 'slowest, ms', took(refused, 1), 'no cookie, ms', took(others, 1))
    expect(statuses(refused)).toEqual({ 503: 100 })
    expect(took(refused, 1)).toBeLessThan(2 * 1500)
    expect(statuses(others)).toEqual({ 401: 100 })
    expect(took(others, 1)).toBeLessThan(1000)
    await lock.query('COMMIT')
    const free = performance.now()
    await expect
      .poll(async () => (await world.users[0]?.get('/me'))?.status, { timeout: 10_000 })
      .toBe(200)
    row('PostgreSQL, pool hung', 'in use again after, ms', performance.now() - free)
    await expect
      .poll(
        async () => {
          const answers = await Promise.all(world.users.map((user) => user.get('/me')))
          return answers.filter(({ status }) => status === 200).length
        },
        { timeout: 10_000 },
      )
      .toBe(20)
    await expectAlive(world)
  }, 60_000)
})

/** Those who were signed in still are, but for those who signed out meanwhile; and all works again. */
async function expectAlive(world: World): Promise<void> {
  const [user] = await signedIn(world, 1, 'new')
  expect((await user?.post('/set/key'))?.status).toBe(200)
  expect((await user?.get('/data'))?.json()).toMatchObject({ key: 1 })
}
