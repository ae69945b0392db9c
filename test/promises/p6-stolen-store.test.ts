import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { SessionEvents, SessionStore } from 'staykept'
import { sqliteStore } from 'staykept/sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../http.js'
import { inParallel } from '../worlds.js'
import { openSite, type Site, storesUnderTest } from './harness.js'

/** Every text that went into the store, with all the texts inside of it. */
function spied(store: SessionStore): { store: SessionStore; texts: Set<string> } {
  const texts = new Set<string>()
  const wrapped = { ...store }
  for (const [name, method] of Object.entries(store)) {
    if (typeof method !== 'function') continue
    Object.assign(wrapped, {
      [name]: (...args: unknown[]) => {
        collect(args, texts)
        return (method as (...given: unknown[]) => unknown).apply(store, args)
      },
    })
  }
  return { store: wrapped, texts }
}

function collect(value: unknown, texts: Set<string>): void {
  if (typeof value === 'string') {
    texts.add(value)
    for (const part of value.split(/[^\w+/=-]+/)) if (part.length >= 16) texts.add(part)
  } else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) collect(inner, texts)
  }
}

const EVENTS: readonly (keyof SessionEvents)[] = [
  'created',
  'rotated',
  'ended',
  'revoked',
  'conflict',
  'rejected',
  'corrupt',
  'storeError',
  'lateChange',
  'warning',
]

/** Signs users in, uses their sessions, and collects everything that anyone may see of them. */
async function live(site: Site): Promise<{ cookies: string[]; seen: string[] }> {
  const seen: string[] = []
  for (const name of EVENTS) {
    site.sessions.on(name, (event: unknown) => seen.push(`${name} ${inspect(event, { depth: 9 })}`))
  }
  const cookies: string[] = []
  for (const user of ['ada', 'eve', 'joe']) {
    const browser = site.browser()
    await browser.do((session) => {
      session.cart = [1]
    })
    cookies.push(browser.jar.get('sid') as string)
    await browser.do((session) => session.signIn(user, { keep: ['cart'] }))
    cookies.push(browser.jar.get('sid') as string)
    const shown = await browser.do((session, req) => [
      inspect(session, { depth: 9, showHidden: true }),
      inspect(req.session.info, { depth: 9, showHidden: true }),
      inspect(req.session.cookie, { depth: 9, showHidden: true }),
      JSON.stringify(session),
      JSON.stringify(session.info),
      JSON.stringify(session.cookie),
      session.info.csrfId,
      session.id,
      String(session),
      Object.getOwnPropertyNames(session).join(),
      Object.getOwnPropertySymbols(req).length,
    ])
    seen.push(String(shown.body))
    const failed = await browser.do((session) => {
      session.bad = () => 1
    })
    seen.push(JSON.stringify(failed.body))
    const forged = await createClient(site.url).get('/public', {
      headers: { cookie: `sid=${cookies.at(-1)?.slice(0, -1)}_` },
    })
    seen.push(JSON.stringify(forged.headers), forged.text)
    seen.push(inspect(await site.sessions.listByUser(user), { depth: 9 }))
  }
  seen.push(inspect(site.sessions, { depth: 4, showHidden: true }))
  seen.push(JSON.stringify(await site.sessions.check()))
  return { cookies, seen }
}

/** A text in the spellings that a log or a dump may have it in. */
function spellings(text: string): string[] {
  const bytes = Buffer.from(text, 'base64url')
  return [
    text,
    bytes.toString('hex'),
    bytes.toString('base64'),
    Buffer.from(text).toString('base64'),
    Buffer.from(text).toString('hex'),
  ]
}

describe.each(storesUnderTest)('P6, $name', ({ open }) => {
  test('no secret of a cookie is in the store, an event, an inspection, a list or an error', async () => {
    const { store, texts } = spied((await open())())
    const { cookies, seen } = await live(await openSite(store))
    expect(cookies).toHaveLength(6)
    const everything = [...texts, ...seen].join('\n')
    for (const cookie of cookies) {
      const [id, secret, tag] = cookie.split('.') as [string, string, string]
      for (const spelling of [...spellings(secret), ...spellings(tag)]) {
        expect(everything.includes(spelling)).toBe(false)
      }
      // The id is there, so the search does find what is there.
      expect(everything).toContain(id)
    }
  })

  test('nothing that the store holds works as a cookie, in any spelling or combination', async () => {
    const { store, texts } = spied((await open())())
    const site = await openSite(store)
    const { cookies, seen } = await live(site)
    collect(seen, texts)
    const ids = cookies.map((cookie) => cookie.slice(0, 22))
    const last = (length: number): string[] => [...texts].filter((text) => text.length === length)
    const candidates = new Set<string>()
    for (const text of texts) {
      for (const spelling of spellings(text)) {
        candidates.add(spelling).add(encodeURIComponent(spelling)).add(`s%3A${spelling}`)
      }
    }
    for (const id of new Set(ids)) {
      for (const secret of last(43)) {
        for (const tag of [...last(22), ...last(43).map((text) => text.slice(0, 22))]) {
          candidates.add(`${id}.${secret}.${tag}`)
        }
      }
    }
    const accepted = await inParallel(candidates.size, 20, async (index) => {
      const value = [...candidates][index] as string
      if (!/^[\x21\x23-\x3a\x3c-\x7e]{1,4000}$/.test(value)) return false
      const browser = site.browser()
      browser.jar.store(`sid=${value}; Path=/`)
      return (await browser.do((session) => session.info.userId ?? null)).body !== null
    })
    expect(accepted.filter(Boolean)).toEqual([])
    expect(candidates.size).toBeGreaterThan(100)
    const real = site.browser()
    real.jar.store(`sid=${cookies.at(-1)}; Path=/`)
    expect((await real.do((session) => session.info.userId)).body).toBe('joe')
  })
})

test('P6: the bytes of a SQLite file hold no secret of a cookie', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'staykept-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const store = sqliteStore({ filename: join(folder, 'sessions.db') })
  const { cookies } = await live(await openSite(store))
  const bytes = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))))
  for (const cookie of cookies) {
    const [id, secret, tag] = cookie.split('.') as [string, string, string]
    for (const spelling of [...spellings(secret), ...spellings(tag)]) {
      expect(bytes.includes(spelling)).toBe(false)
    }
    expect(bytes.includes(id)).toBe(true)
  }
  await store.close?.()
})
