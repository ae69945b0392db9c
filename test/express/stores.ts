import { type Session, type SessionOptions, type Sessions, session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { type FaultyStore, faultyStore } from 'staykept/testing'
import { serve } from '../http.js'
import { ask } from './faces.js'

export const SECRET = 'a secret of more than thirty-two characters'

/** `req.session` in a test, with whatever keys. */
export type Loose = Session & Record<string, unknown>

export interface Setup {
  readonly sessions: Sessions
  readonly faulty: FaultyStore
  /** What a second `session()` on the same store says of a cookie, over HTTP: the `value` in it. */
  read(cookie: string | undefined): Promise<unknown>
}

/** A `session()` on a store that can go wrong, and another application on the same store that looks over its shoulder. */
export async function setUp(options: Partial<SessionOptions> = {}): Promise<Setup> {
  const inner = memoryStore()
  const faulty = faultyStore(inner)
  const sessions = session({ secret: SECRET, store: faulty.store, pruneInterval: 0, ...options })
  const other = session({ secret: SECRET, store: inner, pruneInterval: 0 })
  const { url } = await serve((req, res) =>
    other(req, res, () => res.end(JSON.stringify((req.session as Loose).value ?? null))),
  )
  return {
    sessions,
    faulty,
    async read(cookie) {
      const reply = await ask(url, cookie === undefined ? {} : { headers: { cookie } })
      return JSON.parse((await reply.body()).text)
    },
  }
}
