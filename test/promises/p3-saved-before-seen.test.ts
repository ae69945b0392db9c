import http from 'node:http'
import { memoryStore } from 'staykept/memory'
import { faultyStore, gatedStore } from 'staykept/testing'
import { describe, expect, test } from 'vitest'
import { createJar } from '../http.js'
import { openSite, type Site, storesNearAndFar } from './harness.js'

type Send = 'send' | 'json' | 'redirect' | 'end' | 'write' | 'writeHead' | 'flushHeaders'
const SENDS: readonly Send[] = [
  'send',
  'json',
  'redirect',
  'end',
  'write',
  'writeHead',
  'flushHeaders',
]

async function siteFor(store: Parameters<typeof openSite>[0], options = {}): Promise<Site> {
  return openSite(store, options, (app) => {
    app.post('/write/:send', (req, res) => {
      Object.assign(req.session, { n: Math.random() })
      switch (req.params.send as Send) {
        case 'send':
          return void res.send('done')
        case 'json':
          return void res.json({ done: true })
        case 'redirect':
          return void res.redirect('/elsewhere')
        case 'end':
          return void res.end('done')
        case 'write':
          res.write('do')
          return void res.end('ne')
        case 'writeHead':
          return void res.writeHead(200, { 'X-Mine': '1' }).end('done')
        case 'flushHeaders':
          res.flushHeaders()
          return void res.end('done')
      }
    })
  })
}

/** Tells when the first byte of an answer comes. */
function request(url: string, cookie: string): { isAnswered: boolean; status: Promise<number> } {
  const state = { isAnswered: false, status: Promise.resolve(0) }
  state.status = new Promise((resolve, reject) => {
    const outgoing = http.request(url, { method: 'POST', headers: { cookie } }, (answer) => {
      state.isAnswered = true
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    outgoing.on('error', reject).end()
  })
  return state
}

describe('P3', () => {
  test.each(SENDS)(
    'no header of a response by %s leaves before its change is stored',
    async (send) => {
      const gate = gatedStore(memoryStore())
      const site = await siteFor(gate.store)
      const url = `${site.url}/write/${send}`
      const first = request(url, '')
      const create = await gate.next('create')
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(first.isAnswered).toBe(false)
      await create.go()
      const reply = await gate.next('create', 'reply')
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(first.isAnswered).toBe(false)
      await reply.go()
      expect(await first.status).toBe(send === 'redirect' ? 302 : 200)
    },
  )

  for (const { name, open } of storesNearAndFar) {
    test.each(SENDS)(
      `a change that the store refuses is no 2xx by %s, and brings no cookie: ${name}`,
      async (send) => {
        const faulty = faultyStore((await open())())
        const site = await siteFor(faulty.store)
        const browser = site.browser()
        faulty.refuse('full', { methods: ['create'] })
        const first = await browser.post(`/write/${send}`)
        expect([first.status, first.json().code]).toEqual([503, 'ERR_SESSION_STORE_FULL'])
        expect(first.cookies).toEqual([])
        expect(first.headers['retry-after']).toBe('1')
        expect(first.headers.location).toBe(undefined)
        await faulty.heal()
        expect((await browser.post(`/write/${send}`)).status).toBeLessThan(400)
        const before = (await browser.do((session) => session.n)).body
        faulty.refuse('no', { methods: ['update'] })
        const later = await browser.post(`/write/${send}`)
        expect([later.status, later.json().code]).toEqual([503, 'ERR_SESSION_STORE'])
        await faulty.heal()
        expect((await browser.do((session) => session.n)).body).toBe(before)
      },
    )

    test(`a lost answer of the store is told as unknown, and the change is not sent again: ${name}`, async () => {
      const faulty = faultyStore((await open())())
      const site = await siteFor(faulty.store)
      const browser = site.browser()
      await browser.post('/write/send')
      const updates = faulty.calls.update
      faulty.loseReplies({ methods: ['update'] })
      const answer = await browser.do((session) =>
        session.update((data: { count?: number }) => {
          data.count = (data.count ?? 0) + 1
        }),
      )
      expect([answer.status, (answer.body as { code: string }).code]).toEqual([
        503,
        'ERR_SESSION_OUTCOME_UNKNOWN',
      ])
      expect(faulty.calls.update - updates).toBe(1)
      await faulty.heal()
      expect((await browser.do((session) => session.count)).body).toBe(1)
    })

    test(`what signIn, save, update and take have promised is there, even if the answer is an error: ${name}`, async () => {
      const site = await siteFor((await open())())
      const browser = site.browser()
      const { status } = await browser.do(async (session) => {
        await session.signIn('ada', { data: { cart: [1] } })
        session.saved = true
        await session.save()
        throw new Error('later')
      })
      expect(status).toBe(500)
      const other = site.browser(createJar([['sid;;/', browser.jar.get('sid') as string]]))
      const { body } = await other.do((session) => [session.info.userId, { ...session }])
      expect(body).toEqual(['ada', { cart: [1], saved: true }])
    })

    test(`an error page is the application's own, also when a save failed before it: ${name}`, async () => {
      const faulty = faultyStore((await open())())
      const browser = (await siteFor(faulty.store)).browser()
      await browser.post('/write/send')
      faulty.refuse('no', { methods: ['update'] })
      const answer = await browser.do(async (session) => {
        session.n = 5
        await session.save()
      })
      expect([answer.status, (answer.body as { code: string }).code]).toEqual([
        503,
        'ERR_SESSION_STORE',
      ])
    })
  }
})
