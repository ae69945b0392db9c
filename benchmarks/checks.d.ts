import type { IncomingMessage, ServerResponse } from 'node:http'

type Middleware = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void

interface Variant {
  middleware: Middleware
  signIn(req: IncomingMessage, data: Record<string, unknown>, done: () => void): void
}

export function check(variant: Variant): Promise<void>

export function checkEndAll(
  variant: Variant & { endAll?(data: Record<string, unknown>): Promise<unknown> },
): Promise<void>

export function checkHit(
  variant: { middleware: Middleware; look(req: IncomingMessage): unknown },
  cookie: string,
): Promise<void>
