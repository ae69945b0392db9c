import { type CookieOrder, NO_COOKIE_ORDER } from './cookie-order.js'
import { chain, isPromise } from './maybe.js'
import type { MaybePromise } from './store.js'
import type { Visit } from './visit.js'

/**
 * Stores what a request changed and answers what the response must tell the browser. Throws or rejects where the response
 * must not be sent as it is. A response that tells of an error acknowledges nothing: with `isError`, one of a request that
 * failed is let through, and nothing is stored.
 */
export function commitVisit(visit: Visit, isError = false): MaybePromise<CookieOrder> {
  const { running, unheard, hasFailed } = visit.called
  if (running !== undefined) return running.then(() => commitVisit(visit, isError))
  if (visit.failure !== undefined) {
    if (isError) return giveUp(visit)
    throw visit.failure.error
  }
  if (unheard !== undefined) throw unheard.error
  try {
    const persisted = visit.persist()
    // What is still asked for after `send` must not run into this write.
    if (isPromise(persisted)) visit.operations.waitFor(persisted)
    const committed = chain(persisted, () => visit.order)
    if (!isError || !hasFailed || !isPromise(committed)) return committed
    return committed.then(undefined, () => giveUp(visit))
  } catch (error) {
    if (!isError || !hasFailed) throw error
    return giveUp(visit)
  }
}

/** This is the page that tells of the failure of a `save` or the like: a second failure must not replace it. */
function giveUp(visit: Visit): CookieOrder {
  visit.close()
  return NO_COOKIE_ORDER
}
