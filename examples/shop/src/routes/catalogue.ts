import { Router } from 'express'
import { draw, drawShelf } from '../artwork.js'
import type { Orders } from '../orders.js'
import { findProduct, products } from '../products.js'
import { vessels } from '../vessels.js'
import { showPage } from '../visitor.js'

export function catalogue(orders: Orders): Router {
  const router = Router()

  router.get('/', (req, res) => showPage(req, res, 'home', { title: 'Stillware', products }))

  router.get('/products/:slug', async (req, res, next) => {
    const product = findProduct(req.params.slug)
    if (!product) return next()
    const others = products.filter((other) => other !== product).slice(0, 4)
    await showPage(req, res, 'product', {
      title: product.name,
      product,
      stock: orders.stock(product.slug),
      others,
    })
  })

  return router
}

/** Pictures are for everyone: mounted before the session, cached by anyone. */
export function artwork(): Router {
  const router = Router()
  const pictures = new Map(products.map(({ slug, vessel }) => [`${slug}.svg`, draw(vessel)]))
  pictures.set('shelf.svg', drawShelf(SHELF, { width: 1280, height: 440 }))

  router.get('/art/:name', (req, res, next) => {
    const picture = pictures.get(req.params.name)
    if (picture === undefined) return next()
    res.set('Cache-Control', 'public, max-age=86400').type('svg').send(picture)
  })

  return router
}

const SHELF = [
  { vessel: vessels.reeds, x: 150, scale: 1.1 },
  { vessel: vessels.mug, x: 333, scale: 0.7 },
  { vessel: vessels.moonJar, x: 560, scale: 1.12 },
  { vessel: vessels.cup, x: 764, scale: 0.68 },
  { vessel: vessels.teapot, x: 940, scale: 0.78 },
  { vessel: vessels.stem, x: 1160, scale: 1.06 },
]
