import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { readConfig } from '../../examples/shop/src/config.js'
import { openStreams } from '../../examples/shop/src/streams.js'
import { movableClock } from '../../src/testing.js'
import { serve } from '../http.js'
import { until } from '../servers/cluster.js'
import { listen, ticketOf } from './listening.js'
import { startServer } from './server.js'
import { openTestShop, scratch, sessionIdOf, type TestShop, type Visitor, visitor } from './shop.js'

const HOUR = 60 * 60_000

test('who is signed in has a stream that no cache keeps and no proxy holds back', async () => {
  const shop = await openTestShop()
  const ada = await signedIn(shop)
  const stream = await listen(shop, await ticketOf(ada))
  expect(stream.status).toBe(200)
  expect(stream.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  expect(stream.headers['set-cookie']).toBeUndefined()
  expect(stream.text()).toMatch(/^retry: \d{4}\n\n$/)
})

test('nobody else has one: without a ticket, with a forged one, with that of an ended session', async () => {
  const shop = await openTestShop()
  const ada = await signedIn(shop)
  const ticket = await ticketOf(ada)
  const other = ticket.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A'))
  for (const wrong of [undefined, '', '..', other, `${ticket}A`, 'x'.repeat(5000)]) {
    expect((await listen(shop, wrong)).status, wrong).toBe(401)
  }
  expect(await ticketOf(visitor(shop))).toBe('')

  const path = `/events?${new URLSearchParams({ ticket })}`
  expect((await ada.request(path, { method: 'HEAD' })).status).toBe(204)
  await shop.sessions.revoke(sessionIdOf(ada)!)
  expect((await listen(shop, ticket)).status).toBe(401)
  expect((await ada.request(path, { method: 'HEAD' })).status).toBe(401)
})

test.each<[string, (shop: TestShop, ada: Visitor) => Promise<unknown>]>([
  ['signOut', (_, ada) => ada.submit('/sign-out')],
  ['revoke', (shop, ada) => shop.sessions.revoke(sessionIdOf(ada)!)],
  ['revokeByUser', async (shop) => (await signedIn(shop)).submit('/devices/sign-out-others')],
])('it says how the session ended and ends: %s', async (reason, endIt) => {
  const shop = await openTestShop()
  const ada = await signedIn(shop)
  const bystander = await listen(shop, await ticketOf(await signedIn(shop, DEMO_ADMIN)))
  const stream = await listen(shop, await ticketOf(ada))
  await endIt(shop, ada)
  expect(await stream.ended).toBe('whole')
  expect(stream.text()).toMatch(new RegExp(`\\n\\nevent: ended\\ndata: ${reason}\\n\\n$`))
  expect(bystander.text()).not.toContain('ended')
})

test('the password once more gives the session a new cookie, and its pages go on listening', async () => {
  const shop = await openTestShop()
  const ada = await signedIn(shop)
  const stream = await listen(shop, await ticketOf(ada))
  await ada.submit('/confirm', { password: DEMO.password })
  await ada.submit('/sign-out')
  await stream.ended
  expect(stream.text()).toContain('data: signOut')
})

test('a session has four streams, and a fifth when one is closed', async () => {
  const shop = await openTestShop()
  const ticket = await ticketOf(await signedIn(shop))
  const streams = await Promise.all(Array.from({ length: 4 }, () => listen(shop, ticket)))
  const fifth = await listen(shop, ticket)
  expect([fifth.status, fifth.headers['retry-after']]).toEqual([429, '60'])
  streams[0]?.close()
  await until(async () => (await listen(shop, ticket)).status === 200)
})

test('listening is no use of the session: it ends at its deadline, unless somebody uses it', async () => {
  const clock = movableClock(Date.parse('2026-01-01'))
  const shop = await openTestShop({}, scratch(), clock)
  const ada = await signedIn(shop)
  const bob = await signedIn(shop)
  const [one, two] = await Promise.all([ticketOf(ada), ticketOf(bob)])
  const robin = one.split('.')[1]!
  const before = await shop.sessions.listByUser(robin)

  clock.advance(48 * HOUR - 500)
  const [idle, used] = await Promise.all([listen(shop, one), listen(shop, two)])
  expect(await shop.sessions.listByUser(robin)).toEqual(before)
  await bob.get('/cart')
  clock.advance(1000)
  expect(await idle.ended).toBe('whole')
  expect(idle.text()).toContain('event: ended\ndata: expired\n')
  await pause(500)
  expect(used.text()).not.toContain('ended')
})

test('where no event tells of an end, asking finds it', async () => {
  const { watch: _, ...store } = memoryStore()
  const secret = 's'.repeat(32)
  const [here, there] = [session({ secret, store }), session({ secret, store })]
  const streams = openStreams({ sessions: here, clock: Date, recheckAfter: 1000 })
  let id = ''
  const { url } = await serve(
    createServer(async (req, res) => {
      const ticket = { sessionId: id, accountId: 'ada' }
      if (req.url?.startsWith('/events')) return streams.open(ticket, res)
      const session = await there.of(req, res)
      await session.signIn('ada')
      id = session.id
      res.end()
    }),
  )
  await fetch(url)
  const stream = await listen({ url })
  await there.revoke(id)
  expect(stream.text()).not.toContain('ended')
  await stream.ended
  expect(stream.text()).toContain('event: ended\ndata: unknown\n')
  streams.close()
  expect((await listen({ url })).status).toBe(503)
  await Promise.all([here.close(), there.close()])
})

test('open streams do not hold up the stop, and none is torn', async () => {
  const server = await startServer(scratch())
  const ada = await signedIn(server)
  const stream = await listen(server, await ticketOf(ada))
  await pause(100)
  const started = Date.now()
  server.child.kill('SIGTERM')
  expect(await stream.ended).toBe('whole')
  expect(stream.text()).not.toContain('ended')
  expect(await server.ended).toBe(0)
  expect(Date.now() - started).toBeLessThan(2000)
})

test('the start says whether the near cache is on, and that a store without a feed can have none', async () => {
  const off = await startServer(scratch(), { SESSION_STORE: 'memory:' })
  expect(off.printed()).toMatch(/\nNear cache: off, NEAR_CACHE=on switches it on\n/)
  const on = await startServer(scratch(), { SESSION_STORE: 'memory:', NEAR_CACHE: 'on' })
  expect(on.printed()).toMatch(/\nNear cache: on, reads are answered from memory\n/)
  const SESSION_STORE = 'mysql://127.0.0.1:1/shop'
  const impossible = await startServer(scratch(), { SESSION_STORE, NEAR_CACHE: 'on' })
  expect(impossible.printed()).toMatch(
    /\nNear cache: off, although NEAR_CACHE=on: .* change feed\nThis store tells nobody of changes: .*30 seconds\n/,
  )
  expect(() => readConfig({ DATA_DIR: scratch(), NEAR_CACHE: 'yes' })).toThrow(
    'NEAR_CACHE is "on" or "off"; it is "yes".',
  )
})

async function signedIn(shop: { url: string }, who = DEMO): Promise<Visitor> {
  const someone = visitor(shop)
  await someone.signIn(who.email, who.password)
  return someone
}
