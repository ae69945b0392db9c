import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { gatedStore } from '../../src/testing.js'
import { type FeedDouble, feedDouble } from '../core/feed-double.js'
import { codeOf, createJar, createProcess, type Data, type Process } from '../core/process.js'
import { idOf, newSession, read } from '../core/scene.js'
import { feedRigs } from './engines.js'

const BOUND = 400
const NEAR = { maxStaleness: BOUND, maxEntryAge: 30_000, maxEntries: 1000, maxBytes: 10_000_000 }

// What the core proves on a store in memory, once more on each engine: its own feed, held up where the rule is about that.
describe.each(feedRigs)('$name', (rig) => {
  async function stores() {
    const { settings, remove } = await rig.prepare()
    const opened = [rig.open(settings), rig.open(settings)] as const
    onTestFinished(async () => {
      for (const { store, close } of opened) {
        await store.close?.()
        await close?.()
      }
      await remove?.()
    })
    return opened.map(({ store }) => store) as [
      (typeof opened)[0]['store'],
      (typeof opened)[0]['store'],
    ]
  }

  async function world(): Promise<{ near: Process; far: Process; feed: FeedDouble }> {
    const [here, there] = await stores()
    const feed = feedDouble(here)
    const near = createProcess(feed.store, { nearCache: NEAR })
    onTestFinished(() => near.manager.close())
    return { near, far: createProcess(there), feed }
  }

  /** A session that is read from the cache: the store is asked no more. */
  async function cached(near: Process, far: Process, data: Data, user?: string): Promise<string> {
    const cookie = await newSession(far, data, user)
    for (let turn = 0; turn < 200; turn += 1) {
      const { visit } = await near.request(createJar(cookie))
      if (visit.isCached) return cookie
      await sleep(20)
    }
    throw new Error('The near cache is not on after four seconds')
  }

  test('N1: after a sign-in elsewhere nobody is anonymous, though the feed is silent', async () => {
    const { near, far, feed } = await world()
    for (let round = 0; round < 10; round += 1) {
      const cookie = await cached(near, far, { cart: round })
      feed.pause()
      const jar = createJar(cookie)
      await far.handle(jar, (session) => session.signIn('ada', { keep: ['cart'] }))
      const { session } = await near.request(jar)
      expect([session.info.userId, session.cart]).toEqual(['ada', round])
      feed.resume()
    }
  })

  test('N2: an own write whose reply comes last hides no foreign one', async () => {
    const [here, there] = await stores()
    const gate = gatedStore(here)
    const near = createProcess(gate.store, { nearCache: NEAR })
    onTestFinished(() => near.manager.close())
    const far = createProcess(there)
    const cookie = await newSession(far, { n: 1 })
    const first = near.request(createJar(cookie))
    await (await gate.next('load')).finish()
    const { session, respond } = await first
    session.mine = 1
    const responded = respond()
    await (await gate.next('update')).go()
    const reply = await gate.next('update', 'reply')
    await far.handle(createJar(cookie), (other) => {
      other.theirs = 1
    })
    await sleep(200)
    await reply.go()
    await responded
    await gate.open()
    expect(await read(near, cookie)).toEqual({ n: 1, mine: 1, theirs: 1 })
  })

  test('N3: what a cut feed missed is not hidden by anything from before the cut', async () => {
    const { near, far, feed } = await world()
    const cookie = await cached(near, far, { n: 1 })
    feed.cut()
    for (const n of [2, 3]) {
      await far.handle(createJar(cookie), (session) => {
        session.n = n
      })
      expect(await read(near, cookie)).toEqual({ n })
    }
    feed.mend()
    expect(await read(near, cookie)).toEqual({ n: 3 })
  })

  test('N4: what was revoked while the feed is silent is read for the bound at most, and written never', async () => {
    const { near, far, feed } = await world()
    const [readOnly, written] = [
      await cached(near, far, { n: 1 }, 'ada'),
      await cached(near, far, { n: 1 }, 'ada'),
    ] as const
    expect(await read(near, readOnly)).toEqual({ n: 1 })
    feed.pause()
    for (const cookie of [readOnly, written]) {
      expect(await far.manager.revoke(idOf(cookie))).toBe(true)
    }
    const revokedAt = performance.now()
    const write = near.handle(createJar(written), (session) => {
      session.n = 2
    })
    expect(await codeOf(write)).toBe('ERR_SESSION_ENDED')
    let stale = 0
    for (;;) {
      const asked = performance.now()
      if (!('n' in (await read(near, readOnly)))) break
      stale += 1
      expect(asked - revokedAt).toBeLessThanOrEqual(BOUND)
      await sleep(5)
    }
    expect(stale).toBeGreaterThan(0)
  })
})
