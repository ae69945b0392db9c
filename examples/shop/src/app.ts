import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'
import type { Clock, Sessions } from 'staykept'
import { openAccounts } from './accounts.js'
import { openAvatars } from './avatars.js'
import type { Config } from './config.js'
import { allowedOriginsOnly } from './cors.js'
import { formTokens, sameOriginOnly } from './csrf.js'
import { dateAndTime } from './dates.js'
import { openDatabase } from './db.js'
import { errorPage, notFound } from './errors.js'
import { securityHeaders } from './headers.js'
import { uploadLimit } from './limits.js'
import { logging, logOutages, openLog, storeTrouble } from './logging.js'
import { openOrders } from './orders.js'
import { price } from './products.js'
import { account } from './routes/account.js'
import { admin } from './routes/admin.js'
import { api } from './routes/api.js'
import { cart } from './routes/cart.js'
import { artwork, catalogue } from './routes/catalogue.js'
import { checkout, finishedCheckouts } from './routes/checkout.js'
import { devices } from './routes/devices.js'
import { events } from './routes/events.js'
import { health } from './routes/health.js'
import { orderHistory } from './routes/orders.js'
import { password } from './routes/password.js'
import { profile } from './routes/profile.js'
import { type NearCache, openSessions } from './sessions.js'
import { streamTickets } from './stream-tickets.js'
import { openStreams } from './streams.js'
import { receivePicture } from './uploads.js'
import { signedInOnly, visitor } from './visitor.js'

export interface Shop {
  readonly app: Express
  readonly sessions: Sessions
  readonly nearCache: NearCache
  /** Whether this process hears what others change in the store. */
  readonly hasFeed: boolean
  /** Says "not ready" from now on, and lets go of the pages that listen. */
  drain(): void
  /** Lets go of the databases, also where one does not answer. */
  close(): Promise<void>
}

/** The whole shop, without a port. The order of the lines below is the order in which a request meets them. */
export async function openShop(config: Config, clock: Clock = Date): Promise<Shop> {
  const log = openLog(config)
  const db = openDatabase(join(config.dataDir, 'shop.db'))
  const accounts = openAccounts(db, { demo: config.demoAccount })
  const avatars = openAvatars(db)
  const orders = openOrders(db)
  const opened = await openSessions(config, clock, storeTrouble(log))
  const { sessions, nearCache, hasFeed } = opened
  logOutages(log, sessions)
  const tokens = formTokens(config.secrets)
  const tickets = streamTickets(config.secrets)
  // Without a feed, what other processes end is found out by asking.
  const recheckAfter = hasFeed ? 5 * 60_000 : 30_000
  const streams = openStreams({ sessions, clock, recheckAfter })
  let draining = false

  const app = express()
  app.set('views', join(import.meta.dirname, '../views'))
  app.set('view engine', 'ejs')
  app.set('view cache', config.production)
  app.set('trust proxy', config.trustProxy)
  // Each page has a nonce of its own, so no two are the same.
  app.set('etag', false)
  Object.assign(app.locals, { dateAndTime, price })

  app.use(logging(log))
  app.use(securityHeaders())
  app.use(express.static(join(import.meta.dirname, '../public'), { maxAge: '1h', redirect: false }))
  app.use('/fonts', fonts('figtree'), fonts('fraunces'))
  app.use(artwork())
  app.use(health({ db, sessions, draining: () => draining }))
  app.use(events(streams, tickets))

  app.use('/api', allowedOriginsOnly(config.allowedOrigins))
  app.use(sameOriginOnly(config.allowedOrigins))
  app.use(sessions)
  // What a near cache shows may be a moment old. Where that would be too much, the store is asked.
  app.use(['/admin', '/checkout/review', '/confirm', '/password', '/sign-in'], sessions.fresh)
  app.use(visitor(accounts))
  app.use(tokens.issue())
  app.use(tickets.issue())
  app.use('/api', express.json({ limit: '20kb' }))
  app.use(express.urlencoded({ extended: false, limit: '20kb', parameterLimit: 50 }))
  app.post('/profile/avatar', signedInOnly(), uploadLimit(), receivePicture('avatar'))
  app.use(tokens.demand())

  app.use(finishedCheckouts(orders))
  app.use(catalogue(orders))
  app.use(cart(orders))
  app.use(checkout(orders, clock))
  app.use(orderHistory(orders))
  app.use(account(accounts, avatars, orders, sessions))
  app.use(password(accounts, sessions, clock))
  app.use(profile(accounts, avatars))
  app.use(devices(sessions))
  app.use(admin(accounts, sessions, clock))
  app.use('/api', api(accounts, sessions))

  app.use(notFound())
  app.use(errorPage())

  return {
    app,
    sessions,
    nearCache,
    hasFeed,
    drain() {
      draining = true
      streams.close()
    },
    async close() {
      streams.close()
      await opened.close()
      db.close()
    },
  }
}

/** Two open typefaces from npm: nothing is fetched from anyone else. */
function fonts(family: 'figtree' | 'fraunces'): express.RequestHandler {
  const found = import.meta.resolve(`@fontsource-variable/${family}/package.json`)
  return express.static(join(dirname(fileURLToPath(found)), 'files'), {
    maxAge: '365d',
    immutable: true,
    redirect: false,
  })
}
