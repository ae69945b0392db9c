import { randomBytes } from 'node:crypto'
import incumbentSession from 'express-session'
import { type SessionStore, type StoreKey, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { expect, test } from 'vitest'
import { createClient, serve } from '../http.js'
import { createApp } from '../processes/app.cjs'
import { storesUnderTest } from '../stores-under-test.js'
import { incumbentWorld, SECRET } from '../worlds.js'

/** What a bad disk, a careless hand or another program makes of `1[…]\n{"user":"ada","visited":true}`. */
const CORRUPTIONS: readonly (readonly [string, (payload: string) => string])[] = [
  ['nothing at all', () => ''],
  ['other text', () => 'hello'],
  ['an empty object', () => '{}'],
  ['a number', () => '42'],
  ['null', () => 'null'],
  ['an array', () => '[1,2]'],
  ['cut in the meta data', (payload) => payload.slice(0, 30)],
  ['cut before the data', (payload) => payload.slice(0, payload.indexOf('\n'))],
  ['cut to no data', (payload) => payload.slice(0, payload.indexOf('\n') + 1)],
  ['cut in the data', (payload) => payload.slice(0, -3)],
  ['data that are a number', (payload) => withData(payload, '42')],
  ['data that are null', (payload) => withData(payload, 'null')],
  ['data that are an array', (payload) => withData(payload, '[]')],
  ['data that are a string', (payload) => withData(payload, '"user"')],
  ['an unknown stand-in', (payload) => withData(payload, '{"user":{"$what":1}}')],
  ['a bigint that is none', (payload) => withData(payload, '{"user":{"$bigint":"x"}}')],
  ['a map that is none', (payload) => withData(payload, '{"user":{"$map":7}}')],
  ['a set that is none', (payload) => withData(payload, '{"user":{"$set":7}}')],
  ['a map of no pairs', (payload) => withData(payload, '{"user":{"$map":[1]}}')],
  ['a format from before the first', (payload) => `0${payload.slice(1)}`],
  ['a negative format', (payload) => `-${payload}`],
  ['no hash of a secret', (payload) => payload.replace(/\["[^"]*"/, '[null')],
  ['a hash that is a number', (payload) => payload.replace(/\["[^"]*"/, '[7')],
  ['meta data that are null', (payload) => payload.replace(/\[.*\]/, 'null')],
]

function withData(payload: string, data: string): string {
  return payload.slice(0, payload.indexOf('\n') + 1) + data
}

async function corrupt(
  store: SessionStore,
  id: string,
  change: (payload: string) => string,
): Promise<void> {
  const key = id as StoreKey
  const record = await store.load(key, Date.now())
  if (record === undefined) throw new Error('no such session')
  const version = randomBytes(12).toString('base64url')
  const broken = { ...record, version, payload: change(record.payload) }
  expect(await store.update(key, broken, record.version, Date.now())).toEqual({
    outcome: 'updated',
  })
}

for (const { name, open } of storesUnderTest.filter(({ name }) => !name.includes('later'))) {
  test.each(CORRUPTIONS)(
    `a record that became %s is no session, and sign-in works at the first try: ${name} (B16)`,
    async (_form, change) => {
      const store = (await open())()
      const sessions = session({ secret: SECRET, store })
      const events: unknown[] = []
      sessions.on('corrupt', (event) => events.push(event))
      const { url } = await serve(createApp(sessions))
      const requests = [
        ['GET', '/me', 401],
        ['GET', '/data', 200],
        ['GET', '/slow-read?ms=0', 200],
        ['POST', '/increment', 200],
        ['POST', '/redeem/token', 200],
        ['POST', '/set/key', 200],
        ['POST', '/regenerate', 200],
        ['POST', '/logout', 200],
        ['POST', '/login', 200],
      ] as const
      for (const [method, path, status] of requests) {
        const browser = createClient(url)
        const { id } = (await browser.post('/login')).json()
        await corrupt(store, id, change)
        const answer = await browser.request(path, { method })
        expect([path, answer.status]).toEqual([path, status])
        const next = await browser.get('/me')
        const isSignedIn = path === '/login' || path === '/regenerate'
        expect([path, next.status]).toEqual([path, isSignedIn ? 200 : 401])
        expect((await browser.post('/login')).status).toBe(200)
        expect((await browser.get('/me')).text).toBe('ada')
        // A number at the start may be the format of a later release.
        const reason = expect.stringMatching(/^(?:corrupt|newer)$/)
        expect([path, events[0]]).toEqual([path, { id, reason }])
        events.length = 0
      }
      await sessions.close()
    },
  )
}

test('a record that turns corrupt while a request works on it refuses the change and nothing else', async () => {
  const store = memoryStore()
  const sessions = session({ secret: SECRET, store })
  const app = createApp(sessions)
  let change = (payload: string): string => payload
  app.post('/meanwhile', async (req, res) => {
    const found = req.session as { n?: number }
    found.n = 1
    await corrupt(store, req.session.id, change)
    res.send('stored')
  })
  const { url } = await serve(app)
  for (const [form, corruption] of CORRUPTIONS) {
    change = corruption
    const browser = createClient(url)
    await browser.post('/login')
    expect([form, (await browser.post('/meanwhile')).status]).toEqual([form, 401])
    expect([form, (await browser.get('/me')).status]).toEqual([form, 401])
  }
})

test('express-session answers a corrupt record with 500, sign-in included, so this can fail', async () => {
  const store = new incumbentSession.MemoryStore()
  const world = await incumbentWorld(store)
  const browser = world.browser()
  await browser.post('/login')
  for (const id of Object.keys(store.sessions)) store.sessions[id] = '{"user":"ada"}'
  expect((await browser.post('/login')).status).toBe(500)
  await world.close()
})

test.each([
  ['__proto__', '{"__proto__":{"isAdmin":true},"user":"ada"}'],
  ['__proto__, spelt in escapes', '{"\\u005f_proto__":{"isAdmin":true},"user":"ada"}'],
  ['__proto__, deep', '{"user":"ada","a":{"b":[{"__proto__":{"isAdmin":true}}]}}'],
  ['constructor', '{"user":"ada","constructor":{"prototype":{"isAdmin":true}}}'],
  ['names of ours', '{"user":"ada","id":"x","signOut":1,"save":2,"cookie":{},"info":3}'],
  ['names of every object', '{"user":"ada","toString":1,"valueOf":2,"hasOwnProperty":3}'],
])('%s in a stored record changes no other object and no method (B17)', async (_what, data) => {
  const store = memoryStore()
  const sessions = session({ secret: SECRET, store })
  const app = createApp(sessions)
  const seen: unknown[] = []
  app.get('/look', (req, res) => {
    const found = req.session as unknown as {
      isAdmin?: unknown
      a?: { b: { isAdmin?: unknown }[] }
    }
    seen.push(({} as { isAdmin?: unknown }).isAdmin, found.isAdmin, found.a?.b[0]?.isAdmin)
    seen.push(typeof req.session.signOut, typeof req.session.save, typeof req.session.info)
    res.send(req.session.id)
  })
  const { url } = await serve(app)
  const browser = createClient(url)
  const { id } = (await browser.post('/login')).json()
  await corrupt(store, id, (payload) => withData(payload, data))
  const answer = await browser.get('/look')
  expect(answer.text).toBe(id)
  expect(seen).toEqual([undefined, undefined, undefined, 'function', 'function', 'object'])
  expect((await browser.post('/increment')).status).toBe(200)
  expect((await browser.get('/me')).text).toBe('ada')
})
