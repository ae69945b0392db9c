import type { Request, RequestHandler, Response } from 'express'
import { ipKeyGenerator, rateLimit } from 'express-rate-limit'
import { httpError } from './errors.js'
import { field } from './forms.js'
import { accountOf } from './visitor.js'

const WINDOW = 15 * 60_000

/**
 * Slows down who tries passwords: a few failures for one account from one address, more for one address in all.
 * Never one account from everywhere, or a stranger could lock its owner out.
 */
export function signInLimits(): RequestHandler[] {
  return [
    limit(10, (req) => `${addressOf(req)} ${field(req.body, 'email').toLowerCase().slice(0, 254)}`),
    limit(60, addressOf),
  ]
}

/** The same for who is signed in already: a stolen session must not become a place to guess the password at. */
export function passwordLimit(): RequestHandler {
  return limit(10, (_req, res) => accountOf(res).id)
}

/** Pictures are held in memory while they arrive. */
export function uploadLimit(): RequestHandler {
  return limit(60, (_req, res) => accountOf(res).id, { countSuccess: true })
}

/** Each registration costs a hash and a row. */
export function registerLimit(): RequestHandler {
  return limit(20, addressOf, { countSuccess: true })
}

function limit(
  count: number,
  keyGenerator: (req: Request, res: Response) => string,
  { countSuccess = false } = {},
): RequestHandler {
  return rateLimit({
    windowMs: WINDOW,
    limit: count,
    keyGenerator,
    skipSuccessfulRequests: !countSuccess,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    handler: (_req, _res, next) => next(httpError(429, 'Too many attempts.')),
  })
}

function addressOf(req: Request): string {
  return ipKeyGenerator(req.ip ?? '')
}
