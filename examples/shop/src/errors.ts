import type { ErrorRequestHandler, Request, RequestHandler } from 'express'
import { isSessionError } from 'staykept'
import { safeReturnPath, sameSitePath } from './return-path.js'

export interface HttpError extends Error {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** What the visitor reads, where the status alone says too little. */
  readonly text?: Text | undefined
}

export function httpError(
  status: number,
  message: string,
  { headers = {}, text }: Pick<HttpError, 'headers' | 'text'> = {},
): HttpError {
  return Object.assign(new Error(message), { status, headers, text })
}

/** What a visitor reads. The error's own message is for the log. */
const TEXTS: Readonly<Record<number, Text>> = {
  400: {
    title: 'That did not come through',
    text: 'Something in the request could not be read. Go back and try once more.',
  },
  401: { title: 'Please sign in', text: 'This page is for people who are signed in.' },
  403: {
    title: 'This page has gone stale',
    text: 'It was opened before your latest sign-in, or from somewhere else. Nothing was changed. Open it again and repeat what you did.',
  },
  404: { title: 'Nothing on this shelf', text: 'There is no page at this address.' },
  405: { title: 'Not like that', text: 'This address takes no such request.' },
  409: {
    title: 'Two things at once',
    text: 'Something else happened to your session at the same moment. Nothing was changed. Open the page again and repeat what you did.',
  },
  413: { title: 'That is too much', text: 'The request was larger than this shop accepts.' },
  429: {
    title: 'A short pause, please',
    text: 'There were many attempts in a short time. Wait a few minutes, then try again.',
  },
  500: {
    title: 'A crack in the glaze',
    text: 'Something broke on our side. It was written down, and we will look at it.',
  },
  503: {
    title: 'Back in a moment',
    text: 'Part of the shop does not answer just now. Nobody was signed out, and your cart is safe. Try again in a few seconds.',
  },
}

export interface Text {
  readonly title: string
  readonly text: string
}

const ENDED: Text = {
  title: 'You have been signed out',
  text: 'This device was signed out while the page was open. Nothing was changed.',
}

export function notFound(): RequestHandler {
  return function notFound(_req, _res, next) {
    next(httpError(404, 'There is no such page.'))
  }
}

/** Every failure ends here, as a page or as JSON, by what was asked for. */
export function errorPage(): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return function errorPage(error, req, res, next) {
    if (res.headersSent) return next(error)
    const status = statusOf(error)
    // For the log line of this request.
    if (status >= 500) res.err = error
    const ended = isSessionError(error, 'ERR_SESSION_ENDED')
    if (ended) delete res.locals.account
    const own = (error as Partial<HttpError> | undefined)?.text
    const text = ended ? ENDED : (own ?? TEXTS[status] ?? TEXTS[status < 500 ? 400 : 500]!)

    res.status(status).set('Cache-Control', 'no-store')
    if (error instanceof Error && 'headers' in error) res.set(error.headers)
    if (wantsJson(req)) {
      res.json({ error: { status, title: text.title, detail: text.text } })
    } else {
      const locals = { ...text, status, back: wayBack(req, status) }
      res.render('error', locals, (broken: Error | null, page: string) => {
        if (broken) res.err = broken
        res.type(broken ? 'text' : 'html').send(broken ? `${text.title}\n\n${text.text}\n` : page)
      })
    }
  }
}

/** Where trying again makes sense; otherwise undefined, for the front page. */
function wayBack(req: Request, status: number): string | undefined {
  if (req.method === 'GET') return status === 503 ? safeReturnPath(req.originalUrl, '/') : undefined
  return sameSitePath(req.get('referer'), `${req.protocol}://${req.host}`)
}

export function wantsJson(req: Request): boolean {
  return req.originalUrl.startsWith('/api/') || req.accepts(['html', 'json']) === 'json'
}

function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | undefined)?.status
  return typeof status === 'number' && status >= 400 && status <= 599 ? status : 500
}
