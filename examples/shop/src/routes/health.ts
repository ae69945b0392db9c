import { Router } from 'express'
import type Database from 'libsql'
import type { Sessions } from 'staykept'

export interface HealthOptions {
  readonly db: Database.Database
  readonly sessions: Sessions
  /** Whether the process is on its way out. */
  readonly draining: () => boolean
}

/** For machines: mounted before the session, so that they cost it nothing. */
export function health({ db, sessions, draining }: HealthOptions): Router {
  const router = Router()

  // Alive: restart the process if this fails. It must not ask the databases, or their outage becomes ours.
  router.get('/healthz', (_req, res) => {
    res.set('Cache-Control', 'no-store').json({ ok: true })
  })

  // Ready: send no visitors here while this fails.
  router.get('/readyz', async (_req, res) => {
    const { ok: sessionsAnswer, error } = await sessions.check()
    const checks = { data: dataAnswers(db), sessions: sessionsAnswer }
    const ok = checks.data && checks.sessions && !draining()
    if (!ok) res.status(503).set('Retry-After', '5')
    // The reason is for the log: whoever asks may be anybody.
    if (error instanceof Error) res.err = error
    res.set('Cache-Control', 'no-store').json({ ok, ...checks, draining: draining() })
  })

  return router
}

function dataAnswers(db: Database.Database): boolean {
  try {
    return db.prepare('SELECT 1').get() !== undefined
  } catch {
    return false
  }
}
