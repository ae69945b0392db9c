import type { RequestHandler } from 'express'

declare const handlers: Readonly<
  Record<'assign' | 'assignQuietly' | 'define', RequestHandler<{ key: string }>>
>
export = handlers
