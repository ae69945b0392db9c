import type { Request, RequestHandler, Response } from 'express'
import type { Clock } from 'staykept'
import type { Account, Accounts } from './accounts.js'
import { cartCount } from './cart.js'
import { httpError, type Text, wantsJson } from './errors.js'
import { sameSitePath } from './return-path.js'
import type { Flash } from './sessions.js'

declare global {
  namespace Express {
    interface Locals {
      /** Who is signed in. */
      account?: Account
      /** A fresh form token of this session. */
      csrf?: () => string
      /** Opens the stream that tells a page of the end of this session. */
      ticket?: () => string
      path?: string
      /** Lets this page's script and style sheet in: see `headers.ts`. */
      nonce?: string
    }
  }
}

/** Finds out who is there. The account is read anew on each request, so a changed name or role counts at once. */
export function visitor(accounts: Accounts): RequestHandler {
  return async function visitor(req, res, next) {
    const { userId } = req.session.info
    if (userId !== undefined) {
      const account = accounts.find(String(userId))
      if (account) res.locals.account = account
      else await req.session.signOut()
    }
    // Pages differ by visitor. The back button shows what was stored without asking whether it still holds: whoever
    // has a session must not find there what they had before signing out, nor the cart from before the order.
    res.set('Cache-Control', req.session.info.isNew ? 'private, no-cache' : 'private, no-store')
    res.locals.path = req.path
    next()
  }
}

/** Only for who is signed in: a page sends the others to sign in and back again, the API answers 401. */
export function signedInOnly(): RequestHandler {
  return function signedInOnly(req, res, next) {
    if (res.locals.account) next()
    else if (wantsJson(req)) next(httpError(401, 'Not signed in.'))
    else if (req.method !== 'GET') res.redirect(303, '/sign-in')
    else res.redirect(303, `/sign-in?${new URLSearchParams({ return: req.originalUrl })}`)
  }
}

const FRESH = 10 * 60_000

/**
 * For what a thief of a cookie, or whoever sits down at an open laptop, must not do: asks for the password again where
 * it was last typed more than ten minutes ago (OWASP ASVS 7.5.1). Stands behind `signedInOnly`.
 */
export function freshSignInOnly(clock: Clock): RequestHandler {
  return function freshSignInOnly(req, res, next) {
    const { signedInAt = 0 } = req.session.info
    if (clock.now() - signedInAt <= FRESH) return next()
    if (wantsJson(req)) return next(httpError(401, 'The sign-in is too old for this.'))
    const page = sameSitePath(req.get('referer'), `${req.protocol}://${req.host}`)
    const back = req.method === 'GET' ? req.originalUrl : (page ?? '/dashboard')
    res.redirect(303, `/confirm?${new URLSearchParams({ return: back })}`)
  }
}

const NOT_YOURS: Text = {
  title: 'Not for this account',
  text: 'This page is for those who look after the shop. If that is you, ask them to add you.',
}

/** The role is that of the account as it is now: neither a form nor an old session can claim one. */
export function adminOnly(): RequestHandler[] {
  return [
    signedInOnly(),
    function adminOnly(_req, res, next) {
      if (accountOf(res).role === 'admin') next()
      else next(httpError(403, 'This takes the admin role.', { text: NOT_YOURS }))
    },
  ]
}

/** Behind `signedInOnly`. */
export function accountOf(res: Response): Account {
  return res.locals.account!
}

/**
 * On signing out: what the browser kept of this site goes as well (OWASP ASVS 14.3.1). Not "cookies": that would also
 * take those of every other site under the same domain; the session's own is cleared by the library.
 */
export function forgetPages(res: Response): void {
  res.set('Clear-Site-Data', '"cache", "storage"')
}

/** Shows a page, and with it, once, what the request before had to say. */
export async function showPage(
  req: Request,
  res: Response,
  view: string,
  locals: Record<string, unknown> & { title: string },
): Promise<void> {
  const flash: Flash | undefined = req.session.flash && (await req.session.take('flash'))
  res.render(view, { ...locals, flash, cartCount: cartCount(req.session.cart) })
}
