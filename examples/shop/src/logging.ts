import type { RequestHandler, Response } from 'express'
import { type Logger, pino } from 'pino'
import { pinoHttp } from 'pino-http'
import type { Sessions } from 'staykept'
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

/** When the session store stopped answering, why, and when it came back. */
export function logOutages(logger: Logger, sessions: Sessions): void {
  sessions.on('breaker', ({ state, error }) => {
    if (state === 'open') logger.error(`session store: ${textOf(error)}`)
    if (state === 'closed') logger.warn('session store: answers again')
  })
}

const MINUTE = 60_000

/** What its client says of the connections. It says so at every attempt: here the same is said once a minute. */
export function storeTrouble(logger: Logger): (error: unknown) => void {
  const said = new Map<string, number>()
  return function onTrouble(error) {
    const text = textOf(error)
    if (Date.now() - (said.get(text) ?? 0) < MINUTE) return
    if (said.size >= 100) said.clear()
    said.set(text, Date.now())
    logger.warn(`session store: ${text}`)
  }
}

function textOf(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: string; code?: string }
  // For a name with several addresses Node says why of each, and nothing of all.
  return message || code || String(error)
}

/** Should headers ever be added above, these stay out. */
const SECRETS = [
  'req.headers.cookie',
  'req.headers.authorization',
  'req.headers["x-csrf-token"]',
  'res.headers["set-cookie"]',
]
