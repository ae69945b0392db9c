import type { IncomingMessage } from 'node:http'
import type { Device } from '../core/record.js'
import type { Session } from '../core/session.js'

declare module 'http' {
  interface IncomingMessage {
    /** The session of this request; there wherever `session()` is mounted. */
    get session(): Session
    /** `req.session = null` ends the session. */
    set session(value: Session | null)
  }
}

/** What Express adds to a request, as far as it is there. */
interface ExpressRequest extends IncomingMessage {
  readonly secure?: unknown
  readonly ip?: unknown
  readonly originalUrl?: unknown
}

/**
 * Whether the browser reached us over HTTPS: by the connection, by what Express makes of its `trust proxy` setting, or,
 * with `proxy: true`, by X-Forwarded-Proto. Never by a header that nobody vouches for (ASVS 15.3.4).
 */
export function isSecureRequest(req: IncomingMessage, proxy: boolean | undefined): boolean {
  if (isEncrypted(req)) return true
  if (proxy === true) return forwardedProto(req) === 'https'
  if (proxy === false) return false
  return (req as ExpressRequest).secure === true
}

/** A proxy says that the browser came over HTTPS. Good for a hint, not to be believed. */
export function forwardedProto(req: IncomingMessage): string | undefined {
  const header = req.headers['x-forwarded-proto']
  const first = (Array.isArray(header) ? header[0] : header)?.split(',', 1)[0]
  return first?.trim().toLowerCase()
}

/** Whether the browser is on this very machine, where it takes Secure cookies without HTTPS. */
export function isLoopback(req: IncomingMessage): boolean {
  const host = (hostOf(req) ?? '').replace(/:\d+$/, '').toLowerCase()
  return (
    forwardedProto(req) === undefined &&
    (host === 'localhost' ||
      host.endsWith('.localhost') ||
      host === '[::1]' ||
      /^127(?:\.\d{1,3}){3}$/.test(host))
  )
}

/** HTTP/2 has a field of its own for it. */
export function hostOf(req: IncomingMessage): string | undefined {
  const authority = req.headers[':authority']
  return typeof authority === 'string' ? authority : req.headers.host
}

/** The path that the browser asked for, also below a mounted router. */
export function pathOf(req: IncomingMessage): string {
  const { originalUrl } = req as ExpressRequest
  const url = typeof originalUrl === 'string' ? originalUrl : (req.url ?? '/')
  const path = url.startsWith('/') ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '')
  return path.split(/[?#]/, 1)[0] || '/'
}

/** A page that the user went to, not a call of a script or an image. */
export function isNavigation(req: IncomingMessage): boolean {
  if (req.method !== 'GET') return false
  const mode = req.headers['sec-fetch-mode']
  if (mode !== undefined) return mode === 'navigate'
  return req.headers.accept?.includes('text/html') === true
}

const LONGEST_TEXT = 256

export function deviceOf(req: IncomingMessage): Device {
  const { ip } = req as ExpressRequest
  const address = typeof ip === 'string' ? ip : req.socket?.remoteAddress
  return {
    userAgent: req.headers['user-agent']?.slice(0, LONGEST_TEXT),
    ip: address?.slice(0, LONGEST_TEXT),
  }
}

function isEncrypted(req: IncomingMessage): boolean {
  return (req.socket as { encrypted?: unknown } | undefined)?.encrypted === true
}
