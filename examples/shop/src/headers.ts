import { randomBytes } from 'node:crypto'
import type { RequestHandler, Response } from 'express'
import helmet from 'helmet'

/**
 * Headers for every answer (OWASP ASVS 3.4). Scripts and style sheets need the nonce of their page: what somebody
 * smuggles into one does not have it, and a file of this site alone is not let in either.
 */
export function securityHeaders(): RequestHandler[] {
  return [
    function nonce(_req, res, next) {
      res.locals.nonce = randomBytes(16).toString('base64')
      next()
    },
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: [withNonce],
          styleSrc: [withNonce],
          imgSrc: ["'self'"],
          fontSrc: ["'self'"],
          connectSrc: ["'self'"],
          formAction: ["'self'"],
          frameAncestors: ["'none'"],
          objectSrc: ["'none'"],
          baseUri: ["'none'"],
        },
      },
      xFrameOptions: { action: 'deny' },
      // With helmet's `no-referrer` browsers send `Origin: null` even to this site, and the check of it would fail.
      referrerPolicy: { policy: 'same-origin' },
    }),
  ]
}

function withNonce(_req: unknown, res: unknown): string {
  return `'nonce-${(res as Response).locals.nonce}'`
}
