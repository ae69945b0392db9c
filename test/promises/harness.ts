import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import type { SessionOptions, SessionStore, Sessions } from 'staykept'
import { session } from 'staykept'
import { type Client, createClient, type Jar, serve } from '../http.js'
import { nearStores, storesNearAndFar, storesUnderTest } from '../stores-under-test.js'
import { SECRET } from '../worlds.js'

// biome-ignore lint/suspicious/noExplicitAny: sessions with data of all kinds
export type Data = any

/** Something a handler does with its session; what it returns is the answer, as JSON. */
export type Act = (session: Data, req: Request, res: Response) => unknown

/** A server that does whatever the test wants a request to do. */
export interface Site {
  readonly url: string
  readonly sessions: Sessions
  browser(jar?: Jar): Browser
}

export interface Browser extends Client {
  /** A request whose handler does `act`. Rejects where no answer comes within 2 s. */
  do(
    act: Act,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ status: number; body: unknown; cookies: readonly string[]; headers: Data }>
}

let acts = 0
const waiting = new Map<string, Act>()

export async function openSite(
  store: SessionStore,
  options: Partial<SessionOptions> = {},
  prepare: (app: Express, sessions: Sessions) => void = () => {},
): Promise<Site> {
  const nearCache = nearStores.has(store)
  const sessions = session({ secret: SECRET, store, nearCache, ...options })
  const app = express()
  app.get('/public', (_req, res) => void res.send('public'))
  app.use(sessions)
  prepare(app, sessions)
  app.post('/act/:number', async (req, res) => {
    const act = waiting.get(req.params.number) as Act
    waiting.delete(req.params.number)
    const answer = await act(req.session, req, res)
    if (!res.headersSent) res.json(answer ?? null)
  })
  app.use((error: Data, _req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) return next(error)
    const { code, path, message, name } = error
    res.status(error.status ?? 500).json({ code, path, message, name })
  })
  const { url } = await serve(app)

  function browser(jar?: Jar): Browser {
    const client = createClient(url, jar)
    return {
      ...client,
      async do(act, sent = {}) {
        const number = String(acts++)
        waiting.set(number, act)
        const signal = AbortSignal.timeout(2000)
        const { status, headers, text, cookies } = await client.post(`/act/${number}`, {
          signal,
          headers: sent,
        })
        const body = text === '' ? undefined : JSON.parse(text)
        return { status, headers, cookies, body }
      },
    }
  }

  return { url, sessions, browser }
}

/** Two processes that share a store. */
export async function openPair(
  open: () => SessionStore,
  options: Partial<SessionOptions> = {},
): Promise<readonly [Site, Site]> {
  return [await openSite(open(), options), await openSite(open(), options)]
}

export { storesNearAndFar, storesUnderTest }
