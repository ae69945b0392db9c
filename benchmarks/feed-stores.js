/** The stores that tell every process of each change, on servers whose ports are in the environment. */
import { openPostgres, openRedis, openSqlite } from './variants.js'

export const feedStores = {
  redis: {
    server: 'redis',
    async open() {
      const { redisStore } = await import('staykept/redis')
      return redisStore({ client: await openRedis() })
    },
  },
  postgres: {
    server: 'postgres',
    async open() {
      const { postgresStore } = await import('staykept/postgres')
      return postgresStore({ pool: await openPostgres(), feed: true })
    },
  },
  sqlite: {
    async open(folder) {
      const { sqliteStore } = await import('staykept/sqlite')
      return sqliteStore({ database: await openSqlite(folder) })
    },
  },
}
