import type { SessionStore } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { farAway } from '../processes/far-away.cjs'
import type { StoreRig } from './rig.js'

/** Opened again it is the same store: there is no other way to share it. */
const opened = new Map<number, SessionStore>()
let places = 0

export const rig: StoreRig = {
  name: 'memory',
  hasFeed: true,
  async prepare() {
    places += 1
    const place = places
    opened.set(place, memoryStore())
    return { settings: { place }, remove: async () => void opened.delete(place) }
  },
  open: ({ place }) => ({ store: opened.get(place) as SessionStore }),
}

export const answeringLater: StoreRig = {
  ...rig,
  name: 'memory, answering later',
  open: ({ place }) => ({ store: farAway(opened.get(place) as SessionStore, 0) }),
}
