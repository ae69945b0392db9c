import type { FaultyStore } from 'staykept/testing'

/** How often the store was called for requests. That it is asked whether it answers, soon after the start, is no visit. */
export function visitCalls({ total, calls }: FaultyStore): number {
  return total - calls.ping
}
