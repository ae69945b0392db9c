import { test } from 'vitest'
import { testSessionStore } from '../../src/conformance.js'
import { coherentStore } from '../../src/core/coherent-store.js'
import { createNearCache } from '../../src/core/near-cache.js'
import type { SessionStore } from '../../src/core/store.js'
import { openReference } from '../broken-stores/reference.js'

/** A store that tells a near cache of all that passes is a store like any other. */
function coherent(store: SessionStore): SessionStore {
  const limits = { maxEntries: 1000, maxBytes: 10_000_000 }
  const cache = createNearCache({ maxStaleness: 2000, maxEntryAge: 30_000, ...limits })
  cache.proven({ steady: performance.now(), wall: Date.now() })
  return coherentStore(store, cache)
}

testSessionStore({
  test,
  async open() {
    const opened = openReference()
    if (!('store' in opened)) throw new Error('The reference store comes with its hooks')
    return {
      ...opened,
      store: coherent(opened.store),
      reopen: async () => coherent((await opened.reopen?.()) as SessionStore),
    }
  },
})
