import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Request, RequestHandler } from 'express'
import { httpError } from './errors.js'

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * First lock: a request that changes something must come from a page of this site. Browsers say so themselves (OWASP
 * CSRF Prevention: Fetch Metadata; Origin where that is missing). It needs no session, so a visitor who has none is
 * protected, the sign-in form included, and stores nothing. `/api` also takes requests of the allowed origins.
 */
export function sameOriginOnly(allowedOrigins: readonly string[]): RequestHandler {
  const allowed = new Set(allowedOrigins)

  return function sameOriginOnly(req, _res, next) {
    const isFriend = req.path.startsWith('/api/') && allowed.has(req.get('origin') ?? '')
    if (SAFE.has(req.method) || isFriend || comesFromHere(req)) next()
    else next(httpError(403, 'The request came from another site.'))
  }
}

export interface FormTokens {
  /** Gives pages the token of this sign-in. Mount it early: error pages have forms too. */
  issue(): RequestHandler
  /** Second lock: who is signed in must also send the token of this sign-in, in a form field or a header. */
  demand(): RequestHandler
}

export function formTokens(secrets: readonly string[]): FormTokens {
  const keys = secrets.map((secret) => createHmac('sha256', secret).update('shop csrf').digest())

  return {
    issue() {
      return function issueToken(req, res, next) {
        const { csrfId } = req.session.info
        // Salted, so it looks different on each page: compression then gives nothing away (BREACH).
        res.locals.csrf = () => seal(keys[0]!, randomBytes(9).toString('base64url'), csrfId)
        next()
      }
    },
    demand() {
      return function demandToken(req, _res, next) {
        const { userId, csrfId } = req.session.info
        if (SAFE.has(req.method) || userId === undefined) return next()
        const sent: unknown = req.get('x-csrf-token') ?? req.body?.csrf
        if (typeof sent === 'string' && keys.some((key) => opens(key, sent, csrfId))) return next()
        next(httpError(403, 'The page was opened before the latest sign-in.'))
      }
    },
  }
}

function comesFromHere(req: Request): boolean {
  const site = req.get('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  return req.get('origin') === `${req.protocol}://${req.host}`
}

function seal(key: Buffer, salt: string, csrfId: string): string {
  return `${salt}.${createHmac('sha256', key).update(`${salt}.${csrfId}`).digest('base64url')}`
}

function opens(key: Buffer, token: string, csrfId: string): boolean {
  const expected = Buffer.from(seal(key, token.slice(0, token.indexOf('.')), csrfId))
  const actual = Buffer.from(token)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
