import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqliteStore } from 'staykept/sqlite'
import type { StoreRig } from './rig.js'

export const rig: StoreRig = {
  name: 'sqlite',
  hasFeed: true,
  async prepare() {
    const folder = await mkdtemp(join(tmpdir(), 'staykept-'))
    const remove = (): Promise<void> => rm(folder, { recursive: true })
    return { settings: { filename: join(folder, 'sessions.db') }, remove }
  },
  open: ({ filename }) => ({ store: sqliteStore({ filename }) }),
  opener: 'sqlite.open.cjs',
}
