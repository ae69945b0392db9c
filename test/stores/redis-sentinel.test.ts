import { afterAll, beforeAll, describe } from 'vitest'
import { notRun } from '../not-run.js'
import { missing, type RedisSentinels, start } from '../servers/sentinel.js'
import { sentinels } from './redis/clients.js'
import { kitOn } from './redis/kit.js'

const why = missing()
if (why !== undefined) notRun('redisStore behind Sentinel', why)

describe.skipIf(why !== undefined)('a primary that three sentinels watch', () => {
  let watched: RedisSentinels
  beforeAll(async () => {
    watched = await start()
  }, 60_000)
  afterAll(() => watched.close())

  for (const kind of sentinels) {
    kitOn(kind, () => {
      const { port, primary, replica } = watched
      return { port, servers: [primary.port, replica.port] }
    })
  }
})
