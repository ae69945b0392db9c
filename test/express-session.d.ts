/** As much of express-session as the tests compare with; its own types would add to `req.session` everywhere. */
declare module 'express-session' {
  import type { RequestHandler } from 'express'

  function session(options: {
    readonly secret: string
    readonly store?: session.Store
    readonly resave?: boolean
    readonly saveUninitialized?: boolean
    readonly rolling?: boolean
    readonly cookie?: object
  }): RequestHandler

  namespace session {
    class Store {
      get(id: string, callback: (error: unknown, session?: object) => void): void
      set(id: string, session: object, callback?: (error?: unknown) => void): void
      destroy(id: string, callback?: (error?: unknown) => void): void
    }
    class MemoryStore extends Store {
      readonly sessions: Record<string, string>
      length(callback: (error: unknown, length?: number) => void): void
    }
  }

  export = session
}
