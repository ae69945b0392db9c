import { type Request, Router } from 'express'
import type { Clock, Sessions } from 'staykept'
import { type Account, type Accounts, type Role, SEARCH_LIMIT } from '../accounts.js'
import { ago } from '../dates.js'
import { deviceKind, deviceName } from '../devices.js'
import { httpError } from '../errors.js'
import { field } from '../forms.js'
import { accountOf, adminOnly, freshSignInOnly, showPage } from '../visitor.js'

/** Who is signed in, and getting them out. */
export function admin(accounts: Accounts, sessions: Sessions, clock: Clock): Router {
  const router = Router()
  router.use('/admin', ...adminOnly())

  router.get('/admin', async (req, res) => {
    const search = field(req.query, 'search').slice(0, 254)
    const found = await Promise.all(
      accounts.search(search).map(async (account) => {
        const [latest, ...more] = await sessions.listByUser(account.id)
        return {
          ...account,
          sessions: latest ? 1 + more.length : 0,
          lastSeen: latest && ago(latest.lastSeenAt),
        }
      }),
    )
    await showPage(req, res, 'admin', {
      title: 'Accounts',
      search,
      found,
      isCut: found.length === SEARCH_LIMIT,
    })
  })

  router.get('/admin/accounts/:id', async (req, res) => {
    const who = target(req)
    const found = await sessions.listByUser(who.id, { current: req.session.id })
    await showPage(req, res, 'admin-account', {
      title: who.name,
      who,
      isSelf: who.id === accountOf(res).id,
      devices: found.map((device) => ({
        id: device.id,
        current: device.current,
        name: deviceName(device.userAgent),
        kind: deviceKind(device.userAgent),
        firstSeen: device.createdAt,
        lastSeen: device.current ? 'now' : ago(device.lastSeenAt),
      })),
    })
  })

  router.post('/admin/accounts/:id/sign-out', async (req, res) => {
    const who = target(req)
    const ended = await sessions.revokeByUser(who.id, { except: req.session.id })
    req.session.flash = {
      tone: 'good',
      text: `${who.name}: ${ended === 1 ? 'one device is' : `${ended} devices are`} signed out.`,
    }
    res.redirect(303, `/admin/accounts/${who.id}`)
  })

  router.post('/admin/accounts/:id/devices/:device/sign-out', async (req, res) => {
    const who = target(req)
    const ended = await sessions.revoke(String(req.params.device), { userId: who.id })
    req.session.flash = ended
      ? { tone: 'good', text: 'The device is signed out.' }
      : { tone: 'bad', text: 'That device was not signed in any more.' }
    res.redirect(303, `/admin/accounts/${who.id}`)
  })

  router.post('/admin/accounts/:id/role', freshSignInOnly(clock), async (req, res) => {
    const who = target(req)
    const role = field(req.body, 'role')
    if (!isRole(role)) throw httpError(400, 'No such role.')
    if (who.id === accountOf(res).id) throw httpError(400, 'Nobody changes their own role.')
    accounts.setRole(who.id, role)
    // Other rights, another cookie (OWASP ASVS 7.2.4): whoever has an old one signs in again.
    await sessions.revokeByUser(who.id)
    req.session.flash = {
      tone: 'good',
      text: `${who.name} is ${role === 'admin' ? 'an admin' : 'a customer'} from the next sign-in on.`,
    }
    res.redirect(303, `/admin/accounts/${who.id}`)
  })

  function target(req: Request): Account {
    const account = accounts.find(String(req.params.id))
    if (!account) throw httpError(404, 'No such account.')
    return account
  }

  return router
}

function isRole(text: string): text is Role {
  return text === 'customer' || text === 'admin'
}
