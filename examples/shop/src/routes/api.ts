import { Router } from 'express'
import type { Sessions } from 'staykept'
import type { Accounts } from '../accounts.js'
import { cartLines, cartTotal, MAX_PER_LINE, withAdded } from '../cart.js'
import { deviceName } from '../devices.js'
import { httpError } from '../errors.js'
import { field, nameProblem, wholeNumber } from '../forms.js'
import { findProduct, products } from '../products.js'
import { accountOf, adminOnly, signedInOnly } from '../visitor.js'

/** The same sessions, spoken to in JSON. */
export function api(accounts: Accounts, sessions: Sessions): Router {
  const router = Router()

  router.get('/products', (_req, res) => {
    res.json({ products: products.map(({ vessel: _, ...product }) => product) })
  })

  router.get('/cart', (req, res) => {
    res.json(summary(req.session.cart))
  })

  router.post('/cart', async (req, res) => {
    const product = findProduct(field(req.body, 'product'))
    const quantity = wholeNumber(req.body, 'quantity', 1)
    if (!product || !(quantity >= 1 && quantity <= MAX_PER_LINE)) {
      throw httpError(400, 'No such product, or no such quantity.')
    }
    const cart = await req.session.update((data) => {
      data.cart = withAdded(data.cart, product.slug, quantity)
      return data.cart
    })
    res.status(201).json(summary(cart))
  })

  router.get('/me', signedInOnly(), (_req, res) => {
    const { name, email, role } = accountOf(res)
    res.json({ name, email, role, csrf: res.locals.csrf?.() })
  })

  // Takes the name and nothing else, whatever the body brings along.
  router.patch('/me', signedInOnly(), (req, res) => {
    const name = field(req.body, 'name')
    const problem = nameProblem(name)
    if (problem)
      throw httpError(422, 'No such name.', { text: { title: 'Not stored', text: problem } })
    accounts.rename(accountOf(res).id, name)
    res.json({ name })
  })

  router.get('/devices', signedInOnly(), async (req, res) => {
    const devices = await sessions.listByUser(accountOf(res).id, { current: req.session.id })
    res.json({
      devices: devices.map(({ id, current, userAgent, createdAt, lastSeenAt }) => ({
        id,
        current,
        name: deviceName(userAgent),
        firstSeenAt: createdAt,
        lastSeenAt,
      })),
    })
  })

  router.delete('/devices/:id', signedInOnly(), async (req, res) => {
    const ended = await sessions.revoke(String(req.params.id), { userId: accountOf(res).id })
    if (!ended) throw httpError(404, 'No such device of this account.')
    res.status(204).end()
  })

  router.get('/admin/accounts', ...adminOnly(), async (req, res) => {
    const found = accounts.search(field(req.query, 'search').slice(0, 254))
    const listed = found.map(async ({ id, name, email, role }) => {
      const { length } = await sessions.listByUser(id)
      return { id, name, email, role, sessions: length }
    })
    res.json({ accounts: await Promise.all(listed) })
  })

  router.delete('/admin/accounts/:id/sessions', ...adminOnly(), async (req, res) => {
    const account = accounts.find(String(req.params.id))
    if (!account) throw httpError(404, 'No such account.')
    const ended = await sessions.revokeByUser(account.id, { except: req.session.id })
    res.json({ ended })
  })

  return router
}

function summary(cart: Parameters<typeof cartLines>[0]): unknown {
  return {
    lines: cartLines(cart).map(({ product, quantity, total }) => ({
      product: product.slug,
      name: product.name,
      quantity,
      total,
    })),
    total: cartTotal(cart),
  }
}
