import { expect } from 'vitest'
import { inParallel, type World } from '../worlds.js'
import { row, sampled, statuses } from './load.js'
import { type FaultWorld, signedIn } from './users.js'

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

export async function expectRefused(id: string, world: FaultWorld): Promise<void> {
  const { reads, writes, strangers } = await tryEverything(world)
  row(id, 'reads', JSON.stringify(statuses(reads)), 'writes', JSON.stringify(statuses(writes)))
  expect(statuses(reads)).toEqual({ 200: 20 })
  expect(statuses(writes)).toEqual({ 503: 20 })
  expect(statuses(strangers)).toEqual({ 503: 20 })
  for (const { answer } of [...writes, ...strangers]) {
    expect(answer?.cookies).toEqual([])
    expect(answer?.headers['retry-after']).toBe('1')
    expect(answer?.text).not.toMatch(
      /redis|OOM|READONLY|MISCONF|maxmemory|postgres|standby|mysql|mariadb|read_only|127\.0/i,
    )
  }
}

/** Those who were signed in still are, but for those who signed out meanwhile; and all works again. */
export async function expectAlive(world: World): Promise<void> {
  const [user] = await signedIn(world, 1, 'new')
  expect((await user?.post('/set/key'))?.status).toBe(200)
  expect((await user?.get('/data'))?.json()).toMatchObject({ key: 1 })
}
