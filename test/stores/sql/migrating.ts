import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { SessionStore } from '../../../src/core/store.js'
import { key, NOW, record } from './records.js'

/** Old and new processes read and change sessions without a pause while the tables are changed: no call fails of it. */
export async function expectUndisturbed(
  stores: readonly SessionStore[],
  migrate: () => Promise<unknown>,
): Promise<void> {
  let isMigrated = false
  const working = stores.map(async (store, index) => {
    const name = key(`of ${index}`)
    let version = 'v'
    await store.create(name, record({ userId: 'ada' }), NOW)
    for (let turn = 0; !isMigrated || turn < 10; turn += 1) {
      const next = record({ userId: 'ada', version: `${turn}` })
      expect(await store.update(name, next, version, NOW)).toEqual({ outcome: 'updated' })
      version = next.version
      expect(await store.load(name, NOW)).toEqual(next)
    }
  })
  const migrating = (async () => {
    await sleep(100)
    await migrate()
    await sleep(100)
  })()
  await migrating.finally(() => {
    isMigrated = true
  })
  await Promise.all(working)
}
