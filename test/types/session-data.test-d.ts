import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Request } from 'express'
import express from 'express'
import { type Session, type SessionData, type SessionInfo, type Sessions, session } from 'staykept'
import { expectTypeOf, test } from 'vitest'

declare module 'staykept' {
  interface SessionData {
    typedCart?: { readonly sku: string; readonly count: number }[]
    typedVisits?: number
  }
}

declare const req: IncomingMessage
declare const expressReq: Request
declare const sessions: Sessions

test('req.session has the declared keys, on node:http and on Express requests', () => {
  expectTypeOf(req.session).not.toBeAny()
  expectTypeOf(req.session).toEqualTypeOf<Session>()
  expectTypeOf(expressReq.session).not.toBeAny()
  expectTypeOf(expressReq.session).toEqualTypeOf<Session>()
  expectTypeOf(req.session.typedVisits).toEqualTypeOf<number | undefined>()
  expectTypeOf(expressReq.session.typedCart).toEqualTypeOf<SessionData['typedCart']>()
})

test('a snapshot has the same keys, and none of them can be changed', () => {
  const { data, info } = sessions.snapshot(req)
  expectTypeOf(data).not.toBeAny()
  expectTypeOf(info).toEqualTypeOf<SessionInfo>()
  expectTypeOf(sessions.snapshot(expressReq).data.typedVisits).toEqualTypeOf<number | undefined>()
  expectTypeOf(data.typedCart?.[0]?.sku).toEqualTypeOf<string | undefined>()
  // @ts-expect-error: it is read-only
  data.typedVisits = 1
  // @ts-expect-error: all the way down
  data.typedCart?.push({ sku: 'a', count: 1 })
})

test('a key has the type that was declared for it, and undeclared keys are errors', () => {
  // @ts-expect-error: a string is no number
  req.session.typedVisits = 'many'
  // @ts-expect-error: nobody declared it
  req.session.typedNowhere = 1
})

test('methods answer promises, or take a callback', () => {
  expectTypeOf(req.session.id).toEqualTypeOf<string>()
  expectTypeOf(req.session.info).toEqualTypeOf<SessionInfo>()
  expectTypeOf(req.session.save()).toEqualTypeOf<Promise<void>>()
  expectTypeOf(req.session.save).toBeCallableWith((error?: Error) => void error)
  expectTypeOf(req.session.signIn).toBeCallableWith('ada', { keep: ['typedCart'], maxAge: 60_000 })
  expectTypeOf(req.session.signIn).toBeCallableWith(7n)
  // @ts-expect-error: an object is no user id
  void req.session.signIn({ _id: 1 })
})

test('update and take know the data', () => {
  const visits = req.session.update((data) => {
    expectTypeOf(data).not.toBeAny()
    expectTypeOf(data.typedVisits).toEqualTypeOf<number | undefined>()
    data.typedVisits = (data.typedVisits ?? 0) + 1
    return data.typedVisits
  })
  expectTypeOf(visits).toEqualTypeOf<Promise<number>>()
  expectTypeOf(req.session.take('typedVisits')).toEqualTypeOf<Promise<number | undefined>>()
  // @ts-expect-error: no such key
  void req.session.take('typedNowhere')
})

test('names of the session itself are no data', () => {
  // @ts-expect-error: the id is the session's own
  req.session.id = 'other'
  // @ts-expect-error: save is a method
  req.session.save = 'later'
})

test('the middleware fits node:http, Express apps, routers and single routes', () => {
  const sessions = session({ secret: 'x' })
  expectTypeOf(sessions).not.toBeAny()
  expectTypeOf(sessions).toBeCallableWith(req, {} as ServerResponse, () => undefined)
  expectTypeOf(sessions.of(req)).resolves.toEqualTypeOf<Session>()
  const app = express()
  app.use(sessions)
  app.use('/admin', sessions)
  express.Router().get('/', sessions, (_req, res) => res.end())
})
