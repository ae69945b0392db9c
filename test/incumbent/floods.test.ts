import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import incumbentSession from 'express-session'
import { type Sessions, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { faultyStore } from 'staykept/testing'
import { expect, test } from 'vitest'
import { heapInUse } from '../heap.js'
import { createClient, exchange, serve } from '../http.js'
import { createApp } from '../processes/app.cjs'
import { seededRandom } from '../random.js'
import { storesUnderTest } from '../stores-under-test.js'
import { visitCalls } from '../visit-calls.js'
import { inParallel, SECRET } from '../worlds.js'

const MEGABYTE = 2 ** 20

/** Whichever store stands behind, it is not to be asked: the same visits for each, a million of them for one. */
function visitsOf(store: string): number {
  return store === 'memory' || process.env.STAYKEPT_LARGE === '1' ? 1_000_000 : 200_000
}

/** In milliseconds. A visit takes about 5 µs, and several times that on a machine that is busy with other tests. */
function patienceFor(visits: number): number {
  return 30_000 + visits * 0.1
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** A visit as cheap as it can be, so that a million of them take seconds. */
function visit(sessions: Sessions, cookie?: string): void {
  const headers = cookie === undefined ? {} : { cookie }
  const req = { method: 'GET', url: '/', headers, socket: {} } as unknown as IncomingMessage
  let isPassed = false
  sessions(req, {} as ServerResponse, (error) => {
    if (error !== undefined) throw error
    isPassed = true
  })
  if (!isPassed) throw new Error('a visit without a session had to wait')
}

for (const { name, open } of storesUnderTest.filter(({ name }) => !name.includes('later'))) {
  const visits = visitsOf(name)
  const patience = patienceFor(visits)

  test(
    `${visits} anonymous visits ask nothing of a store and leave nothing behind: ${name} (B14)`,
    async () => {
      const faulty = faultyStore((await open())())
      const sessions = session({ secret: SECRET, store: faulty.store })
      for (let index = 0; index < 20_000; index++) visit(sessions)
      const before = heapInUse()
      for (let index = 0; index < visits; index++) visit(sessions)
      expect(heapInUse() - before).toBeLessThan(MEGABYTE)
      expect(visitCalls(faulty)).toBe(0)
    },
    patience,
  )

  test(
    `${visits} garbage cookies ask nothing of a store and leave nothing behind: ${name} (B15)`,
    async () => {
      const faulty = faultyStore((await open())())
      const sessions = session({ secret: SECRET, store: faulty.store })
      const random = seededRandom('garbage cookies')
      const garbage = Array.from({ length: 1000 }, () => garbageCookie(random))
      for (const cookie of garbage) visit(sessions, cookie)
      const before = heapInUse()
      for (let index = 0; index < visits; index++) {
        // One in five has the right shape, and is never the same twice.
        visit(sessions, index % 5 === 0 ? wellFormed(index) : garbage[index % 1000])
      }
      expect(heapInUse() - before).toBeLessThan(MEGABYTE)
      expect(visitCalls(faulty)).toBe(0)
    },
    patience,
  )
}

test('express-session keeps a record of every anonymous visit by default, so the flood can fail (B14)', async () => {
  const store = new incumbentSession.MemoryStore()
  const middleware = incumbentSession({
    secret: SECRET,
    store,
    resave: true,
    saveUninitialized: true,
  })
  const app = express().use(middleware, (_req, res) => void res.send('hello'))
  const { url } = await serve(app)
  await inParallel(50, 20, () => createClient(url).get('/'))
  expect(Object.keys(store.sessions)).toHaveLength(50)
})

test('3,000 anonymous requests over HTTP get no cookie and store nothing (B14)', async () => {
  const faulty = faultyStore(memoryStore())
  const app = createApp(session({ secret: SECRET, store: faulty.store }))
  const { url } = await serve(app)
  const answers = await inParallel(3000, 20, () => createClient(url).get('/me'))
  expect(answers.every(({ status, cookies }) => status === 401 && cookies.length === 0)).toBe(true)
  expect(visitCalls(faulty)).toBe(0)
})

test('1,000 random cookies over HTTP: none is a 5xx, none reaches the store (B15)', async () => {
  const faulty = faultyStore(memoryStore())
  const { url } = await serve(createApp(session({ secret: SECRET, store: faulty.store })))
  const random = seededRandom('random cookies')
  const answers = await inParallel(1000, 20, async () => {
    const cookie = garbageCookie(random)
    const answer = await createClient(url).get('/me', { headers: { cookie } })
    return { cookie, status: answer.status, cookies: answer.cookies }
  })
  expect(answers.filter(({ status }) => status !== 401)).toEqual([])
  expect(answers.filter(({ cookies }) => cookies.length > 0)).toEqual([])
  expect(visitCalls(faulty)).toBe(0)
})

test('fifty forged cookies before the right one do not hide it', async () => {
  const { url } = await serve(createApp(session({ secret: SECRET })))
  const browser = createClient(url)
  await browser.post('/login')
  const forged = Array.from({ length: 50 }, (_, index) => wellFormed(index))
  const cookie = [...forged, browser.jar.header()].join('; ')
  expect((await createClient(url).get('/me', { headers: { cookie } })).text).toBe('ada')
})

test('a Cookie header of raw bytes, controls and halves of characters is an anonymous visit', async () => {
  const faulty = faultyStore(memoryStore())
  const { port } = await serve(createApp(session({ secret: SECRET, store: faulty.store })))
  const random = seededRandom('raw bytes')
  const answers = await inParallel(200, 20, () => {
    const bytes = Array.from({ length: 40 }, () => String.fromCharCode(random() * 256))
    const value = bytes.join('').replaceAll(/[\0\r\n]/g, ';')
    return exchange(
      port,
      `GET /me HTTP/1.1\r\nHost: x\r\nCookie: sid=${value}; sid=\r\nConnection: close\r\n\r\n`,
    )
  })
  // Node itself refuses controls in a header with 400; nothing else may differ from a visit without a cookie.
  expect(answers.filter((answer) => !/^HTTP\/1\.1 (401|400) /.test(answer))).toEqual([])
  expect(visitCalls(faulty)).toBe(0)
})

function pick(random: () => number, alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[Math.floor(random() * alphabet.length)]).join('')
}

function wellFormed(index: number): string {
  const part = String(index).padStart(22, 'A')
  return `sid=${part}.${part}${part.slice(1)}.${part}`
}

/** What finds its way into a Cookie header: rubbish, attacks on other systems, and near misses. */
function garbageCookie(random: () => number): string {
  const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).join('')
  const token = (length: number): string => pick(random, BASE64URL, length)
  const kinds = [
    () => `sid=${pick(random, visible, Math.floor(random() * 200))}`,
    () => `sid=${token(22)}.${token(43)}.${token(22)}`,
    () => `sid=${token(22)}.${token(43)}.${token(21)}`,
    () => `sid=${token(8000)}`,
    () => `sid=s%3A${token(32)}.${token(43)}`,
    () => `sid=j:${JSON.stringify({ [token(3)]: token(5) })}`,
    () => `sid=../../${token(5)}; sid=..%2f..%2f`,
    () => `sid=' OR 1=1 --; sid={"$gt":""}`,
    () => `sid=%00%0d%0a; sid=%`,
    () => `sid; =sid; ;;; sid=; sid==`,
    () => `__Host-sid=${token(22)}.${token(43)}.${token(22)}`,
  ]
  return (kinds[Math.floor(random() * kinds.length)] as () => string)()
}
