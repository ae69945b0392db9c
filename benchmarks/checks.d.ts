import type { IncomingMessage, ServerResponse } from 'node:http'

export function check(variant: {
  middleware(req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void
  signIn(req: IncomingMessage, data: Record<string, unknown>, done: () => void): void
}): Promise<void>
