import { Router } from 'express'
import type { Sessions } from 'staykept'
import { cartLines, cartTotal, MAX_PER_LINE, withAdded } from '../cart.js'
import { deviceName } from '../devices.js'
import { httpError } from '../errors.js'
import { field, wholeNumber } from '../forms.js'
import { findProduct, products } from '../products.js'
import { accountOf, signedInOnly } from '../visitor.js'

/** The same sessions, spoken to in JSON. */
export function api(sessions: Sessions): Router {
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
    const { name, email } = accountOf(res)
    res.json({ name, email, csrf: res.locals.csrf?.() })
  })

  router.get('/devices', signedInOnly(), async (req, res) => {
    const devices = await sessions.listByUser(accountOf(res).id, { current: req.session.id })
    res.json({
      devices: devices.map(({ id, current, userAgent, signedInAt, lastSeenAt }) => ({
        id,
        current,
        name: deviceName(userAgent),
        signedInAt,
        lastSeenAt,
      })),
    })
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
