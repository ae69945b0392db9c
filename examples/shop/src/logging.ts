import type { RequestHandler, Response } from 'express'
import { pino } from 'pino'
import { pinoHttp } from 'pino-http'
import type { Config } from './config.js'

/** A line for each request. What is written down must open nothing: neither headers nor the query are. */
export function logging({ logLevel }: Config): RequestHandler {
  return pinoHttp({
    logger: pino({ level: logLevel, redact: SECRETS }),
    customLogLevel: (_req, res, error) => (error || res.statusCode >= 500 ? 'error' : 'info'),
    serializers: {
      req: ({ id, method, url }) => ({ id, method, path: String(url).split('?')[0] }),
      res: ({ statusCode }) => ({ statusCode }),
    },
    customProps: (_req, res) => ({ account: (res as Response).locals?.account?.id }),
  })
}

/** Should headers ever be added above, these stay out. */
const SECRETS = [
  'req.headers.cookie',
  'req.headers.authorization',
  'req.headers["x-csrf-token"]',
  'res.headers["set-cookie"]',
]
