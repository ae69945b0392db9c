import { afterAll, beforeAll, describe } from 'vitest'
import { notRun } from '../not-run.js'
import type { ServerProcess } from '../servers/process.js'
import { missing, start } from '../servers/redis.js'
import { standalone } from './redis/clients.js'
import { kitOn } from './redis/kit.js'

const why = missing()
if (why !== undefined) notRun('redisStore on one server', why)

describe.skipIf(why !== undefined)('one server', () => {
  let server: ServerProcess
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server.close())

  for (const kind of standalone) kitOn(kind, () => ({ port: server.port, servers: [server.port] }))
})
