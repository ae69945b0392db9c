/** A set that forgets: it holds the latest `limit / 2` values at least, `limit` at most. */
export interface RecentSet {
  add(value: string): void
  has(value: string): boolean
}

export function recentSet(limit: number): RecentSet {
  let young = new Set<string>()
  let old = new Set<string>()
  return {
    add(value) {
      if (young.size >= limit / 2) {
        old = young
        young = new Set()
      }
      young.add(value)
    },
    has: (value) => young.has(value) || old.has(value),
  }
}
