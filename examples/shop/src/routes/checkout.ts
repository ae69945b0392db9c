import { randomUUID } from 'node:crypto'
import { type Request, type RequestHandler, type Response, Router } from 'express'
import { type Clock, isSessionError, type Session } from 'staykept'
import { cartLines, cartTotal } from '../cart.js'
import {
  type Checkout,
  COUNTRIES,
  DELIVERIES,
  draftOrder,
  fingerprint,
  isDelivery,
  openStep,
  readAddress,
  STEPS,
  type Step,
  withoutOrdered,
} from '../checkout.js'
import { field, type Problems } from '../forms.js'
import { type Order, type Orders, orderNumber } from '../orders.js'
import { accountOf, showPage, signedInOnly } from '../visitor.js'

/** Address, delivery, review. What was filled in lives in the session: see `checkout.ts`. */
export function checkout(orders: Orders, clock: Clock): Router {
  const router = Router()
  router.use('/checkout', signedInOnly())

  router.get('/checkout', (req, res) => res.redirect(303, stepPath(openStep(req.session))))

  router.get('/checkout/address', reached('address'), (req, res) => {
    const { id, name } = accountOf(res)
    // Who ordered before is not asked again.
    const known = req.session.checkout?.address ?? orders.list(id)[0]?.address ?? { name }
    return showStep(req, res, 'address', { form: known })
  })

  router.post('/checkout/address', reached('address'), async (req, res) => {
    const { typed, kept, problems } = readAddress(req.body)
    await fillIn(req.session, { address: kept })
    if (isGoingBack(req)) return res.redirect(303, '/cart')
    if (Object.keys(problems).length === 0) return res.redirect(303, '/checkout/delivery')
    res.status(422)
    await showStep(req, res, 'address', { form: typed, problems })
  })

  router.get('/checkout/delivery', reached('delivery'), (req, res) =>
    showStep(req, res, 'delivery', {}),
  )

  router.post('/checkout/delivery', reached('delivery'), async (req, res) => {
    const chosen = field(req.body, 'delivery')
    if (isDelivery(chosen)) await fillIn(req.session, { delivery: chosen })
    if (isGoingBack(req)) return res.redirect(303, '/checkout/address')
    if (isDelivery(chosen)) return res.redirect(303, '/checkout/review')
    res.status(422)
    const problems = { delivery: 'Choose how it should reach you.' }
    await showStep(req, res, 'delivery', { problems })
  })

  router.get('/checkout/review', reached('review'), (req, res) => {
    const draft = draftOrder(req.session)!
    const short = draft.lines.filter(({ slug, quantity }) => orders.stock(slug) < quantity)
    return showStep(req, res, 'review', {
      draft,
      shown: fingerprint(draft),
      country: COUNTRIES[draft.address.country],
      short: short.map(({ slug, name }) => ({ name, left: orders.stock(slug) })),
    })
  })

  // The order first, under the id that the session chose for it: again and again, it is placed once. Then the session.
  // The other way round (`take` the checkout, then place the order) a crash in between would lose the order; this way
  // round it leaves a checkout whose order is there, and `finishedCheckouts` clears that up at the next click.
  router.post('/checkout/review', async (req, res) => {
    const accountId = accountOf(res).id
    const id = field(req.body, 'order')
    if (orders.find(accountId, id)) return res.redirect(303, `/orders/${id}`)

    const draft = draftOrder(req.session)
    if (!draft) return res.redirect(303, stepPath(openStep(req.session)))
    if (draft.id !== id || fingerprint(draft) !== field(req.body, 'shown')) {
      const text = 'Something changed since you looked. Please look it over once more.'
      req.session.flash = { tone: 'bad', text }
      return res.redirect(303, '/checkout/review')
    }
    const order = orders.place(accountId, { ...draft, placedAt: clock.now() })
    if (!order) return res.redirect(303, '/checkout/review')
    await finish(req.session, order).catch((error: unknown) => {
      // The order stands, even if another tab signs out in this moment or the sessions' store fails.
      if (!isSessionError(error)) throw error
      req.log.warn({ err: error }, 'order placed, checkout not yet cleared')
    })
    res.redirect(303, `/orders/${id}`)
  })

  return router
}

/** Clears up after an order whose last request never came to its end. */
export function finishedCheckouts(orders: Orders): RequestHandler {
  return async function finishedCheckouts(req, res, next) {
    const { checkout } = req.session
    const order = checkout && res.locals.account && orders.find(accountOf(res).id, checkout.orderId)
    if (order) await finish(req.session, order)
    next()
  }
}

/** Of many requests for one order, one gets here first and says thank you. */
async function finish(session: Session, order: Order): Promise<void> {
  await session.update((data) => {
    if (data.checkout?.orderId !== order.id) return
    delete data.checkout
    data.cart = withoutOrdered(data.cart, order)
    data.flash = { tone: 'good', text: `Thank you. Order ${orderNumber(order)} is placed.` }
  })
}

/** Exact on the newest data, so two tabs on two steps lose nothing of each other. */
async function fillIn(session: Session, filled: Partial<Checkout>): Promise<void> {
  const orderId = randomUUID()
  await session.update((data) => {
    data.checkout = { orderId, address: {}, ...data.checkout, ...filled }
  })
}

/** Sends who skips a step to the first one that is missing. */
function reached(step: Step): RequestHandler {
  return function reached(req, res, next) {
    const open = openStep(req.session)
    if (open && STEPS.indexOf(step) <= STEPS.indexOf(open)) next()
    else res.redirect(303, stepPath(open))
  }
}

function stepPath(step: Step | undefined): string {
  return step ? `/checkout/${step}` : '/cart'
}

/** "Back" is a button of the form, so it keeps what was filled in. */
function isGoingBack(req: Request): boolean {
  return field(req.body, 'go') === 'back'
}

const TITLES: Readonly<Record<Step, string>> = {
  address: 'Where to?',
  delivery: 'How should it travel?',
  review: 'All as it should be?',
}

async function showStep(
  req: Request,
  res: Response,
  step: Step,
  locals: Record<string, unknown> & { problems?: Problems },
): Promise<void> {
  const { cart, checkout } = req.session
  const open = openStep(req.session)!
  await showPage(req, res, `checkout-${step}`, {
    title: TITLES[step],
    step,
    steps: STEPS.map((name) => ({ name, isOpen: STEPS.indexOf(name) <= STEPS.indexOf(open) })),
    countries: COUNTRIES,
    deliveries: DELIVERIES,
    chosen: checkout?.delivery,
    lines: cartLines(cart),
    goods: cartTotal(cart),
    sessionId: req.session.id,
    problems: {},
    ...locals,
  })
}
