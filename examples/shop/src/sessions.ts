import { type Clock, type Session, type Sessions, session } from 'staykept'
import type { Cart } from './cart.js'
import type { Checkout } from './checkout.js'
import type { Config } from './config.js'

const DAY = 24 * 60 * 60_000

/** How long "remember me" remembers. */
export const REMEMBERED = 30 * DAY

/**
 * What a visitor takes along into a sign-in. Everything else from before is dropped: somebody may have planted it.
 * Who signs in once more goes on with the same checkout; an address is nothing for whoever comes next.
 */
export function kept(session: Session, accountId: string): ('cart' | 'checkout')[] {
  return session.info.userId === accountId ? ['cart', 'checkout'] : ['cart']
}

declare module 'staykept' {
  interface SessionData {
    cart?: Cart
    checkout?: Checkout
    /** Shown once, on the next page. */
    flash?: Flash
  }
}

export interface Flash {
  readonly tone: 'good' | 'bad'
  readonly text: string
}

/** `impossible`: it was asked for, and the store has no change feed. */
export type NearCache = 'on' | 'off' | 'impossible'

export interface OpenedSessions {
  readonly sessions: Sessions
  readonly nearCache: NearCache
  /** Whether the store tells this process what others change. */
  readonly hasFeed: boolean
  /** Ends also while the store does not answer. */
  close(): Promise<void>
}

/** Who is signed in is not kept here: the library binds the user itself, and the account is read on each request. */
export async function openSessions(
  { secrets, sessionStore, nearCache }: Config,
  clock: Clock,
  onTrouble: (error: unknown) => void,
): Promise<OpenedSessions> {
  const { store, close } = await sessionStore.open(onTrouble)
  const hasFeed = store.watch !== undefined
  const sessions = session({
    secret: secrets,
    store,
    cookie: { maxAge: 2 * DAY },
    absoluteTimeout: 14 * DAY,
    devices: true,
    nearCache: nearCache && hasFeed,
    clock,
  })
  return {
    sessions,
    nearCache: !nearCache ? 'off' : hasFeed ? 'on' : 'impossible',
    hasFeed,
    async close() {
      await sessions.close().catch(onTrouble)
      await close?.()
    },
  }
}
