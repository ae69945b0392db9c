import type { RequestHandler, Response } from 'express'
import { type Logger, pino } from 'pino'
import { pinoHttp } from 'pino-http'
import type { Config } from './config.js'

export function openLog({ logLevel }: Config): Logger {
  return pino({ level: logLevel, redact: SECRETS })
}

/** A line for each request. What is written down must open nothing: neither headers nor the query are. */
export function logging(logger: Logger): RequestHandler {
  return pinoHttp({
    logger,
    customLogLevel: (_req, res, error) => (error || res.statusCode >= 500 ? 'error' : 'info'),
    serializers: {
      req: ({ id, method, url }) => ({ id, method, path: String(url).split('?')[0] }),
      res: ({ statusCode }) => ({ statusCode }),
    },
    customProps: (_req, res) => ({ account: (res as Response).locals?.account?.id }),
  })
}

const MINUTE = 60_000

/** What is wrong with the connections to the session store. Clients say the same at every attempt: here it is said once a minute. */
export function storeTrouble(logger: Logger): (error: unknown) => void {
  const said = new Map<string, number>()
  return function onTrouble(error) {
    const { message, code } = (error ?? {}) as { message?: string; code?: string }
    // For a name with several addresses Node says why of each, and nothing of all.
    const text = message || code || String(error)
    if (Date.now() - (said.get(text) ?? 0) < MINUTE) return
    if (said.size >= 100) said.clear()
    said.set(text, Date.now())
    logger.warn(`session store: ${text}`)
  }
}

/** Should headers ever be added above, these stay out. */
const SECRETS = [
  'req.headers.cookie',
  'req.headers.authorization',
  'req.headers["x-csrf-token"]',
  'res.headers["set-cookie"]',
]
