import type { NearCacheOptions } from '../core/near-cache.js'
import { showValue } from '../core/show-value.js'
import type { SessionStore } from '../core/store.js'

const DEFAULTS: Required<NearCacheOptions> = {
  maxStaleness: 2000,
  maxEntryAge: 30_000,
  maxEntries: 10_000,
  maxBytes: 32 * 1024 * 1024,
}

/**
 * With a shorter `maxStaleness` the feed would be asked more often than a network answers; with less of the others, seconds
 * or megabytes were meant.
 */
const LEAST: Readonly<Record<string, number>> = {
  maxStaleness: 100,
  maxEntryAge: 1000,
  maxBytes: 65_536,
}

export function resolveNearCache(
  value: unknown,
  store: SessionStore,
): Required<NearCacheOptions> | undefined {
  if (value === undefined || value === false) return undefined
  if (value !== true && (typeof value !== 'object' || value === null || Array.isArray(value))) {
    throw new TypeError(
      `nearCache is true, false, or an object as in nearCache: { maxStaleness: 2000 }, not ${showValue(value)}`,
    )
  }
  const given = value === true ? {} : (value as Record<string, unknown>)
  const resolved: Record<string, number> = { ...DEFAULTS }
  for (const [name, one] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULTS, name)) {
      throw new TypeError(
        `nearCache has no option "${name}": it takes ${Object.keys(DEFAULTS).join(', ')}`,
      )
    }
    if (one === undefined) continue
    const least = LEAST[name] ?? 1
    if (!Number.isSafeInteger(one) || (one as number) < least) {
      throw new TypeError(
        `nearCache: ${name} is a whole number of at least ${least}, not ${showValue(one)}`,
      )
    }
    resolved[name] = one as number
  }
  if (store.watch === undefined) {
    throw new TypeError(
      `nearCache needs a store that tells of changes, and the ${store.name} store has no change feed (watch). Leave nearCache out, or see in the docs of the store how it gets one.`,
    )
  }
  return resolved as unknown as Required<NearCacheOptions>
}
