import { randomUUID } from 'node:crypto'
import type { SessionRecord, SessionStore, StoreEvent, StoreFeed, StoreKey } from 'staykept'
import { expect, vi } from 'vitest'

export const NOW = 2_000_000_000_000

export interface Watching {
  readonly events: StoreEvent[]
  check(): Promise<void>
  /** Whether a reset came since the last call. */
  wasReset(): boolean
  stop(): void
}

export function watch(store: SessionStore): Watching {
  const events: StoreEvent[] = []
  let isReset = false
  const feed = store.watch?.((event) => {
    events.push(event)
    if (event.type === 'reset') isReset = true
  }) as StoreFeed
  return {
    events,
    check: async () => feed.check(),
    wasReset() {
      const was = isReset
      isReset = false
      return was
    },
    stop: () => feed.stop(),
  }
}

/** A change of another process is told, and an end with what it was called. */
export async function hearsOf(other: SessionStore, { events, check }: Watching): Promise<void> {
  await check()
  const key = newKey()
  await other.create(key, record(), NOW)
  await check()
  expect(events).toContainEqual({ type: 'changed', key })
  await other.delete(key, NOW, 'signOut')
  await check()
  const ends = events.filter((event) => event.type === 'ended' && event.key === key)
  expect(ends).toEqual([{ type: 'ended', key, reason: 'signOut' }])
}

/** Whether the promise is still open after so many milliseconds. */
export async function isOpen(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const open = Symbol('open')
  const timer = new Promise((resolve) => setTimeout(resolve, milliseconds, open))
  return (await Promise.race([promise.catch(() => {}), timer])) === open
}

export function eventually(assertion: () => unknown, timeout = 10_000): Promise<unknown> {
  return vi.waitFor(assertion, { timeout, interval: 20 })
}

export function newKey(): StoreKey {
  return randomUUID().replaceAll('-', '').slice(0, 22) as StoreKey
}

export function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 'v',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + 60_000,
    absoluteExpiresAt: NOW + 60_000,
    ...changes,
  }
}
