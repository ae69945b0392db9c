import { type Request, type Response, Router } from 'express'
import type { Clock, Sessions } from 'staykept'
import type { Accounts } from '../accounts.js'
import { type Problems, passwordProblem, rawField } from '../forms.js'
import { passwordLimit } from '../limits.js'
import { safeReturnPath } from '../return-path.js'
import { type Flash, kept } from '../sessions.js'
import { accountOf, freshSignInOnly, showPage, signedInOnly } from '../visitor.js'

/** Changing the password, and typing it once more before something that matters. */
export function password(accounts: Accounts, sessions: Sessions, clock: Clock): Router {
  const router = Router()
  const limit = passwordLimit()
  router.use(['/confirm', '/password'], signedInOnly())

  router.get('/confirm', (req, res) => showConfirm(req, res))

  router.post('/confirm', limit, async (req, res) => {
    if (!(await isOwnPassword(res, rawField(req.body, 'password')))) {
      res.status(401)
      return showConfirm(req, res, { password: 'That is not your password.' })
    }
    await signInAgain(req, res)
    res.redirect(303, safeReturnPath(rawField(req.body, 'return')))
  })

  router.get('/password', freshSignInOnly(clock), (req, res) => showChange(req, res))

  router.post('/password', freshSignInOnly(clock), limit, async (req, res) => {
    const account = accountOf(res)
    const current = rawField(req.body, 'current')
    const chosen = rawField(req.body, 'new')
    const problems: Problems = {}
    const isSame = chosen !== '' && chosen === current
    const problem = isSame
      ? 'That is the one you have.'
      : passwordProblem({ ...account, password: chosen })
    if (problem) problems.new = problem
    if (!(await isOwnPassword(res, current))) {
      problems.current = 'That is not your password.'
    }
    if (Object.keys(problems).length > 0) {
      res.status(422)
      return showChange(req, res, problems)
    }

    await accounts.setPassword(account.id, chosen)
    // Also ends a sign-in with the old password that is under way in this moment.
    const ended = await sessions.revokeByUser(account.id, { except: req.session.id })
    const others = ended === 0 ? '' : ' All other devices are signed out.'
    await signInAgain(req, res, { tone: 'good', text: `Your password is changed.${others}` })
    res.redirect(303, '/profile')
  })

  /** The same session under a new cookie: a copy of the old one is worth nothing from now on. */
  async function signInAgain(req: Request, res: Response, flash?: Flash): Promise<void> {
    const { id } = accountOf(res)
    await req.session.signIn(id, {
      keep: kept(req.session, id),
      maxAge: req.session.cookie.maxAge,
      ...(flash && { data: { flash } }),
    })
  }

  async function isOwnPassword(res: Response, typed: string): Promise<boolean> {
    if (typed === '' || typed.length > 1024) return false
    return (await accounts.verify(accountOf(res).email, typed)) !== undefined
  }

  return router
}

function showConfirm(req: Request, res: Response, problems: Problems = {}): Promise<void> {
  const asked = req.method === 'GET' ? req.query.return : rawField(req.body, 'return')
  return showPage(req, res, 'confirm', {
    title: 'Is it you?',
    problems,
    returnTo: safeReturnPath(asked),
  })
}

function showChange(req: Request, res: Response, problems: Problems = {}): Promise<void> {
  return showPage(req, res, 'password', { title: 'Change your password', problems })
}
