import http from 'node:http'
import { onTestFinished } from 'vitest'
import { until } from '../servers/cluster.js'
import type { Visitor } from './shop.js'

export interface Listener {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** All that came so far. */
  text(): string
  /** Waits for the end of the stream and answers whether it was torn off. */
  readonly ended: Promise<'whole' | 'torn'>
  close(): void
}

/** What a page of this visitor has for its stream. */
export async function ticketOf(someone: Visitor): Promise<string> {
  const { text } = await someone.get('/products/moon-jar')
  return /<meta name="ticket" content="([^"]+)">/.exec(text)?.[1] ?? ''
}

/** Opens the stream of a ticket, as `EventSource` would, without a cookie. */
export async function listen({ url }: { url: string }, ticket?: string): Promise<Listener> {
  const query = ticket === undefined ? '' : `?${new URLSearchParams({ ticket })}`
  const request = http.get(`${url}/events${query}`, { agent: false })
  onTestFinished(() => void request.destroy())
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject)
  })
  let text = ''
  answer.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = new Promise<'whole' | 'torn'>((resolve) => {
    answer.on('error', () => {}).on('close', () => resolve(answer.complete ? 'whole' : 'torn'))
  })
  const { statusCode: status = 0, headers } = answer
  if (status === 200) await until(async () => text.includes('retry:'))
  return { status, headers, text: () => text, ended, close: () => void request.destroy() }
}
