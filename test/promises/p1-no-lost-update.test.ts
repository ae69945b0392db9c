import { describe, expect, test } from 'vitest'
import { inParallel } from '../worlds.js'
import { type Browser, openPair, storesNearAndFar } from './harness.js'

describe.each(storesNearAndFar)('P1, $name', ({ open }) => {
  /** The same user in front of two processes. */
  async function two(): Promise<{ one: Browser; other: Browser; conflicts: string[][] }> {
    const [here, there] = await openPair(await open())
    const conflicts: string[][] = []
    for (const { sessions } of [here, there]) {
      sessions.on('conflict', ({ keys }) => conflicts.push([...keys]))
    }
    const one = here.browser()
    await one.do((session) => session.signIn('ada', { data: { a: 1, b: 1 } }))
    return { one, other: there.browser(one.jar), conflicts }
  }

  test('requests that change different keys at the same time all keep their change', async () => {
    const { one, other, conflicts } = await two()
    const answers = await inParallel(60, 20, (index) =>
      (index % 2 === 0 ? one : other).do(async (session) => {
        void session.a
        await new Promise((resolve) => setTimeout(resolve, index % 5))
        if (index === 7) delete session.a
        else if (index === 8) session.b = 2
        else session[`key${index}`] = index
      }),
    )
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    const { body } = await one.do((session) => ({ ...session }))
    const wanted = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [`key${index}`, index] as const).filter(
        ([, index]) => index !== 7 && index !== 8,
      ),
    )
    expect(body).toEqual({ b: 2, ...wanted })
    expect(conflicts).toEqual([])
  })

  test('update is exact on one key, and answers what its function returned', async () => {
    const { one, other } = await two()
    const answers = await inParallel(100, 20, (index) =>
      (index % 2 === 0 ? one : other).do((session) =>
        session.update((data: { n?: number }) => {
          data.n = (data.n ?? 0) + 1
          return data.n
        }),
      ),
    )
    const seen = answers.map(({ body }) => body as number).sort((left, right) => left - right)
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
  })

  test('take gives a value to one request only', async () => {
    const { one, other } = await two()
    for (let round = 0; round < 10; round++) {
      await one.do((session) => {
        session.flash = { text: 'saved', round }
      })
      const answers = await inParallel(20, 20, (index) =>
        (index % 2 === 0 ? one : other).do((session) => session.take('flash')),
      )
      const got = answers.map(({ body }) => body).filter((body) => body !== null)
      expect(got).toEqual([{ text: 'saved', round }])
    }
  })

  test('of two writes of the same key the later commit wins, and an event names the key', async () => {
    const { one, other, conflicts } = await two()
    await one.do(async (session) => {
      session.a = 'one'
      await other.do((others) => {
        others.a = 'other'
        others.b = 'other'
      })
    })
    const { body } = await one.do((session) => ({ ...session }))
    expect(body).toEqual({ a: 'one', b: 'other' })
    expect(conflicts).toEqual([['a']])
  })

  test('a write after an update of the same request takes nothing back from others', async () => {
    const { one, other } = await two()
    await one.do(async (session) => {
      const increment = (data: { n?: number }): void => {
        data.n = (data.n ?? 0) + 1
      }
      await session.update(increment)
      await other.do((others) => others.update(increment))
      session.x = 1
    })
    const { body } = await one.do((session) => ({ ...session }))
    expect(body).toEqual({ a: 1, b: 1, n: 2, x: 1 })
  })

  test('what was assigned before an update is stored along with it', async () => {
    const { one } = await two()
    const { body } = await one.do(async (session) => {
      session.c = 'assigned'
      return session.update((data: { c?: string; d?: string }) => {
        data.d = `seen ${data.c}`
        return data.d
      })
    })
    expect(body).toBe('seen assigned')
    const after = await one.do((session) => ({ ...session }))
    expect(after.body).toEqual({ a: 1, b: 1, c: 'assigned', d: 'seen assigned' })
  })

  test('an update that throws stores nothing, and the request can go on', async () => {
    const { one } = await two()
    const { body } = await one.do(async (session) => {
      const thrown = await session
        .update((data: { a?: number }) => {
          data.a = 5
          throw new Error('no')
        })
        .catch((error: Error) => error.message)
      session.e = 1
      return thrown
    })
    expect(body).toBe('no')
    expect((await one.do((session) => ({ ...session }))).body).toEqual({ a: 1, b: 1, e: 1 })
  })

  test('two first writes of a browser without a cookie make two sessions', async () => {
    const { other } = await two()
    const [here] = await openPair(await open())
    const browser = here.browser()
    const answers = await Promise.all(
      [1, 2].map((n) =>
        browser.do((session) => {
          session.n = n
        }),
      ),
    )
    expect(answers.map(({ cookies }) => cookies.length)).toEqual([1, 1])
    expect(other.jar.header()).not.toBe(browser.jar.header())
  })
})
