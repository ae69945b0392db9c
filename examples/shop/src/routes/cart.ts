import { type Request, Router } from 'express'
import { cartLines, cartTotal, MAX_PER_LINE, withAdded, withQuantity } from '../cart.js'
import { httpError } from '../errors.js'
import { field, wholeNumber } from '../forms.js'
import type { Orders } from '../orders.js'
import { findProduct } from '../products.js'
import { showPage } from '../visitor.js'

export function cart(orders: Orders): Router {
  const router = Router()

  router.get('/cart', (req, res) => {
    const { cart } = req.session
    return showPage(req, res, 'cart', {
      title: 'Your cart',
      lines: cartLines(cart).map((line) => ({ ...line, stock: orders.stock(line.product.slug) })),
      total: cartTotal(cart),
      max: MAX_PER_LINE,
    })
  })

  // `update` runs on the newest data, so two tabs that add at once both count.
  router.post('/cart', async (req, res) => {
    const product = findProduct(field(req.body, 'product'))
    const quantity = wholeNumber(req.body, 'quantity', 1)
    if (!product || !(quantity >= 1 && quantity <= MAX_PER_LINE)) {
      throw httpError(400, 'No such product, or no such quantity.')
    }
    await req.session.update((data) => {
      data.cart = withAdded(data.cart, product.slug, quantity)
      data.flash = { tone: 'good', text: `${product.name} is in your cart.` }
    })
    res.redirect(303, '/cart')
  })

  router.post('/cart/:slug', async (req, res) => {
    await setQuantity(req, req.params.slug, wholeNumber(req.body, 'quantity'))
    res.redirect(303, '/cart')
  })

  router.post('/cart/:slug/remove', async (req, res) => {
    await setQuantity(req, req.params.slug, 0)
    res.redirect(303, '/cart')
  })

  return router
}

async function setQuantity({ session }: Request, slug: string, quantity: number): Promise<void> {
  const product = findProduct(slug)
  if (!product || Number.isNaN(quantity)) throw httpError(400, 'No such product or quantity.')
  // A cart that is not there must not be made by taking something out of it.
  if (!session.cart) return
  await session.update((data) => {
    data.cart = withQuantity(data.cart, slug, quantity)
    if (quantity === 0) data.flash = { tone: 'good', text: `${product.name} was taken out.` }
  })
}
