import { Router } from 'express'
import { COUNTRIES } from '../checkout.js'
import { httpError } from '../errors.js'
import { type Orders, orderNumber } from '../orders.js'
import { accountOf, showPage, signedInOnly } from '../visitor.js'

export function orderHistory(orders: Orders): Router {
  const router = Router()
  router.use('/orders', signedInOnly())

  router.get('/orders', (req, res) =>
    showPage(req, res, 'orders', {
      title: 'Your orders',
      orders: orders.list(accountOf(res).id).map((order) => ({
        ...order,
        number: orderNumber(order),
        count: order.lines.reduce((sum, { quantity }) => sum + quantity, 0),
      })),
    }),
  )

  // Asked for by account and id: somebody else's order is one that does not exist.
  router.get('/orders/:id', async (req, res) => {
    const order = orders.find(accountOf(res).id, req.params.id)
    if (!order) throw httpError(404, 'No such order of this account.')
    await showPage(req, res, 'order', {
      title: `Order ${orderNumber(order)}`,
      order,
      country: COUNTRIES[order.address.country],
    })
  })

  return router
}
