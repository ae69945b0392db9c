import cors from 'cors'
import type { RequestHandler } from 'express'

/**
 * Lets the scripts of other sites use the API with the visitor's session: those on the list, and nobody else. The
 * session cookie is SameSite=Lax, so browsers send it along from another origin of the same site (app.example.com to
 * shop.example.com), and from other sites not at all.
 */
export function allowedOriginsOnly(origins: readonly string[]): RequestHandler {
  return cors({
    origin: [...origins],
    credentials: true,
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: ['content-type', 'x-csrf-token'],
    exposedHeaders: ['retry-after'],
    maxAge: 600,
  })
}
