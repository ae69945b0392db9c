import type { SessionRecord, StoreKey } from '../../../src/core/store.js'

export const NOW = 2_000_000_000_000
export const HOUR = 3_600_000

export function key(text: string): StoreKey {
  return text as StoreKey
}

export function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 'v',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + HOUR,
    absoluteExpiresAt: NOW + 100 * HOUR,
    ...changes,
  }
}
