import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionStore } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { sqliteStore } from 'staykept/sqlite'
import { onTestFinished } from 'vitest'
import { farAway } from './processes/far-away.cjs'

/** One store of each kind, as several processes would open it: every call of the function opens the same data again. */
export interface StoreUnderTest {
  readonly name: string
  open(): Promise<() => SessionStore>
}

export const storesUnderTest: readonly StoreUnderTest[] = [
  {
    name: 'memory',
    open: async () => {
      const store = memoryStore()
      return () => store
    },
  },
  {
    name: 'memory, answering later',
    open: async () => {
      const store = memoryStore()
      return () => farAway(store, 0)
    },
  },
  {
    name: 'sqlite',
    open: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'staykept-'))
      const stores: SessionStore[] = []
      onTestFinished(async () => {
        for (const store of stores) await store.close?.()
        await rm(folder, { recursive: true })
      })
      return () => {
        const store = sqliteStore({ filename: join(folder, 'sessions.db') })
        stores.push(store)
        return store
      }
    },
  },
]
