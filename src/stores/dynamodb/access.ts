import { storeError } from '../../core/errors.js'
import type { StoreKey } from '../../core/store.js'
import type { DynamodbClient, DynamodbItem, WriteOutput } from './client.js'
import { entriesOf, entryKey, keyOf, sessionKey, toEntry } from './items.js'
import { type Refused, refusalOf } from './trouble.js'

/** What the store does to its table, one command or a few of a kind. */
export interface TableAccess {
  read(key: DynamodbItem): Promise<DynamodbItem | undefined>
  /** The records that are there. */
  readMany(keys: readonly StoreKey[]): Promise<DynamodbItem[]>
  /** What kept a conditional write of a record from being executed; `undefined` where it was. */
  refusal(sent: Promise<WriteOutput>, key: StoreKey): Promise<Refused | undefined>
  putEntry(key: StoreKey, userId: string, absoluteExpiresAt: number): Promise<void>
  deleteEntry(key: StoreKey, userId: string): Promise<void>
  /** The sessions that a user has, had or is about to have. */
  keysOf(userId: string): Promise<StoreKey[]>
}

export function accessTo(client: DynamodbClient, table: string): TableAccess {
  const TableName = table
  const place = `the table ${table} of DynamoDB`

  async function read(Key: DynamodbItem): Promise<DynamodbItem | undefined> {
    return (await client.getItem({ TableName, Key, ConsistentRead: true })).Item
  }

  return {
    read,

    async readMany(keys) {
      const items: DynamodbItem[] = []
      let unread = keys.map(sessionKey)
      for (let fruitless = 0; unread.length > 0; ) {
        const asked = { Keys: unread.slice(0, MOST_KEYS), ConsistentRead: true }
        const answer = await client.batchGetItem({ RequestItems: { [table]: asked } })
        items.push(...(answer.Responses?.[table] ?? []))
        // It answers at most 16 MB at a time, and what there is capacity for.
        const left = answer.UnprocessedKeys?.[table]?.Keys ?? []
        fruitless = left.length < asked.Keys.length ? 0 : fruitless + 1
        if (fruitless === PATIENCE) throw storeError(`${place} ${BUSY}`, { executed: 'no' })
        unread = [...left, ...unread.slice(MOST_KEYS)]
      }
      return items
    },

    async refusal(sent, key) {
      try {
        await sent
        return undefined
      } catch (error) {
        const refused = refusalOf(error)
        if (refused === undefined) throw error
        // Emulators that are not of this year do not say what stood there.
        return { ...refused, item: refused.item ?? (await read(sessionKey(key))) }
      }
    },

    async putEntry(key, userId, absoluteExpiresAt) {
      const Item = toEntry(key, userId, absoluteExpiresAt)
      const sent = client.putItem({
        TableName,
        Item,
        // Of two sign-ins at once the one that loses must not take from the other's time.
        ConditionExpression: 'attribute_not_exists(pk) OR removeAt < :remove',
        ExpressionAttributeValues: { ':remove': Item.removeAt },
      })
      await unlessRefused(sent)
    },

    async deleteEntry(key, userId) {
      // The record is gone. An entry that stays finds nothing any more, and goes when the session would have.
      await client.deleteItem({ TableName, Key: entryKey(userId, key) }).catch(() => undefined)
    },

    async keysOf(userId) {
      const keys: StoreKey[] = []
      let from: DynamodbItem | undefined
      do {
        const page = await client.query({
          TableName,
          ConsistentRead: true,
          ...entriesOf(userId),
          ...(from === undefined ? {} : { ExclusiveStartKey: from }),
        })
        keys.push(...(page.Items ?? []).map(keyOf))
        from = page.LastEvaluatedKey
      } while (from !== undefined)
      return keys
    },
  }
}

/** For a write that is not needed where its condition does not hold. */
export async function unlessRefused(sent: Promise<WriteOutput>): Promise<void> {
  await sent.catch((error: unknown) => {
    if (refusalOf(error) === undefined) throw error
  })
}

/** The most that one BatchGetItem takes. */
const MOST_KEYS = 100
const PATIENCE = 5
const BUSY = 'has no capacity left for a list: let it be billed on demand, or raise its capacity'
