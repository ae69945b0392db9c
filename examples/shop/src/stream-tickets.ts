import { createHmac, timingSafeEqual } from 'node:crypto'
import type { RequestHandler } from 'express'

/** Whose end a page wants to hear of. */
export interface Ticket {
  readonly sessionId: string
  readonly accountId: string
}

export interface StreamTickets {
  /** Gives the pages of who is signed in a ticket for this session. */
  issue(): RequestHandler
  write(ticket: Ticket): string
  /** `undefined` for what was never issued here. */
  read(text: unknown): Ticket | undefined
}

/**
 * A page asks for its stream by a ticket and not by its cookie: a request with the cookie counts as use, and a page that
 * was left open would keep its session alive for ever. A ticket opens nothing else, and is of no use once the session
 * has ended.
 */
export function streamTickets(secrets: readonly string[]): StreamTickets {
  const keys = secrets.map((secret) => createHmac('sha256', secret).update('shop stream').digest())

  function write({ sessionId, accountId }: Ticket): string {
    return seal(keys[0]!, `${sessionId}.${accountId}`)
  }

  return {
    issue() {
      return function issueTicket(req, res, next) {
        const accountId = res.locals.account?.id
        if (accountId) res.locals.ticket = () => write({ sessionId: req.session.id, accountId })
        next()
      }
    },
    write,
    read(text) {
      if (typeof text !== 'string' || text.length > 200) return undefined
      const [sessionId = '', accountId = ''] = text.split('.')
      const isOurs = keys.some((key) => isEqual(text, seal(key, `${sessionId}.${accountId}`)))
      return isOurs ? { sessionId, accountId } : undefined
    },
  }
}

function seal(key: Buffer, text: string): string {
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

function isEqual(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}
