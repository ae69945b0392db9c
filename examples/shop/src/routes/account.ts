import { Router } from 'express'
import type { Sessions } from 'staykept'
import type { Accounts } from '../accounts.js'
import type { Avatars } from '../avatars.js'
import { cartCount, cartTotal } from '../cart.js'
import { ago, longDate } from '../dates.js'
import { httpError } from '../errors.js'
import { field, isEmail, type Problems, rawField, registrationProblems } from '../forms.js'
import { registerLimit, signInLimits } from '../limits.js'
import type { Orders } from '../orders.js'
import { safeReturnPath } from '../return-path.js'
import { kept, REMEMBERED } from '../sessions.js'
import { endedBecause } from '../sign-out-reasons.js'
import { accountOf, forgetPages, showPage, signedInOnly } from '../visitor.js'

export function account(
  accounts: Accounts,
  avatars: Avatars,
  orders: Orders,
  sessions: Sessions,
): Router {
  const router = Router()

  router.get('/register', async (req, res) => {
    if (res.locals.account) return res.redirect(303, '/dashboard')
    const form = { returnTo: safeReturnPath(req.query.return) }
    await showPage(req, res, 'register', { title: 'Open an account', problems: {}, form })
  })

  // Says the same whether the address was free or taken, or anyone could ask who shops here (OWASP Authentication,
  // "Error Messages"). Without e-mail to confirm by, the first sign-in is what tells the owner.
  router.post('/register', registerLimit(), async (req, res) => {
    const form = {
      name: field(req.body, 'name'),
      email: field(req.body, 'email'),
      returnTo: safeReturnPath(rawField(req.body, 'return')),
    }
    const password = rawField(req.body, 'password')
    const problems = registrationProblems({ ...form, password })
    if (Object.keys(problems).length > 0) {
      res.status(422)
      return showPage(req, res, 'register', { title: 'Open an account', problems, form })
    }
    await accounts.register({ name: form.name, email: form.email, password })
    const query = new URLSearchParams({ registered: '1', return: form.returnTo })
    res.redirect(303, `/sign-in?${query}`)
  })

  router.get('/sign-in', async (req, res) => {
    const returnTo = safeReturnPath(req.query.return)
    if (res.locals.account) return res.redirect(303, returnTo)
    const ended = endedBecause(req.query.ended)
    const reason = req.query.registered ? 'registered' : req.query.return ? 'asked' : undefined
    await showPage(req, res, 'sign-in', {
      title: 'Sign in',
      problems: {},
      form: { returnTo },
      reason,
      ended,
    })
  })

  router.post('/sign-in', ...signInLimits(), async (req, res) => {
    const form = {
      email: field(req.body, 'email'),
      remember: field(req.body, 'remember') === 'yes',
      returnTo: safeReturnPath(rawField(req.body, 'return')),
    }
    const password = rawField(req.body, 'password')
    const problems: Problems = {}
    if (!isEmail(form.email)) problems.email = 'The e-mail address of your account.'
    if (password === '') problems.password = 'Your password.'
    if (Object.keys(problems).length > 0) {
      res.status(422)
      return showPage(req, res, 'sign-in', { title: 'Sign in', problems, form })
    }

    const account =
      password.length <= 1024 ? await accounts.verify(form.email, password) : undefined
    if (!account) {
      res.status(401)
      return showPage(req, res, 'sign-in', {
        title: 'Sign in',
        problems: {},
        form,
        reason: 'refused',
      })
    }
    await req.session.signIn(account.id, {
      keep: kept(req.session, account.id),
      // `null`: the cookie ends with the browser.
      maxAge: form.remember ? REMEMBERED : null,
      data: { flash: { tone: 'good', text: `Good to see you, ${account.name}.` } },
    })
    res.redirect(303, form.returnTo)
  })

  router
    .route('/sign-out')
    .post(async (req, res) => {
      await req.session.signOut()
      forgetPages(res)
      res.redirect(303, '/signed-out')
    })
    // A link or an image must not be able to sign anyone out.
    .all(() => {
      throw httpError(405, 'Signing out takes a POST.', { headers: { Allow: 'POST' } })
    })

  router.get('/signed-out', (req, res) => showPage(req, res, 'signed-out', { title: 'Signed out' }))

  router.get('/dashboard', signedInOnly(), async (req, res) => {
    const { id, cart, cookie, info } = req.session
    const devices = await sessions.listByUser(accountOf(res).id, { current: id })
    await showPage(req, res, 'dashboard', {
      title: 'Your account',
      cart: { count: cartCount(cart), total: cartTotal(cart) },
      orders: orders.count(accountOf(res).id),
      devices: devices.length,
      session: {
        id,
        signedIn: ago(info.signedInAt ?? info.createdAt),
        expires: info.expiresAt,
        isRemembered: cookie.maxAge === REMEMBERED,
      },
      avatar: avatars.tagOf(accountOf(res).id),
      since: longDate(accountOf(res).createdAt),
    })
  })

  return router
}
