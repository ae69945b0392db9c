import express, { type RequestHandler } from 'express'
import { type SessionOptions, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { faultyStore } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { createClient, serve } from '../http.js'
import { type Loose, SECRET } from './stores.js'

/** What `fresh` must not believe: a cache that is told of nothing. The feed proves itself and keeps what it hears. */
function deafStore() {
  const memory = memoryStore()
  return {
    memory,
    faulty: faultyStore({ ...memory, watch: () => ({ check() {}, stop() {} }) }),
  }
}

const show: RequestHandler = (req, res) => {
  res.json({ ...req.session, isNew: req.session.info.isNew })
}

async function setUp(options: Partial<SessionOptions> = {}) {
  const { memory, faulty } = deafStore()
  const common = { secret: SECRET, pruneInterval: 0 }
  const sessions = session({ ...common, store: faulty.store, nearCache: true, ...options })
  const elsewhere = session({ ...common, store: memory })
  const app = express()
  app.get('/elsewhere/end', elsewhere, async (req, res) => {
    await elsewhere.revoke(req.session.id)
    res.end()
  })
  app.get('/elsewhere/set', elsewhere, (req, res) => {
    ;(req.session as Loose).n = req.query.n
    res.end()
  })
  app.get('/fresh', sessions.fresh, show)
  app.get('/of', async (req, res) => {
    res.json({ ...(await sessions.of(req, undefined, { fresh: req.query.fresh === 'yes' })) })
  })
  app.use(sessions)
  app.get('/', show)
  app.get('/both', sessions.fresh, show)
  app.get('/late', async (req, res) => {
    const { n } = req.session as Loose
    const fresh = await sessions.of(req, res, { fresh: true })
    res.json({ before: n, after: (fresh as Loose).n })
  })
  app.get('/snapshot', (req, res) => {
    const isHeld = (): boolean => Object.hasOwn(res, 'end')
    const { data, id } = sessions.snapshot(req)
    res.json({ data, id, isHeld: isHeld(), isFrozen: Object.isFrozen(data) })
  })
  const { url } = await serve(app)
  const client = createClient(url)
  await client.get('/elsewhere/set?n=1')
  const get = async (path: string): Promise<unknown> => (await client.get(path)).json()
  expect(await get('/')).toEqual({ n: '1', isNew: false })
  return { client, get, faulty, sessions }
}

describe('a route that asks for it fresh', () => {
  test('is not told what the near cache has, whether or not the middleware ran before', async () => {
    const { client, get } = await setUp()
    await client.get('/elsewhere/set?n=2')
    expect(await get('/')).toEqual({ n: '1', isNew: false })
    expect(await get('/of')).toEqual({ n: '1' })
    expect(await get('/late')).toEqual({ before: '1', after: '2' })
    await client.get('/elsewhere/set?n=3')
    expect(await get('/both')).toEqual({ n: '3', isNew: false })
    await client.get('/elsewhere/set?n=4')
    expect(await get('/of?fresh=yes')).toEqual({ n: '4' })
    await client.get('/elsewhere/set?n=5')
    expect(await get('/fresh')).toEqual({ n: '5', isNew: false })
  })

  test('brings what it read to the cache', async () => {
    const { client, get, faulty } = await setUp()
    await client.get('/elsewhere/set?n=2')
    await get('/both')
    const before = faulty.total
    expect(await get('/')).toEqual({ n: '2', isNew: false })
    expect(faulty.total).toBe(before)
  })

  test('meets an empty session where that ended elsewhere', async () => {
    const { client, get } = await setUp()
    await client.get('/elsewhere/end')
    expect(await get('/')).toEqual({ n: '1', isNew: false })
    expect(await get('/both')).toEqual({ isNew: true })
    expect(await get('/')).toEqual({ isNew: true })
  })

  test('gets 503 where the store does not answer, and others go on for a while', async () => {
    const { client, get, faulty } = await setUp({ storeBudget: 100 })
    faulty.hang()
    expect((await client.get('/both')).status).toBe(503)
    expect(await get('/')).toEqual({ n: '1', isNew: false })
  })

  test('costs nothing more without a near cache', async () => {
    const { get, faulty } = await setUp({ nearCache: false })
    const before = faulty.total
    expect(await get('/both')).toEqual({ n: '1', isNew: false })
    expect(faulty.total - before).toBe(1)
  })
})

test('sessions.of says what is wrong with its options', async () => {
  const { sessions } = await setUp()
  const ask = (options: unknown): Promise<unknown> =>
    sessions.of({ headers: {} } as never, undefined, options as never)
  await expect(ask({ fresh: 'yes' })).rejects.toThrow("fresh is true or false, not 'yes'")
  await expect(ask({ isFresh: true })).rejects.toThrow('no option "isFresh": it takes fresh')
})

test('there is no snapshot of a request that went past the middleware', async () => {
  const { sessions } = await setUp()
  expect(() => sessions.snapshot({ headers: {} } as never)).toThrow(
    'Mount app.use(sessions) before',
  )
})

test('a snapshot is read without holding up the response, calling the store or parsing', async () => {
  const { get, faulty } = await setUp()
  const before = faulty.total
  const first = await get('/snapshot')
  expect(first).toEqual({ data: { n: '1' }, id: expect.any(String), isHeld: false, isFrozen: true })
  expect(await get('/snapshot')).toEqual(first)
  expect(faulty.total).toBe(before)
})
