import type { EventHub } from './events.js'
import type { EndReason, StoreKey } from './store.js'

/** Tells of each ended session once in this process, however many ways the news of it comes. */
export interface Ends {
  announce(id: StoreKey, reason: EndReason | undefined): void
}

/** What a feed tells may come from whoever is allowed to speak on its channel. */
const KEY = /^[\w-]{22}$/
const REASONS: Readonly<Record<EndReason, true>> = {
  destroy: true,
  regenerate: true,
  revoke: true,
  revokeByUser: true,
  signIn: true,
  signOut: true,
}

/** More than end between the answer of the store and its feed. */
const REMEMBERED = 10_000

export function createEnds(events: EventHub): Ends {
  let young = new Set<StoreKey>()
  let old = new Set<StoreKey>()
  return {
    announce(id, reason) {
      if (!KEY.test(id) || young.has(id) || old.has(id)) return
      if (young.size >= REMEMBERED) {
        old = young
        young = new Set()
      }
      young.add(id)
      // One that a later release has is none here.
      const isKnown = reason !== undefined && Object.hasOwn(REASONS, reason)
      events.emit('ended', { id, reason: isKnown ? reason : undefined })
    },
  }
}
