import { storeError } from '../core/errors.js'
import type {
  DeleteByUserOptions,
  SessionRecord,
  SessionStore,
  StoreKey,
  WriteResult,
} from '../core/store.js'
import { accessTo, unlessRefused } from './dynamodb/access.js'
import { assertClient, clockOf, type DynamodbClient, type DynamodbItem } from './dynamodb/client.js'
import {
  alive,
  keyOf,
  markKey,
  removeAfter,
  sessionKey,
  time,
  toItem,
  toMark,
  toRecord,
} from './dynamodb/items.js'
import { timeToLiveOf } from './dynamodb/time-to-live.js'
import { explain, type Refused, wasResent } from './dynamodb/trouble.js'

export type { DynamodbClient, DynamodbItem } from './dynamodb/client.js'
export { type DynamodbTable, dynamodbTable } from './dynamodb/table.js'

export interface DynamodbStoreOptions {
  /** `new DynamoDB({ … })` of the AWS SDK version 3, or any object with those of its methods that the store needs. */
  readonly client: DynamodbClient
  /** The table, as `dynamodbTable` describes it. Default `'staykept_sessions'`. */
  readonly table?: string | undefined
}

/**
 * Keeps sessions in a table of DynamoDB, through a client of the AWS SDK. A change is one conditional write, a read is
 * one consistent read. Each session of a user has an entry in the same table, which is read consistently too; what has
 * expired is removed by the table's time to live. Has no timers.
 *
 * Throws a `TypeError` for a wrong option. The client stays open when the store is closed.
 */
export function dynamodbStore(options: DynamodbStoreOptions): SessionStore {
  const { client, table = 'staykept_sessions' } = checked(options)
  const TableName = table
  const place = `the table ${table} of DynamoDB`
  const access = accessTo(client, table)
  const timeToLive = timeToLiveOf(client, table)

  /** The method that does `step`, with what goes wrong put into words. */
  function method<Args extends unknown[], T>(
    step: (...args: Args) => Promise<T>,
  ): (...args: Args) => Promise<T> {
    return async function answer(...args) {
      try {
        return await step(...args)
      } catch (error) {
        throw explain(error, table)
      }
    }
  }

  function put(key: StoreKey, record: SessionRecord, condition: string, values: DynamodbItem) {
    return access.refusal(
      client.putItem({
        TableName,
        Item: toItem(key, record),
        ConditionExpression: condition,
        ExpressionAttributeValues: values,
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
      key,
    )
  }

  async function end(key: StoreKey, userId: string, now: number): Promise<StoreKey[]> {
    const sent = client.deleteItem({
      TableName,
      Key: sessionKey(key),
      ConditionExpression: 'userId = :user AND expiresAt > :now',
      ExpressionAttributeValues: { ':user': { S: userId }, ':now': time(now) },
    })
    const refused = await access.refusal(sent, key)
    if (refused?.wasResent) throw unknown('delete')
    if (refused !== undefined) return []
    await access.deleteEntry(key, userId)
    return [key]
  }

  /**
   * Sends a change of the record with the version `expected`, and again where that record asked for another one: then
   * `adapt` says whether there is still something to do. `mine` is the version that the change leaves.
   */
  async function write(
    { expected, mine, now }: { expected: string; mine?: string; now: number },
    send: () => Promise<Refused | undefined>,
    adapt: (there: SessionRecord) => boolean | Promise<boolean>,
  ): Promise<WriteResult> {
    let mayBeDone = false
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const refused = await send()
      if (refused === undefined) return UPDATED
      const { item, wasResent } = refused
      mayBeDone ||= wasResent
      // The SDK has sent it twice, and the first was executed.
      if (mayBeDone && item !== undefined && item.version.S === mine) return UPDATED
      const there = alive(item, now)
      if (there?.version.S === expected) {
        if (!(await adapt(toRecord(there)))) return UPDATED
        continue
      }
      // The first may have been executed, and overwritten since.
      if (mayBeDone) throw unknown('write')
      return there === undefined ? MISSING : { outcome: 'conflict', record: toRecord(there) }
    }
    throw contended()
  }

  function unknown(what: string): Error {
    return storeError(
      `the SDK sent a ${what} to ${place} twice, and the answer to the first was lost`,
      { executed: 'unknown' },
    )
  }

  function contended(): Error {
    return storeError(`a session in ${place} changes too often to be written`, { executed: 'no' })
  }

  return {
    name: 'dynamodb',
    limits: { maxPayloadBytes: MAX_ITEM_BYTES - OTHER_ATTRIBUTES_BYTES },

    load: method(async (key: StoreKey, now: number) => {
      const found = alive(await access.read(sessionKey(key)), now)
      return found && toRecord(found)
    }),

    create: method(async (key: StoreKey, record: SessionRecord, now: number) => {
      const { userId, absoluteExpiresAt, version } = record
      if (userId !== undefined) await access.putEntry(key, userId, absoluteExpiresAt)
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const isFree = 'attribute_not_exists(pk) OR expiresAt <= :now'
        const refused = await put(key, record, isFree, { ':now': time(now) })
        if (refused === undefined) return true
        if (refused.wasResent) {
          if (refused.item?.version.S === version) return true
          throw unknown('create')
        }
        if (alive(refused.item, now)) return false
      }
      throw contended()
    }),

    update: method((key: StoreKey, record: SessionRecord, expected: string, now: number) => {
      const { userId, absoluteExpiresAt, version } = record
      const isEnding = record.expiresAt <= now
      let next = record
      let hasEntry = userId === undefined

      function send(): Promise<Refused | undefined> {
        const seen = isEnding ? {} : { ':seen': time(next.lastSeenAt) }
        const user = hasEntry
          ? {}
          : { ':user': { S: userId }, ':absolute': time(absoluteExpiresAt) }
        return put(
          key,
          next,
          `version = :expected AND expiresAt > :now${isEnding ? '' : NOT_SEEN_SINCE}${hasEntry ? '' : HAS_ENTRY}`,
          { ':expected': { S: expected }, ':now': time(now), ...seen, ...user },
        )
      }

      return write({ expected, mine: version, now }, send, async (there) => {
        if (!isEnding) next = seenSince(record, there)
        const isNew = there.userId !== userId || there.absoluteExpiresAt < absoluteExpiresAt
        if (userId !== undefined && isNew) {
          await access.putEntry(key, userId, absoluteExpiresAt)
          hasEntry = true
        }
        return true
      })
    }),

    touch: method(
      (key: StoreKey, expected: string, lastSeenAt: number, expiresAt: number, now: number) => {
        const send = () =>
          access.refusal(
            client.updateItem({
              TableName,
              Key: sessionKey(key),
              ConditionExpression: `version = :expected AND expiresAt > :now AND lastSeenAt < :seen`,
              UpdateExpression: 'SET lastSeenAt = :seen, expiresAt = :expires, removeAt = :remove',
              ExpressionAttributeValues: {
                ':expected': { S: expected },
                ':now': time(now),
                ':seen': time(lastSeenAt),
                ':expires': time(expiresAt),
                ':remove': removeAfter(expiresAt),
              },
              ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
            }),
            key,
          )
        return write({ expected, now }, send, (there) => there.lastSeenAt < lastSeenAt)
      },
    ),

    delete: method(async (key: StoreKey, now: number) => {
      const answer = await client.deleteItem({
        TableName,
        Key: sessionKey(key),
        ReturnValues: 'ALL_OLD',
      })
      const gone = answer.Attributes
      if (gone === undefined && wasResent(answer)) throw unknown('delete')
      if (gone?.userId !== undefined) await access.deleteEntry(key, gone.userId.S)
      return alive(gone, now) !== undefined
    }),

    listByUser: method(async (userId: string, now: number) => {
      const items = await access.readMany(await access.keysOf(userId))
      // The record decides whose session it is.
      const mine = items.filter((item) => item.userId?.S === userId && alive(item, now))
      return mine.map((item) => ({ key: keyOf(item), record: toRecord(item) }))
    }),

    deleteByUser: method(async (userId: string, { except, mark, now }: DeleteByUserOptions) => {
      const sent = client.putItem({
        TableName,
        Item: toMark(userId, mark),
        ConditionExpression: 'attribute_not_exists(pk) OR expiresAt <= :expires',
        ExpressionAttributeValues: { ':expires': time(mark.expiresAt) },
      })
      // A mark that stays longer is newer.
      await unlessRefused(sent)
      const keys = (await access.keysOf(userId)).filter((key) => !except.includes(key))
      const ended: StoreKey[] = []
      for (let next = 0; next < keys.length; next += SIDE_BY_SIDE) {
        const some = keys.slice(next, next + SIDE_BY_SIDE)
        const ends = some.map((key) => end(key, userId, now))
        // Nothing may be under way any more when this rejects.
        await Promise.allSettled(ends)
        ended.push(...(await Promise.all(ends)).flat())
      }
      return ended
    }),

    revocationMark: method(async (userId: string, now: number) => {
      return alive(await access.read(markKey(userId)), now)?.mark.S as string | undefined
    }),

    ping: method(async () => {
      await access.read(sessionKey('staykept-check-of-life' as StoreKey))
      return { now: clockOf(client), concerns: await timeToLive() }
    }),
  }
}

/** The record as `update` stores it where last-seen was moved on since: it is not moved back, and the deadline moves along. */
function seenSince(record: SessionRecord, stored: SessionRecord): SessionRecord {
  const ahead = stored.lastSeenAt - record.lastSeenAt
  if (ahead <= 0) return record
  const expiresAt = Math.min(record.expiresAt + ahead, record.absoluteExpiresAt)
  return { ...record, lastSeenAt: stored.lastSeenAt, expiresAt }
}

const NOT_SEEN_SINCE = ' AND lastSeenAt <= :seen'
/** The entry of a user was written before the record that names him, and stays as long as that can live. */
const HAS_ENTRY = ' AND userId = :user AND absoluteExpiresAt >= :absolute'

const UPDATED: WriteResult = Object.freeze({ outcome: 'updated' })
const MISSING: WriteResult = Object.freeze({ outcome: 'missing' })

const ATTEMPTS = 10
/** Half of the connections of the SDK. */
const SIDE_BY_SIDE = 25

/** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html */
const MAX_ITEM_BYTES = 400 * 1024
/** More than a key, a version, a user id, four times and their names take. */
const OTHER_ATTRIBUTES_BYTES = 2 * 1024

function checked(options: DynamodbStoreOptions): DynamodbStoreOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      "dynamodbStore takes an object: dynamodbStore({ client: new DynamoDB({}), table: 'sessions' })",
    )
  }
  const { client, table, ...others } = options
  for (const name of Object.keys(others)) {
    throw new TypeError(`dynamodbStore has no option "${name}": it takes client and table`)
  }
  assertClient(client)
  if (table !== undefined && !/^[\w.-]{3,255}$/.test(String(table))) {
    throw new TypeError(
      `dynamodbStore needs a name of 3 to 255 letters, digits, _, - and . as table, not '${String(table)}'`,
    )
  }
  return options
}
