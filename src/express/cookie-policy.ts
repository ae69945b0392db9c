import type { IncomingMessage } from 'node:http'
import { SessionError } from '../core/errors.js'
import type { SessionWarningCode } from '../core/warnings.js'
import { type CookieWriter, createCookieWriter, readCookie } from './cookie-header.js'
import type { ResolvedOptions } from './options.js'
import { forwardedProto, isLoopback, isSecureRequest } from './request.js'

/** Which cookie a request reads and a response may set. */
export interface CookiePolicy {
  /** The values of our cookie in this request. */
  read(req: IncomingMessage): readonly string[]
  nameFor(req: IncomingMessage): string
  writerFor(req: IncomingMessage): CookieWriter
  /** Throws where the browser would drop the cookie: before a session is stored that nobody could reach. */
  assertAccepted(req: IncomingMessage): void
}

type Warn = (code: SessionWarningCode, message: () => string) => void

export function createCookiePolicy(
  { cookie, proxy }: Pick<ResolvedOptions, 'cookie' | 'proxy'>,
  warn: Warn,
): CookiePolicy {
  const { attributes, secureName, insecureName } = cookie
  const { secure } = attributes
  const secureWriter = createCookieWriter(secureName, attributes, true)
  const insecureWriter = createCookieWriter(insecureName, attributes, false)

  function isSecure(req: IncomingMessage): boolean {
    return secure === 'auto' ? isSecureRequest(req, proxy) : secure
  }

  return {
    read(req) {
      // A mocked request may come without headers.
      const header = req.headers?.cookie
      // The insecure name is part of the secure one wherever they differ: one look is enough for strangers.
      if (header === undefined || !header.includes(insecureName)) return readCookie(undefined, '')
      if (isSecure(req)) return readCookie(header, secureName)
      // A browser keeps a cookie of this name from HTTPS only: it came over HTTPS, and we were not told.
      if (secureName !== insecureName && readCookie(header, secureName).length > 0) {
        warn('WARN_SESSION_TRUST_PROXY', () => `The browser sent ${secureName}. ${PROXY_HINT}`)
      }
      return readCookie(header, insecureName)
    },
    nameFor: (req) => (isSecure(req) ? secureName : insecureName),
    writerFor: (req) => (isSecure(req) ? secureWriter : insecureWriter),
    assertAccepted(req) {
      if (isSecureRequest(req, proxy)) return
      if (secure === true) {
        if (!isLoopback(req)) throw insecure(req)
        warn(
          'WARN_SESSION_INSECURE_LOCALHOST',
          () =>
            'cookie.secure is true and this request came without HTTPS. Browsers accept that from localhost only; elsewhere the request would fail.',
        )
      } else if (forwardedProto(req) === 'https' && proxy === undefined) {
        warn(
          'WARN_SESSION_TRUST_PROXY',
          () => `${PROXY_HINT} Until then its cookies are not Secure.`,
        )
      }
    },
  }
}

const PROXY_HINT =
  "The browser came over HTTPS to a proxy in front, and the application does not know: app.set('trust proxy', 1) in Express, or the option proxy: true, also for the upgrades of WebSockets."

function insecure(req: IncomingMessage): SessionError {
  const hint =
    forwardedProto(req) === 'https'
      ? PROXY_HINT
      : "Serve it over HTTPS; behind a proxy that does, set app.set('trust proxy', 1) and let the proxy send X-Forwarded-Proto."
  return new SessionError(
    'ERR_SESSION_INSECURE',
    `cookie.secure is true and this request came without HTTPS, so the browser would drop the cookie; nothing was stored. ${hint}`,
  )
}
