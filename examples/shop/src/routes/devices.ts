import { Router } from 'express'
import type { Sessions } from 'staykept'
import { ago } from '../dates.js'
import { deviceKind, deviceName } from '../devices.js'
import { accountOf, forgetPages, showPage, signedInOnly } from '../visitor.js'

/** Where am I signed in, and how do I get out of there? */
export function devices(sessions: Sessions): Router {
  const router = Router()
  router.use('/devices', signedInOnly())

  router.get('/devices', async (req, res) => {
    const found = await sessions.listByUser(accountOf(res).id, { current: req.session.id })
    const devices = found.map((device) => ({
      id: device.id,
      current: device.current,
      name: deviceName(device.userAgent),
      kind: deviceKind(device.userAgent),
      firstSeen: device.createdAt,
      lastSeen: device.current ? 'now' : ago(device.lastSeenAt),
    }))
    devices.sort((a, b) => Number(b.current) - Number(a.current))
    await showPage(req, res, 'devices', { title: 'Your devices', devices })
  })

  router.post('/devices/sign-out-others', async (req, res) => {
    const ended = await sessions.revokeByUser(accountOf(res).id, { except: req.session.id })
    const text =
      ended === 0
        ? 'No other device was signed in.'
        : ended === 1
          ? 'The other device is signed out.'
          : `${ended} other devices are signed out.`
    req.session.flash = { tone: 'good', text }
    res.redirect(303, '/devices')
  })

  router.post('/devices/:id/sign-out', async (req, res) => {
    const { id } = req.params
    if (id === req.session.id) {
      await req.session.signOut()
      forgetPages(res)
      return res.redirect(303, '/signed-out')
    }
    // With `userId`, the id of somebody else's session is as good as an unknown one.
    const ended = await sessions.revoke(id, { userId: accountOf(res).id })
    req.session.flash = ended
      ? { tone: 'good', text: 'The device is signed out.' }
      : { tone: 'bad', text: 'That device was not signed in any more.' }
    res.redirect(303, '/devices')
  })

  return router
}
