import type { IncomingMessage, ServerResponse } from 'node:http'

type Middleware = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void

export function check(variant: {
  middleware: Middleware
  signIn(req: IncomingMessage, data: Record<string, unknown>, done: () => void): void
}): Promise<void>

export function checkHit(
  variant: { middleware: Middleware; look(req: IncomingMessage): unknown },
  cookie: string,
): Promise<void>
