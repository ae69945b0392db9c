/// <reference types="vite/types/importMeta.d.ts" />
import type { SessionStore } from 'staykept'
import { onTestFinished } from 'vitest'
import { notRun } from './not-run.js'
import type { StoreRig } from './stores/rig.js'

/** One store of each kind, as several processes would open it: every call of the function opens the same data again. */
export interface StoreUnderTest {
  readonly name: string
  readonly isNear: boolean
  open(): Promise<() => SessionStore>
}

const modules: Record<string, Record<string, StoreRig>> = import.meta.glob('./stores/*.rig.ts', {
  eager: true,
})

/** One store that answers at once and one that is asked over a network; the others with STAYKEPT_LARGE=1. */
const ALWAYS_NEAR: ReadonlySet<string> = new Set(['memory', 'redis'])

function withNearCache(rig: StoreRig): StoreRig {
  const isVariant = rig.isVariant === true || !ALWAYS_NEAR.has(rig.name)
  return { ...rig, name: `${rig.name}, with a near cache`, isNear: true, isVariant }
}

/** Stores whose sessions are read by a near cache. */
export const nearStores: WeakSet<SessionStore> = new WeakSet()

/** A rig for each engine whose server is there; with STAYKEPT_LARGE=1 also those of other clients. */
export const rigs: readonly StoreRig[] = Object.values(modules)
  .flatMap((module) => Object.values(module))
  .flatMap((rig) => (rig.hasFeed === true ? [rig, withNearCache(rig)] : [rig]))
  .filter(({ isVariant }) => isVariant !== true || process.env.STAYKEPT_LARGE === '1')
  .filter((rig) => {
    const why = rig.missing?.()
    if (why !== undefined) notRun(rig.name, why)
    return why === undefined
  })

/** Those that several processes can share. */
export const sharedRigs: readonly StoreRig[] = rigs.filter((rig) => rig.opener !== undefined)

/** Read from the store each time, and once more by a near cache where there is a feed. */
export const storesNearAndFar: readonly StoreUnderTest[] = rigs.map((rig) => ({
  name: rig.name,
  isNear: rig.isNear === true,
  async open() {
    const place = await rig.prepare()
    const opened: ReturnType<StoreRig['open']>[] = []
    onTestFinished(async () => {
      for (const { store, close } of opened) {
        await store.close?.()
        await close?.()
      }
      await place.remove?.()
    })
    return () => {
      const one = rig.open(place.settings)
      opened.push(one)
      if (rig.isNear === true) nearStores.add(one.store)
      return one.store
    }
  },
}))

export const storesUnderTest: readonly StoreUnderTest[] = storesNearAndFar.filter(
  ({ isNear }) => !isNear,
)
