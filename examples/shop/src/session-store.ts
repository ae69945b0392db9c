import { resolve } from 'node:path'
import { memoryStore } from 'staykept/memory'
import { sqliteStore } from 'staykept/sqlite'
import { configError } from './config-error.js'
import { dynamodb } from './stores/dynamodb.js'
import { mongodb, mongodbSrv } from './stores/mongodb.js'
import { mysql } from './stores/mysql.js'
import type { SessionPlace } from './stores/place.js'
import { postgres } from './stores/postgres.js'
import { redis, redisCluster, redisSentinel } from './stores/redis.js'

/** How an address begins, and what reads it. A client library is loaded when its store is opened: only the one that is asked for. */
const SERVERS: Readonly<Record<string, (address: string, awsRegion?: string) => SessionPlace>> = {
  redis,
  rediss: redis,
  'redis+cluster': redisCluster,
  'rediss+cluster': redisCluster,
  'redis+sentinel': redisSentinel,
  'rediss+sentinel': redisSentinel,
  postgres,
  postgresql: postgres,
  mysql,
  mariadb: mysql,
  mongodb,
  'mongodb+srv': mongodbSrv,
  dynamodb,
}

/** Reads SESSION_STORE. */
export function readSessionStore(
  { SESSION_STORE, AWS_REGION }: Readonly<Record<string, string | undefined>>,
  dataDir: string,
): SessionPlace {
  const address = SESSION_STORE || 'sqlite:'
  const [, scheme = '', place = ''] = /^([a-z+]+):(.*)$/.exec(address) ?? []
  const server = Object.hasOwn(SERVERS, scheme) ? SERVERS[scheme] : undefined
  if (server !== undefined) return server(address, AWS_REGION)
  if (scheme === 'sqlite' && !place.startsWith('//')) {
    return sqlite(resolve(dataDir, place || 'sessions.db'))
  }
  if (scheme === 'memory' && place === '') return memory
  // Not echoed: an address of a database often has a password in it.
  throw configError(
    'SESSION_STORE is none that this shop knows. Known are "sqlite:" (a file in DATA_DIR), "sqlite:/path/to/file.db", ' +
      '"memory:" (one process, forgets everybody when it stops), and what begins with ' +
      `${Object.keys(SERVERS)
        .map((name) => `${name}://`)
        .join(', ')}.`,
  )
}

function sqlite(filename: string): SessionPlace {
  return {
    name: `SQLite, in ${filename}`,
    open: async () => ({ store: sqliteStore({ filename }) }),
  }
}

const memory: SessionPlace = {
  name: 'the memory of this process',
  open: async () => ({ store: memoryStore() }),
}
