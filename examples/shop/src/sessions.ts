import { join } from 'node:path'
import { type Sessions, session } from 'staykept'
import { sqliteStore } from 'staykept/sqlite'
import type { Cart } from './cart.js'
import type { Config } from './config.js'

const DAY = 24 * 60 * 60_000

declare module 'staykept' {
  interface SessionData {
    cart?: Cart
    /** Shown once, on the next page. */
    flash?: Flash
  }
}

export interface Flash {
  readonly tone: 'good' | 'bad'
  readonly text: string
}

/** Who is signed in is not kept here: the library binds the user itself, and the account is read on each request. */
export function openSessions({ dataDir, secrets }: Config): Sessions {
  return session({
    secret: secrets,
    store: sqliteStore({ filename: join(dataDir, 'sessions.db') }),
    cookie: { maxAge: 2 * DAY },
    absoluteTimeout: 14 * DAY,
    devices: true,
  })
}
