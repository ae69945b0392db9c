import type { ServerResponse } from 'node:http'
import type { Clock, Sessions } from 'staykept'
import type { Ticket } from './stream-tickets.js'

/** Open pages that hear at once when their session ends, whichever process ended it. */
export interface Streams {
  /** Answers with a stream of events, or with a status that says why not. */
  open(ticket: Ticket, res: ServerResponse): Promise<void>
  /** When the session ends if nobody uses it any more; `undefined` where it has ended. Does not count as use. */
  deadlineOf(ticket: Ticket): Promise<number | undefined>
  /** Ends them all and opens no more: the browsers ask again, and meet another process. */
  close(): void
}

export interface StreamsOptions {
  readonly sessions: Sessions
  readonly clock: Clock
  /** Milliseconds after which the store is asked whether the session is still there, for ends that no event told of. */
  readonly recheckAfter: number
}

/** A browser needs one. Over HTTP/1.1 it has six connections, and some must stay free for pages. */
const MOST_PER_SESSION = 4
/** Proxies cut what is silent for a minute. */
const HEARTBEAT = 20_000
/** After a silence of the feed not all at once. */
const SPREAD = 2000

interface Stream {
  readonly ticket: Ticket
  readonly res: ServerResponse
  deadline: number
  timer?: NodeJS.Timeout
}

export function openStreams({ sessions, clock, recheckAfter }: StreamsOptions): Streams {
  const bySession = new Map<string, Set<Stream>>()
  let isClosed = false

  sessions.on('ended', ({ id, reason = 'unknown' }) => {
    for (const stream of bySession.get(id) ?? []) end(stream, reason)
  })
  // While the feed was silent, ends may have been missed.
  sessions.on('feed', ({ isAlive }) => {
    if (isAlive) for (const stream of all()) recheckIn(stream, Math.random() * SPREAD)
  })
  const heartbeat = setInterval(() => {
    for (const { res } of all()) if (res.headersSent) res.write(':\n\n')
  }, HEARTBEAT)
  heartbeat.unref()

  function all(): Stream[] {
    return [...bySession.values()].flatMap((streams) => [...streams])
  }

  function add(stream: Stream): boolean {
    const { sessionId } = stream.ticket
    const streams = bySession.get(sessionId) ?? new Set()
    if (streams.size >= MOST_PER_SESSION) return false
    bySession.set(sessionId, streams.add(stream))
    stream.res.once('close', () => {
      clearTimeout(stream.timer)
      streams.delete(stream)
      if (streams.size === 0) bySession.delete(sessionId)
    })
    return true
  }

  async function deadlineOf({ accountId, sessionId }: Ticket): Promise<number | undefined> {
    const found = await sessions.listByUser(accountId)
    return found.find(({ id }) => id === sessionId)?.expiresAt
  }

  function recheckIn(stream: Stream, milliseconds: number): void {
    clearTimeout(stream.timer)
    stream.timer = setTimeout(() => void recheck(stream), milliseconds)
    stream.timer.unref()
  }

  /** Again at the deadline, which other pages may have moved, and not later than `recheckAfter`. */
  function watch(stream: Stream, deadline: number): void {
    stream.deadline = deadline
    recheckIn(stream, Math.max(1000, Math.min(deadline - clock.now(), recheckAfter)))
  }

  async function recheck(stream: Stream): Promise<void> {
    const { ticket, res, deadline } = stream
    try {
      const next = await deadlineOf(ticket)
      if (res.closed || res.writableEnded) return
      if (next !== undefined) watch(stream, next)
      else end(stream, deadline <= clock.now() ? 'expired' : 'unknown')
    } catch {
      // The store does not answer: that is told by others, and signs nobody out.
      if (!res.closed && !res.writableEnded) recheckIn(stream, recheckAfter)
    }
  }

  return {
    deadlineOf,

    async open(ticket, res) {
      if (isClosed) return refuse(res, 503, 5)
      const stream: Stream = { ticket, res, deadline: 0 }
      // Before the store is asked: the session may end between its answer and the first event.
      if (!add(stream)) return refuse(res, 429, 60)
      const deadline = await deadlineOf(ticket)
      if (res.closed || res.writableEnded) return
      if (deadline === undefined) return refuse(res, 401)
      res.writeHead(200, {
        'Content-Type': 'text/event-stream',
        'Cache-Control': 'no-store',
        // nginx hands on at once what comes.
        'X-Accel-Buffering': 'no',
      })
      res.write(`retry: ${Math.round(1000 + Math.random() * 2000)}\n\n`)
      watch(stream, deadline)
    },

    close() {
      isClosed = true
      clearInterval(heartbeat)
      for (const { res } of all()) {
        if (res.headersSent) res.end()
        else refuse(res, 503, 5)
      }
    },
  }
}

function end({ res }: Stream, reason: string): void {
  if (res.headersSent) res.end(`event: ended\ndata: ${reason}\n\n`)
  else refuse(res, 401)
}

/** `EventSource` shows a page neither status nor body. */
function refuse(res: ServerResponse, status: number, retryAfter?: number): void {
  if (retryAfter !== undefined) res.setHeader('Retry-After', retryAfter)
  res.writeHead(status, { 'Cache-Control': 'no-store' }).end()
}
