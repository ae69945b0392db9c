import type { ServerResponse } from 'node:http'
import { isSessionError } from '../core/errors.js'

/** Sets status and headers for an error, so that even an error handler that looks at neither answers right. */
export function prepareError(error: unknown, res: ServerResponse): void {
  if (res.headersSent) return
  res.statusCode = isSessionError(error) ? error.status : 500
  if (!isSessionError(error)) return
  for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value)
}

/** The answer where nobody else gives one. It says nothing about us (ASVS 16.5.1). */
export function answerError(error: unknown, res: ServerResponse): void {
  prepareError(error, res)
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  res.end(`${MESSAGES[res.statusCode] ?? 'Something went wrong.'}\n`)
}

const MESSAGES: Readonly<Record<number, string>> = {
  401: 'Your session has ended.',
  409: 'Something else changed at the same time. Please try again.',
  413: 'This is too much to remember.',
  503: 'Please try again in a moment.',
}
