import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'
import helmet from 'helmet'
import { pino } from 'pino'
import { pinoHttp } from 'pino-http'
import type { Sessions } from 'staykept'
import { openAccounts } from './accounts.js'
import type { Config } from './config.js'
import { csrfToken, sameOriginOnly } from './csrf.js'
import { dateAndTime } from './dates.js'
import { openDatabase } from './db.js'
import { errorPage, notFound } from './errors.js'
import { price } from './products.js'
import { account } from './routes/account.js'
import { api } from './routes/api.js'
import { cart } from './routes/cart.js'
import { artwork, catalogue } from './routes/catalogue.js'
import { devices } from './routes/devices.js'
import { health } from './routes/health.js'
import { openSessions } from './sessions.js'
import { visitor } from './visitor.js'

export interface Shop {
  readonly app: Express
  readonly sessions: Sessions
  /** Says "not ready" from now on. */
  drain(): void
  /** Lets go of the databases. */
  close(): Promise<void>
}

/** The whole shop, without a port. The order of the lines below is the order in which a request meets them. */
export async function openShop(config: Config): Promise<Shop> {
  const db = openDatabase(join(config.dataDir, 'shop.db'))
  const accounts = await openAccounts(db, { demo: config.demoAccount })
  const sessions = openSessions(config)
  let draining = false

  const app = express()
  app.set('views', join(import.meta.dirname, '../views'))
  app.set('view engine', 'ejs')
  app.set('view cache', config.production)
  app.set('trust proxy', config.trustProxy)
  Object.assign(app.locals, { dateAndTime, price })

  app.use(logging(config))
  app.use(securityHeaders())
  app.use(express.static(join(import.meta.dirname, '../public'), { maxAge: '1h' }))
  app.use('/fonts', fonts('figtree'), fonts('fraunces'))
  app.use(artwork())
  app.use(health({ db, sessions, draining: () => draining }))

  app.use(sameOriginOnly())
  app.use(sessions)
  app.use(visitor(accounts))
  app.use('/api', express.json({ limit: '20kb' }))
  app.use(express.urlencoded({ extended: false, limit: '20kb', parameterLimit: 50 }))
  app.use(csrfToken(config.secrets))

  app.use(catalogue())
  app.use(cart())
  app.use(account(accounts, sessions))
  app.use(devices(sessions))
  app.use('/api', api(sessions))

  app.use(notFound())
  app.use(errorPage())

  return {
    app,
    sessions,
    drain() {
      draining = true
    },
    async close() {
      await sessions.close()
      db.close()
    },
  }
}

function logging({ logLevel }: Config): express.RequestHandler {
  return pinoHttp({
    logger: pino({ level: logLevel }),
    customLogLevel: (_req, res, error) => (error || res.statusCode >= 500 ? 'error' : 'info'),
    // No headers and no query: what is written down must open nothing.
    serializers: {
      req: ({ id, method, url }) => ({ id, method, path: String(url).split('?')[0] }),
      res: ({ statusCode }) => ({ statusCode }),
    },
  })
}

function securityHeaders(): express.RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
      },
    },
    xFrameOptions: { action: 'deny' },
    // With helmet's `no-referrer` browsers send `Origin: null` even to this site, and the check of it would fail.
    referrerPolicy: { policy: 'same-origin' },
  })
}

/** Two open typefaces from npm: nothing is fetched from anyone else. */
function fonts(family: 'figtree' | 'fraunces'): express.RequestHandler {
  const found = import.meta.resolve(`@fontsource-variable/${family}/package.json`)
  return express.static(join(dirname(fileURLToPath(found)), 'files'), {
    maxAge: '365d',
    immutable: true,
  })
}
