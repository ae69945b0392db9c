import { PRUNE_SLACK, type SessionRecord, type StoreKey } from '../../core/store.js'
import type { DynamodbItem } from './client.js'

/*
 * Three kinds of items in one table, each found by its key with a consistent read:
 *
 *   pk                     sk
 *   session#<key>          session           the record
 *   user#<user id>         session#<key>     says that the user has, had or is about to have this session
 *   user#<user id>         mark              the revocation mark
 */

export function sessionKey(key: StoreKey): DynamodbItem {
  return { pk: { S: `session#${key}` }, sk: { S: 'session' } }
}

export function entryKey(userId: string, key: StoreKey): DynamodbItem {
  return { pk: { S: `user#${userId}` }, sk: { S: ENTRY + key } }
}

export function markKey(userId: string): DynamodbItem {
  return { pk: { S: `user#${userId}` }, sk: { S: 'mark' } }
}

/** The entries of a user, and not the mark. */
export function entriesOf(userId: string): {
  KeyConditionExpression: string
  ExpressionAttributeValues: DynamodbItem
} {
  return {
    KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
    ExpressionAttributeValues: { ':pk': { S: `user#${userId}` }, ':sk': { S: ENTRY } },
  }
}

const ENTRY = 'session#'

/** The session that an entry or a record is about. */
export function keyOf(item: DynamodbItem): StoreKey {
  const { S: sort } = item.sk as { S: string }
  return (sort === 'session' ? item.pk.S : sort).slice(ENTRY.length) as StoreKey
}

export function toItem(key: StoreKey, record: SessionRecord): DynamodbItem {
  const { version, payload, userId, lastSeenAt, expiresAt, absoluteExpiresAt } = record
  return {
    ...sessionKey(key),
    version: { S: version },
    payload: { S: payload },
    ...(userId === undefined ? {} : { userId: { S: userId } }),
    lastSeenAt: time(lastSeenAt),
    expiresAt: time(expiresAt),
    absoluteExpiresAt: time(absoluteExpiresAt),
    removeAt: removeAfter(expiresAt),
  }
}

export function toRecord(item: DynamodbItem): SessionRecord {
  const record = {
    version: item.version.S as string,
    payload: item.payload.S as string,
    lastSeenAt: Number(item.lastSeenAt.N),
    expiresAt: Number(item.expiresAt.N),
    absoluteExpiresAt: Number(item.absoluteExpiresAt.N),
  }
  return item.userId === undefined ? record : { ...record, userId: item.userId.S as string }
}

/** Stays as long as the session can live, however much it is used. */
export function toEntry(key: StoreKey, userId: string, absoluteExpiresAt: number): DynamodbItem {
  return { ...entryKey(userId, key), removeAt: removeAfter(absoluteExpiresAt) }
}

export function toMark(userId: string, mark: { value: string; expiresAt: number }): DynamodbItem {
  return {
    ...markKey(userId),
    mark: { S: mark.value },
    expiresAt: time(mark.expiresAt),
    removeAt: removeAfter(mark.expiresAt),
  }
}

/** The item, unless its deadline is past. */
export function alive(item: DynamodbItem | undefined, now: number): DynamodbItem | undefined {
  return item !== undefined && Number(item.expiresAt.N) > now ? item : undefined
}

export function time(milliseconds: number): DynamodbItem {
  return { N: String(milliseconds) }
}

/** DynamoDB removes an item some time after this, in seconds since 1970 by its own clock. */
export function removeAfter(deadline: number): DynamodbItem {
  return { N: String(Math.ceil((deadline + PRUNE_SLACK) / 1000)) }
}
