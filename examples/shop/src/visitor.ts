import type { Request, RequestHandler, Response } from 'express'
import type { Account, Accounts } from './accounts.js'
import { cartCount } from './cart.js'
import { httpError, wantsJson } from './errors.js'
import type { Flash } from './sessions.js'

declare global {
  namespace Express {
    interface Locals {
      /** Who is signed in. */
      account?: Account
      /** A fresh form token of this session. */
      csrf?: () => string
      path?: string
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
    // Pages differ by visitor. Those of a signed-in one must not be found by the back button after signing out.
    res.set('Cache-Control', res.locals.account ? 'private, no-store' : 'private, no-cache')
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

/** Behind `signedInOnly`. */
export function accountOf(res: Response): Account {
  return res.locals.account!
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
