import { type Request, type Response, Router } from 'express'
import type { Accounts } from '../accounts.js'
import { type Avatars, pictureOf } from '../avatars.js'
import { httpError } from '../errors.js'
import { field, nameProblem, type Problems } from '../forms.js'
import { accountOf, showPage, signedInOnly } from '../visitor.js'

/** Name and picture. Whose they are is said by the session alone: no address here has an account in it. */
export function profile(accounts: Accounts, avatars: Avatars): Router {
  const router = Router()
  router.use('/profile', signedInOnly())

  router.get('/profile', (req, res) => showProfile(req, res))

  router.post('/profile', async (req, res) => {
    const name = field(req.body, 'name')
    const problem = nameProblem(name)
    if (problem) {
      res.status(422)
      return showProfile(req, res, { name: problem }, { name })
    }
    accounts.rename(accountOf(res).id, name)
    req.session.flash = { tone: 'good', text: 'Your name is changed.' }
    res.redirect(303, '/profile')
  })

  // The form itself was read by `receivePicture`, before its token was checked.
  router.post('/profile/avatar', async (req, res) => {
    const problem = res.locals.uploadProblem
    const picture = req.file && pictureOf(req.file.buffer)
    if (problem || !picture) {
      res.status(problem?.status ?? 422)
      const avatar = problem?.text ?? 'A picture as PNG, JPEG or WebP, please.'
      return showProfile(req, res, { avatar })
    }
    avatars.put(accountOf(res).id, picture)
    req.session.flash = { tone: 'good', text: 'That is a good picture.' }
    res.redirect(303, '/profile')
  })

  router.post('/profile/avatar/remove', (req, res) => {
    if (avatars.remove(accountOf(res).id)) {
      req.session.flash = { tone: 'good', text: 'Your picture is gone.' }
    }
    res.redirect(303, '/profile')
  })

  router.get('/profile/avatar/:tag', (req, res) => {
    const picture = avatars.find(accountOf(res).id, req.params.tag)
    if (!picture) throw httpError(404, 'No such picture.')
    // The type is one of three, `nosniff` stands on every answer, and opened on its own it is still no page of ours.
    res
      .set('Content-Security-Policy', "default-src 'none'; sandbox")
      .set('Content-Disposition', 'inline; filename="avatar"')
      .type(picture.type)
      .send(picture.bytes)
  })

  function showProfile(
    req: Request,
    res: Response,
    problems: Problems = {},
    form: { name: string } = accountOf(res),
  ): Promise<void> {
    return showPage(req, res, 'profile', {
      title: 'Your profile',
      problems,
      form,
      avatar: avatars.tagOf(accountOf(res).id),
    })
  }

  return router
}
