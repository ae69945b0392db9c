import type { Express } from 'express'

export function createApp(sessions: unknown, options?: { readonly isIncumbent?: boolean }): Express
