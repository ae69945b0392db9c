import type { ServerResponse } from 'node:http'
import { isSessionError } from '../core/errors.js'
import { isHttp2 } from './curtain.js'

/** Express's `next`, or any function that is told of an error. */
export type Next = (error?: unknown) => void

/** How long the application may take to answer an error before we do, in milliseconds. */
const ANSWER_WITHIN = 1000

/**
 * The store failed before the handler ran. A `next` that takes no argument would run the handler as if nothing had
 * happened.
 */
export function refuse(error: unknown, res: ServerResponse, next: Next | undefined): void {
  // Instrumentation such as OpenTelemetry wraps Express's `next` in a function without parameters.
  const isExpress = typeof (res.req as { next?: unknown } | undefined)?.next === 'function'
  if (next === undefined || (next.length === 0 && !isExpress)) {
    answerError(error, res)
    return
  }
  prepareError(error, res)
  try {
    next(error)
  } catch {
    answerError(error, res)
  }
}

/**
 * The commit failed after the handler was done. Who answers is the same; but where `next` only settles a promise, that
 * was settled long ago and nobody hears of the error.
 */
export function replaceAnswer(error: unknown, res: ServerResponse, next: Next | undefined): void {
  refuse(error, res, next)
  if (res.headersSent || res.writableEnded) return
  const timer = setTimeout(() => answerError(error, res), ANSWER_WITHIN)
  timer.unref()
  res.once?.('close', () => clearTimeout(timer))
}

/** Sets status and headers for an error, so that even an error handler that looks at neither answers right. */
function prepareError(error: unknown, res: ServerResponse): void {
  if (res.headersSent) return
  res.statusCode = isSessionError(error) ? error.status : 500
  // The handler's own words for its status are not words for this one.
  if (!isHttp2(res)) res.statusMessage = ''
  if (!isSessionError(error)) return
  for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value)
}

/** An error page of the application's own may know the status of an error, and seldom its headers. */
export function askToRetry(res: ServerResponse): void {
  if (res.headersSent || res.hasHeader?.('Retry-After') !== false) return
  res.setHeader('Retry-After', '1')
}

/** The answer where nobody else gives one. It says nothing about us (ASVS 16.5.1). */
function answerError(error: unknown, res: ServerResponse): void {
  if (res.headersSent || res.writableEnded) return
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

/**
 * A handler that goes on with its answer must not get into the error page, nor crash the process by writing after its
 * end. Whoever answers at once is let through, and whoever says what it is that he writes.
 */
export function keepOut(res: ServerResponse, hasEnded: boolean): () => void {
  const { write, end } = res as unknown as Record<'write' | 'end', AnyMethod>
  let isAnswering = true

  function mayWrite(): boolean {
    return isAnswering || hasEnded || res.headersSent || res.hasHeader?.('content-type')
  }

  Object.assign(res, {
    write: (...args: unknown[]) => !res.writableEnded && mayWrite() && write.apply(res, args),
    end: (...args: unknown[]) => (res.writableEnded ? res : end.apply(res, args)),
  })
  return function letIn() {
    isAnswering = false
  }
}

type AnyMethod = (this: unknown, ...args: unknown[]) => unknown

/** Ends a response without letting it look whole. */
export function cut(res: ServerResponse): void {
  if (isHttp2(res)) {
    const { stream } = res as unknown as { stream: { close(code: number): void } | undefined }
    stream?.close(INTERNAL_ERROR)
  } else {
    res.destroy?.()
  }
}

/** RFC 9113 §7. */
const INTERNAL_ERROR = 2
