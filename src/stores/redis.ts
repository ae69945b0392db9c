import type { SessionRecord, SessionStore, WriteResult } from '../core/store.js'
import { connectionOf, type IoredisClient, type NodeRedisClient } from './redis/client.js'
import { createCommands } from './redis/commands.js'
import { createEnds } from './redis/ends.js'
import { createFeed } from './redis/feed.js'
import { createListedWrites } from './redis/listed-writes.js'
import { recentSet } from './redis/recent.js'
import { decodeRecord, encodeRecord, encodeTime, keepFor } from './redis/record-text.js'
import { createRecovery } from './redis/recovery.js'
import { createReplication } from './redis/replication.js'
import { CREATE, DELETE, DELETE_AND_TELL, TOUCH, UPDATE } from './redis/scripts.js'
import { createPing } from './redis/self-check.js'
import { createUserIndex } from './redis/user-index.js'

export type { IoredisClient, NodeRedisClient } from './redis/client.js'

export interface RedisStoreOptions {
  /**
   * A client, pool, cluster or sentinel of node-redis 5 or 6, a client or cluster of ioredis 5 or 6, or of iovalkey. The
   * rest of the application may use it too. The store neither opens nor closes it.
   */
  readonly client: NodeRedisClient | IoredisClient
  /** What all its keys begin with: 1 to 64 letters, digits and `: . _ - /`. Default `'staykept:'`. */
  readonly prefix?: string | undefined
  /**
   * `'replicated'`: signing out, `destroy`, `revoke` and `revokeByUser` are confirmed only when `replicas` have them, so
   * that a fail-over brings no session back whose end was acknowledged; where they do not in time, the answer is 503 and
   * the process goes on asking. They go over a connection of the store's own. Absent: confirmed by the primary alone.
   */
  readonly revocation?: 'replicated' | undefined
  /** How many replicas have to have it. Default 1. */
  readonly replicas?: number | undefined
  /** How long to wait for them, in milliseconds. Default 400. */
  readonly replicationTimeout?: number | undefined
}

/**
 * Keeps sessions in Redis from 6.2 on, or in Valkey: one server, one that Sentinel watches, or a cluster. All processes
 * that use the same server and prefix share them.
 *
 * Throws a `TypeError` for a wrong option or a client that it cannot use.
 */
export function redisStore(options: RedisStoreOptions): SessionStore {
  const { client, prefix = 'staykept:' } = checked(options)
  const connection = connectionOf(client)
  const recovery = createRecovery(connection)
  const commands = createCommands(connection, recovery)
  const start = connection.keyPrefix + prefix
  const replication =
    options.revocation === undefined ? undefined : createReplication(connection, options)
  const ends = createEnds(connection.addedPrefix + start)
  const users = createUserIndex(commands, start, ends, replication)
  const { isOrdered } = connection
  const listed = createListedWrites({ commands, users, isOrdered, start })
  const feed = createFeed({ connection, commands, recovery, start, ends })
  /** Versions of records without a user: where a sign-in starts from one, the user's index is written first. */
  const anonymous = recentSet(REMEMBERED)

  function read(value: string, now: number): SessionRecord {
    const record = decodeRecord(value, now)
    if (record.userId === undefined) anonymous.add(record.version)
    return record
  }

  function result(answer: unknown, now: number): WriteResult {
    if (Array.isArray(answer)) return { outcome: 'conflict', record: read(answer[0], now) }
    return Number(answer) === 1 ? UPDATED : MISSING
  }

  return {
    name: 'redis',

    load: (key, now) =>
      commands.get(start + key, (value) => {
        if (typeof value !== 'string') return undefined
        const record = read(value, now)
        return record.expiresAt > now ? record : undefined
      }),

    create(key, record, now, tellMark) {
      const args = [String(now), keepFor(record.expiresAt, now), encodeRecord(record)]
      const write = (): Promise<unknown> => commands.run(CREATE, start + key, ...args)
      if (record.userId === undefined) {
        anonymous.add(record.version)
        return write().then(isOne)
      }
      return listed.write(key, record, { now, write, as: isOne, tellMark })
    },

    update(key, record, expectedVersion, now, reason) {
      const { userId = '', version, expiresAt } = record
      const kept = keepFor(expiresAt, now)
      const args = [expectedVersion, String(now), kept, encodeRecord(record), userId]
      const told = reason === undefined ? [] : ends.told(key, reason)
      const as = (answer: unknown): WriteResult => result(answer, now)
      const write = (listed = ''): Promise<unknown> =>
        commands.run(UPDATE, start + key, ...args, listed, ...told)
      const writeAll = (): Promise<WriteResult> =>
        listed.write(key, record, { now, write: () => write('listed'), as })
      if (userId === '') anonymous.add(version)
      else if (anonymous.has(expectedVersion)) return writeAll()
      return write().then((answer) => (Number(answer) === UNLISTED ? writeAll() : as(answer)))
    },

    async touch(key, expectedVersion, lastSeenAt, expiresAt, now) {
      const times = encodeTime(lastSeenAt) + encodeTime(expiresAt)
      const args = [expectedVersion, String(now), keepFor(expiresAt, now), times]
      return result(await commands.run(TOUCH, start + key, ...args), now)
    },

    async delete(key, now, reason) {
      const args = [start + key, String(now), ...ends.told(key, reason)] as const
      const value = await (replication === undefined
        ? commands.run(DELETE, ...args)
        : replication.confirmed(DELETE_AND_TELL, ...args))
      if (typeof value !== 'string') return false
      const { userId, version, expiresAt } = decodeRecord(value, now)
      // Sent, not waited for: an entry without a record does no harm.
      if (userId !== undefined) users.strike(userId, [key]).catch(() => {})
      return version !== '' && expiresAt > now
    },

    listByUser: users.list,
    deleteByUser: users.endAll,
    revocationMark: users.mark,

    watch: feed.watch,

    ping: createPing(connection, commands, start),
    reconnect: recovery.reconnect,

    close() {
      feed.close()
      recovery.close()
      commands.close()
      replication?.close()
    },
  }
}

/** `new RedisStore({ client })` is `redisStore({ client })`, for those who come from connect-redis. */
export const RedisStore: new (options: RedisStoreOptions) => SessionStore = function RedisStore(
  options: RedisStoreOptions,
): SessionStore {
  return redisStore(options)
} as never

export default RedisStore

/** What UPDATE answers where the user's index has to be written first. */
const UNLISTED = 2
/** Enough for the sign-ins of some minutes; a sign-in whose record is not remembered takes two commands more. */
const REMEMBERED = 8192

const UPDATED: WriteResult = Object.freeze({ outcome: 'updated' })
const MISSING: WriteResult = Object.freeze({ outcome: 'missing' })

function isOne(answer: unknown): boolean {
  return Number(answer) === 1
}

function showOption(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

function checked(options: RedisStoreOptions): RedisStoreOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('redisStore takes an object: redisStore({ client })')
  }
  const { client: _client, prefix, revocation, replicas, replicationTimeout, ...others } = options
  for (const name of Object.keys(others)) {
    throw new TypeError(
      `redisStore has no option "${name}": it takes client, prefix, revocation, replicas and replicationTimeout`,
    )
  }
  if (revocation !== undefined && revocation !== 'replicated') {
    throw new TypeError(
      `redisStore needs 'replicated' as revocation, or none of it, not ${showOption(revocation)}`,
    )
  }
  for (const [name, value] of Object.entries({ replicas, replicationTimeout })) {
    if (value === undefined) continue
    if (revocation === undefined) {
      throw new TypeError(`redisStore takes ${name} together with revocation: 'replicated' only`)
    }
    if (!(Number.isInteger(value) && value >= 1 && value <= 60_000)) {
      throw new TypeError(
        `redisStore needs a whole number from 1 on as ${name}, such as ${name === 'replicas' ? 1 : 400}, not ${showOption(value)}`,
      )
    }
  }
  if (prefix !== undefined && !/^[\w:./-]{1,64}$/.test(String(prefix))) {
    throw new TypeError(
      `redisStore needs 1 to 64 letters, digits and : . _ - / as prefix, such as 'myapp:', not '${String(prefix)}': others mean something in a pattern of keys, or to a cluster`,
    )
  }
  return options
}
