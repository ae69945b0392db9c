import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { redisStore } from 'staykept/redis'
import { missing } from '../servers/redis.js'
import { sharedServer } from '../servers/shared.js'
import type { StoreRig } from './rig.js'

export const rig: StoreRig = {
  name: 'redis',
  hasFeed: true,
  missing,
  async prepare() {
    const { port } = await sharedServer('redis')
    return { settings: { port, prefix: `${randomUUID()}:` } }
  },
  open({ port, prefix }) {
    const client = createClient({ url: `redis://127.0.0.1:${port}` })
    client.connect().catch(() => {})
    return { store: redisStore({ client, prefix }), close: () => client.destroy() }
  },
  opener: 'redis.open.cjs',
}

export const withIoredis: StoreRig = {
  ...rig,
  name: 'redis, with ioredis',
  isVariant: true,
  open({ port, prefix }) {
    const client = new Redis({ port, host: '127.0.0.1' })
    return { store: redisStore({ client, prefix }), close: () => client.disconnect() }
  },
}
