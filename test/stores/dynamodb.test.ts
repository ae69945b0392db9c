import { DynamoDB, DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import { type SessionStore, session } from 'staykept'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Around, ChangingMethod } from '../../src/conformance/hooks.js'
import { testSessionStore } from '../../src/conformance.js'
import { PRUNE_SLACK, type SessionRecord, type StoreKey } from '../../src/core/store.js'
import {
  type DynamodbClient,
  type DynamodbStoreOptions,
  dynamodbStore,
  dynamodbTable,
} from '../../src/stores/dynamodb.js'
import { configOf, start, wish } from '../servers/dynamodb.js'
import type { ServerProcess } from '../servers/process.js'

const endpoint = process.env.DYNAMODB_ENDPOINT
if (endpoint === undefined) {
  console.log('not run: dynamodb elsewhere: DYNAMODB_ENDPOINT names none')
}

const servers: ServerProcess[] = []
let tables = 0

async function startDouble(year?: 'before-2023'): Promise<number> {
  const server = await start(year)
  servers.push(server)
  return server.port
}

afterAll(async () => {
  for (const server of servers) await server.close()
})

/** Registers the kit, with one client for all stores as an application has it. */
function kit(config: () => Promise<DynamoDBClientConfig>, port?: () => number): void {
  let client: DynamoDB
  beforeAll(async () => {
    client = new DynamoDB(await config())
  })
  afterAll(() => client.destroy())

  testSessionStore({
    test,
    async open() {
      const table = await newTable(client)
      const gate = interceptable(client)
      return {
        store: dynamodbStore({ client: gate.client, table }),
        reopen: () => dynamodbStore({ client, table }),
        intercept: gate.intercept,
        done: async () => void (await client.deleteTable({ TableName: table })),
        ...(port && {
          cutReply: async (method: ChangingMethod) => {
            await wish(port(), { cut: method, times: 1 })
          },
          executions: async (method: ChangingMethod) => (await wish(port())).executed[method] ?? 0,
        }),
      }
    },
  })
}

describe('as the SDK is by default', () => {
  kit(async () => (endpoint === undefined ? configOf(await startDouble()) : { endpoint }))
})

describe.skipIf(endpoint)('with one attempt for each command, on an engine of before 2023', () => {
  let port: number
  kit(
    async () => {
      port = await startDouble('before-2023')
      return { ...configOf(port), maxAttempts: 1 }
    },
    () => port,
  )
})

describe.skipIf(endpoint)('what is sent', () => {
  const place = onDouble()

  test('a read is one GetItem, and nothing else', async () => {
    const { store } = place
    await store.create(KEY, record({ userId: 'ada' }), NOW)
    expect(await place.sent(() => store.load(KEY, NOW))).toEqual({ GetItem: 1 })
    expect(await place.sent(() => store.load('other' as StoreKey, NOW))).toEqual({ GetItem: 1 })
    expect(await place.sent(() => store.revocationMark?.('ada', NOW))).toEqual({ GetItem: 1 })
  })

  test('a commit and a touch of anybody are one command, also on conflict', async () => {
    for (const userId of [undefined, 'ada']) {
      const { store } = place
      const key = `key of ${userId}` as StoreKey
      await store.create(key, record({ userId }), NOW)
      const next = record({ userId, version: 'v2' })
      const update = (): unknown => store.update(key, next, 'v1', NOW)
      expect(await place.sent(update)).toEqual({ PutItem: 1 })
      expect(await place.sent(update)).toEqual({ PutItem: 1 })
      const touch = (): unknown => store.touch(key, 'v2', NOW + 1, NOW + 9, NOW)
      expect(await place.sent(touch)).toEqual({ UpdateItem: 1 })
      expect(await place.sent(touch)).toEqual({ UpdateItem: 1 })
    }
  })

  test('a sign-in and its end are one command more, for the entry of the user', async () => {
    const { store } = place
    expect(await place.sent(() => store.create(KEY, record({ userId: 'ada' }), NOW))).toEqual({
      PutItem: 2,
    })
    expect(await place.sent(() => store.delete(KEY, NOW))).toEqual({ DeleteItem: 2 })
    await store.create(KEY, record(), NOW)
    const signIn = record({ version: 'v2', userId: 'ada' })
    // Refused, since there is no entry yet; the entry; and again.
    expect(await place.sent(() => store.update(KEY, signIn, 'v1', NOW))).toEqual({ PutItem: 3 })
  })

  test('a list is one Query and one BatchGetItem for each hundred', async () => {
    const { store } = place
    const keys = Array.from({ length: 150 }, (_, index) => `key ${index}` as StoreKey)
    for (const key of keys) await store.create(key, record({ userId: 'many' }), NOW)
    let listed: unknown[] = []
    const list = async (): Promise<void> => {
      listed = (await store.listByUser?.('many', NOW)) ?? []
    }
    expect(await place.sent(list)).toEqual({ Query: 1, BatchGetItem: 2 })
    expect(listed).toHaveLength(150)
  })

  test('every read is consistent', async () => {
    const inputs: object[] = []
    const client = bound(place.client)
    const note =
      <T>(send: (input: never) => Promise<T>, reads: (input: never) => object) =>
      (input: never): Promise<T> => {
        inputs.push(reads(input))
        return send(input)
      }
    const { table } = place
    const store = dynamodbStore({
      table,
      client: {
        ...client,
        getItem: note(client.getItem, (input) => input),
        query: note(client.query, (input) => input),
        batchGetItem: note(
          client.batchGetItem as (input: never) => ReturnType<DynamodbClient['batchGetItem']>,
          ({ RequestItems }: { RequestItems: Record<string, object> }) => RequestItems[table] ?? {},
        ),
      },
    })
    await store.create(KEY, record({ userId: 'ada' }), NOW)
    await store.load(KEY, NOW)
    await store.listByUser?.('ada', NOW)
    await store.revocationMark?.('ada', NOW)
    await store.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW })
    expect(inputs).toHaveLength(5)
    for (const input of inputs) expect(input).toMatchObject({ ConsistentRead: true })
  })

  test('a list of more than one page is whole', async () => {
    const { client, store, table } = place
    const keys = Array.from({ length: 7 }, (_, index) => `key ${index}` as StoreKey)
    for (const key of keys) await store.create(key, record({ userId: 'ada' }), NOW)
    let pages = 0
    const query: DynamodbClient['query'] = (input) => {
      pages += 1
      return client.query({ ...input, Limit: 2 })
    }
    const paged = dynamodbStore({ table, client: { ...bound(client), query } })
    expect(await paged.listByUser?.('ada', NOW)).toHaveLength(7)
    expect(pages).toBe(4)
    const end = { except: [], mark: MARK, now: NOW }
    expect(await paged.deleteByUser?.('ada', end)).toHaveLength(7)
  })

  test('nothing is under way any more when the end of all rejects', async () => {
    const { client, store, table } = place
    const keys = ['a', 'b', 'c'] as StoreKey[]
    for (const key of keys) await store.create(key, record({ userId: 'ada' }), NOW)
    let underWay = 0
    const deleteItem: DynamodbClient['deleteItem'] = async (input) => {
      if (input.Key.pk.S === 'session#a') throw new Error('the connection broke')
      underWay += 1
      await new Promise((resolve) => setTimeout(resolve, 30))
      underWay -= 1
      return client.deleteItem(input)
    }
    const failing = dynamodbStore({ table, client: { ...bound(client), deleteItem } })
    const ending = failing.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW })
    await expect(ending).rejects.toThrow('the connection broke')
    expect(underWay).toBe(0)
    expect(await store.listByUser?.('ada', NOW)).toMatchObject([{ key: 'a' }])
  })

  test('a list of more than 16 MB is whole', async () => {
    const { store } = place
    const payload = 'x'.repeat(390_000)
    const keys = Array.from({ length: 45 }, (_, index) => `key ${index}` as StoreKey)
    for (const key of keys) await store.create(key, record({ userId: 'large', payload }), NOW)
    expect(await store.listByUser?.('large', NOW)).toHaveLength(45)
  })
})

describe.skipIf(endpoint)('an entry of a user', () => {
  const place = onDouble()
  const entry = { pk: { S: 'user#ada' }, sk: { S: `session#${KEY}` } }
  const removeAt = async (): Promise<number> => {
    const { Item } = await place.client.getItem({ TableName: place.table, Key: entry })
    return Number(Item?.removeAt?.N) * 1000
  }

  test('stays as long as its session can live', async () => {
    const { store } = place
    await store.create(KEY, record({ userId: 'ada' }), NOW)
    expect(await removeAt()).toBe(NOW + 2 * HOUR + PRUNE_SLACK)
    const longer = record({ userId: 'ada', version: 'v2', absoluteExpiresAt: NOW + 9 * HOUR })
    await store.update(KEY, longer, 'v1', NOW)
    expect(await removeAt()).toBe(NOW + 9 * HOUR + PRUNE_SLACK)
  })

  test('is not given less by the one of two sign-ins that loses', async () => {
    const { store } = place
    await store.create(KEY, record(), NOW)
    const winner = record({ userId: 'ada', version: 'v2', absoluteExpiresAt: NOW + 9 * HOUR })
    expect(await store.update(KEY, winner, 'v1', NOW)).toEqual({ outcome: 'updated' })
    // Comes from before: it writes its entry, and then finds another version.
    const late = new Map<string, number>()
    const slow = dynamodbStore({
      table: place.table,
      client: {
        ...bound(place.client),
        putItem: async (input) => {
          const turn = (late.get('turn') ?? 0) + 1
          late.set('turn', turn)
          if (turn > 1) return place.client.putItem(input)
          const Item = { version: { S: 'v1' }, ...times(NOW + HOUR) }
          const error = Object.assign(new Error('refused'), { Item, $metadata: { attempts: 1 } })
          throw Object.assign(error, { name: 'ConditionalCheckFailedException' })
        },
      },
    })
    const loser = record({ userId: 'ada', version: 'v3' })
    expect(await slow.update(KEY, loser, 'v1', NOW)).toMatchObject({ outcome: 'conflict' })
    expect(late.get('turn')).toBe(3)
    expect(await removeAt()).toBe(NOW + 9 * HOUR + PRUNE_SLACK)
  })

  test('that could not be removed with its session hides nothing and shows nothing', async () => {
    const { store } = place
    await store.create(KEY, record({ userId: 'ada' }), NOW)
    let turn = 0
    const failing = dynamodbStore({
      table: place.table,
      client: {
        ...bound(place.client),
        deleteItem: async (input) => {
          turn += 1
          if (turn === 2) throw new Error('the connection broke')
          return place.client.deleteItem(input)
        },
      },
    })
    expect(await failing.delete(KEY, NOW)).toBe(true)
    expect(await removeAt()).toBe(NOW + 2 * HOUR + PRUNE_SLACK)
    expect(await store.listByUser?.('ada', NOW)).toEqual([])
    expect(await store.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW })).toEqual([])
  })
})

describe.skipIf(endpoint)('a reply that is lost, where the SDK sends again', () => {
  const place = onDouble()
  const next = record({ version: 'v2', userId: 'ada' })
  const calls: Readonly<Record<ChangingMethod, (store: SessionStore) => unknown>> = {
    create: (store) => store.create('new' as StoreKey, record({ userId: 'ada' }), NOW),
    update: (store) => store.update(KEY, next, 'v1', NOW),
    touch: (store) => store.touch(KEY, 'v1', NOW + 5, NOW + 50, NOW),
    delete: (store) => store.delete(KEY, NOW),
  }

  beforeEach(() => place.store.create(KEY, record({ userId: 'ada' }), NOW))

  test.each(['create', 'update', 'touch'] as const)(
    'of %s: what stands there is known as its own, and it was executed once',
    async (method) => {
      const before = (await wish(place.port, { cut: method, times: 1 })).executed[method] ?? 0
      const answer = await calls[method](place.store)
      expect(answer).toEqual(method === 'create' ? true : { outcome: 'updated' })
      expect((await wish(place.port)).executed[method]).toBe(before + 1)
    },
  )

  test('twice: the third attempt still knows it', async () => {
    // A delete without a condition is executed each time, and what it finds the third time is nothing.
    await wish(place.port, { cut: 'update', times: 2 })
    expect(await calls.update(place.store)).toEqual({ outcome: 'updated' })
  })

  test('of delete is unknown: the second attempt finds nothing', async () => {
    await wish(place.port, { cut: 'delete', times: 1 })
    await expect(calls.delete(place.store)).rejects.toMatchObject({
      code: 'ERR_SESSION_OUTCOME_UNKNOWN',
      message: expect.stringMatching(/sent a delete to the table .* twice/),
    })
    expect(await place.store.load(KEY, NOW)).toBeUndefined()
  })

  test('of ending all of a user is unknown', async () => {
    await wish(place.port, { cut: 'delete', times: 1 })
    const ending = place.store.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW })
    await expect(ending).rejects.toMatchObject({ code: 'ERR_SESSION_OUTCOME_UNKNOWN' })
    expect(await place.store.load(KEY, NOW)).toBeUndefined()
  })

  const meanwhile: readonly [string, () => unknown][] = [
    ['written over', () => place.store.update(KEY, record({ version: 'v3' }), 'v2', NOW)],
    ['ended', () => place.store.delete(KEY, NOW)],
  ]
  test.each(meanwhile)('of what was %s before the second attempt is unknown', async (_, other) => {
    await expect(betweenAttempts(other, calls.update)).rejects.toMatchObject({
      code: 'ERR_SESSION_OUTCOME_UNKNOWN',
      message: expect.stringMatching(/sent a write to the table .* twice/),
    })
  })

  test('of a create that was written over before the second attempt is unknown', async () => {
    const key = 'new' as StoreKey
    const other = (): unknown => place.store.update(key, record({ version: 'v3' }), 'v1', NOW)
    await expect(betweenAttempts(other, calls.create)).rejects.toMatchObject({
      code: 'ERR_SESSION_OUTCOME_UNKNOWN',
    })
  })

  test('a refusal of a first attempt is certain', async () => {
    const { store } = place
    expect(await store.create(KEY, record({ version: 'v9' }), NOW)).toBe(false)
    expect(await store.update(KEY, next, 'v0', NOW)).toMatchObject({ outcome: 'conflict' })
    expect(await store.update('no' as StoreKey, next, 'v1', NOW)).toEqual({ outcome: 'missing' })
  })

  /** Executes `call` with a client that does `other` after its first attempt was executed, and before its second. */
  function betweenAttempts(other: () => unknown, call: (store: SessionStore) => unknown) {
    let isFirst = true
    const store = dynamodbStore({
      table: place.table,
      client: {
        ...bound(place.client),
        async putItem(input) {
          if (input.Item.sk.S !== 'session' || !isFirst) return place.client.putItem(input)
          isFirst = false
          await place.client.putItem(input)
          await other()
          return place.client.putItem(input).catch((error: { $metadata: { attempts: number } }) => {
            error.$metadata.attempts = 2
            throw error
          })
        },
      },
    })
    return Promise.resolve(call(store))
  }
})

describe.skipIf(endpoint)('what DynamoDB removes by itself', () => {
  const place = onDouble()

  test('says when, in seconds, ten minutes after its deadline', async () => {
    const { store } = place
    const seen = async (Key: object): Promise<unknown> =>
      (await place.client.getItem({ TableName: place.table, Key: Key as never })).Item?.removeAt
    const session = { pk: { S: `session#${KEY}` }, sk: { S: 'session' } }
    const after = (deadline: number) => ({ N: String((deadline + PRUNE_SLACK) / 1000) })
    await store.create(KEY, record(), NOW)
    expect(await seen(session)).toEqual(after(NOW + HOUR))
    await store.touch(KEY, 'v1', NOW + 1, NOW + 2 * HOUR, NOW)
    expect(await seen(session)).toEqual(after(NOW + 2 * HOUR))
    const mark = { value: 'mark', expiresAt: NOW + 3 * HOUR }
    await store.deleteByUser?.('ada', { except: [], mark, now: NOW })
    expect(await seen({ pk: { S: 'user#ada' }, sk: { S: 'mark' } })).toEqual(after(NOW + 3 * HOUR))
  })

  test('is told by check() where the table removes nothing, with the line that mends it', async () => {
    const sessions = session({ secret: 'x'.repeat(32), store: place.store })
    expect(await sessions.check()).toMatchObject({
      ok: true,
      concerns: [
        {
          code: 'WARN_SESSION_NEVER_REMOVED',
          message: expect.stringMatching(/aws dynamodb update-time-to-live --table-name staykept/),
        },
      ],
    })
    await sessions.close()
    await place.client.updateTimeToLive(dynamodbTable(place.table).timeToLive)
    const { client, table } = place
    expect((await dynamodbStore({ client, table }).ping?.())?.concerns).toEqual([])
  })

  test('is not asked for more than once a minute, and may be refused', async () => {
    const refusal = { type: 'AccessDeniedException', message: 'no', status: 400 }
    await wish(place.port, { refuse: { DescribeTimeToLive: refusal } })
    const pings = async (): Promise<void> => {
      for (let time = 0; time < 3; time += 1) {
        expect((await place.store.ping?.())?.concerns).toEqual([])
      }
    }
    expect(await place.sent(pings)).toEqual({ GetItem: 3, DescribeTimeToLive: 1 })
  })
})

describe.skipIf(endpoint)('what goes wrong is told with the mend', () => {
  const place = onDouble()
  const change = (store: SessionStore): Promise<unknown> =>
    Promise.resolve(store.create(KEY, record(), NOW)).then(
      () => undefined,
      (error: unknown) => error,
    )

  test('a table that is not there', async () => {
    const store = dynamodbStore({ client: place.client, table: 'nothing' })
    const told = {
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(
        /^the table nothing of DynamoDB is not there, .*: aws dynamodb create-table --table-name nothing /,
      ),
    }
    expect(await change(store)).toMatchObject(told)
    await expect(store.load(KEY, NOW)).rejects.toMatchObject(told)
    await expect(store.ping?.()).rejects.toMatchObject(told)
  })

  test.each([
    ['another name', ['id', 'S'], ['sk', 'S']],
    ['no sort key', ['pk', 'S'], undefined],
    ['a number as sort key', ['pk', 'S'], ['sk', 'N']],
  ] as const)('a table with another key: %s', async (_title, partition, sort) => {
    const table = `wrong_${tables++}`
    const keys = sort === undefined ? [partition] : [partition, sort]
    await place.client.createTable({
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: keys.map(([AttributeName, AttributeType]) => ({
        AttributeName,
        AttributeType,
      })),
      KeySchema: keys.map(([AttributeName], index) => ({
        AttributeName,
        KeyType: index === 0 ? ('HASH' as const) : ('RANGE' as const),
      })),
    })
    const told = {
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/has another key: sessions need one with pk as partition key/),
    }
    await active(place.client, table)
    const store = dynamodbStore({ client: place.client, table })
    await expect(store.ping?.()).rejects.toMatchObject(told)
    await expect(store.load(KEY, NOW)).rejects.toMatchObject(told)
    await expect(store.listByUser?.('ada', NOW)).rejects.toMatchObject(told)
    // A table without a sort key takes what has one.
    if (sort !== undefined) expect(await change(store)).toMatchObject(told)
  })

  const refusals: readonly [string, { type: string; status: number }, RegExp][] = [
    ['no capacity', { type: 'ProvisionedThroughputExceededException', status: 400 }, /on demand/],
    ['no right', { type: 'AccessDeniedException', status: 400 }, /allow dynamodb:GetItem, Batch/],
    [
      'a wrong key',
      { type: 'UnrecognizedClientException', status: 400 },
      /look at the credentials/,
    ],
    ['an expired key', { type: 'ExpiredTokenException', status: 400 }, /look at the credentials/],
  ]
  test.each(refusals)(
    '%s: certain after one attempt, else unknown',
    async (_, refusal, message) => {
      const { table, port } = place
      await wish(port, { refuse: { PutItem: { ...refusal, message: 'no' } } })
      const once = new DynamoDB({ ...configOf(port), maxAttempts: 1 })
      const error = await change(dynamodbStore({ client: once, table }))
      expect(error).toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(message),
      })
      const throttled = /Throughput/.test(refusal.type)
      expect(await change(place.store)).toMatchObject({
        code: throttled ? 'ERR_SESSION_OUTCOME_UNKNOWN' : 'ERR_SESSION_STORE',
      })
      once.destroy()
    },
  )

  test('a trouble inside DynamoDB is unknown', async () => {
    const { table, port } = place
    const refusal = { type: 'InternalServerError', status: 500, message: 'no' }
    await wish(port, { refuse: { PutItem: refusal } })
    const once = new DynamoDB({ ...configOf(port), maxAttempts: 1 })
    expect(await change(dynamodbStore({ client: once, table }))).toMatchObject({
      code: 'ERR_SESSION_OUTCOME_UNKNOWN',
      message: expect.stringMatching(/did not answer\. It goes on by itself/),
    })
    once.destroy()
  })

  test('an endpoint that is not there', async () => {
    const client = new DynamoDB({ ...configOf(1), maxAttempts: 1 })
    expect(await change(dynamodbStore({ client }))).toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/cannot be reached: look at the region and the endpoint/),
    })
  })

  test('credentials that are not there', async () => {
    const { CredentialsProviderError } = (await import('@smithy/core/config')) as {
      CredentialsProviderError: new (message: string) => Error
    }
    const client = new DynamoDB({
      ...configOf(place.port),
      credentials: async () => {
        throw new CredentialsProviderError('Could not load credentials from any providers')
      },
    })
    expect(await change(dynamodbStore({ client }))).toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/look at the credentials and the region of the client/),
    })
  })

  test('a client that was destroyed goes on, as the SDK has it', async () => {
    const { table, port } = place
    const client = new DynamoDB(configOf(port))
    const store = dynamodbStore({ client, table })
    await store.create(KEY, record(), NOW)
    client.destroy()
    expect(await store.load(KEY, NOW)).toEqual(record())
    client.destroy()
  })

  test('a payload over the limit leaves nothing behind', async () => {
    const { store } = place
    await store.create(KEY, record(), NOW)
    const limit = store.limits?.maxPayloadBytes ?? 0
    const over = record({ payload: 'x'.repeat(limit + 2 * 1024), version: 'v2', userId: 'ada' })
    await expect(store.update(KEY, over, 'v1', NOW)).rejects.toThrow(/size/)
    expect(await store.load(KEY, NOW)).toEqual(record())
    expect(await store.listByUser?.('ada', NOW)).toEqual([])
  })
})

describe.skipIf(endpoint)('an endpoint that comes and goes', () => {
  test('is used again when it is back, silent or killed', async () => {
    const server = await start()
    servers.push(server)
    const client = new DynamoDB(configOf(server.port))
    const table = await newTable(client)
    const store = dynamodbStore({ client, table })
    await store.create(KEY, record(), NOW)

    server.pause()
    const held = store.load(KEY, NOW)
    server.resume()
    expect(await held).toEqual(record())

    await server.kill()
    await expect(store.load(KEY, NOW)).rejects.toMatchObject({
      message: expect.stringMatching(/goes on by itself/),
    })
    await server.restart()
    await client.createTable(dynamodbTable(table).create)
    expect(await store.load(KEY, NOW)).toBeUndefined()
    client.destroy()
  })
})

test('the clock of the engine is what the SDK learnt of it', async () => {
  const client = {
    ...METHODS,
    getItem: async () => ({}),
    config: { systemClockOffset: 7 * HOUR },
  }
  const { now } = (await dynamodbStore({ client }).ping?.()) ?? {}
  expect(Math.abs((now ?? 0) - Date.now() - 7 * HOUR)).toBeLessThan(5000)
  const { config: _, ...other } = client
  expect((await dynamodbStore({ client: other }).ping?.())?.now).toBeUndefined()
})

describe('wrong arguments', () => {
  const client = new DynamoDB(configOf(1))
  class DynamoDBDocument {
    send(): void {}
  }
  const wrong: readonly [string, unknown, RegExp][] = [
    [
      'nothing',
      undefined,
      /^dynamodbStore takes an object: dynamodbStore\(\{ client: new DynamoDB/,
    ],
    ['no client', {}, /not undefined$/],
    ['a class', { client: DynamoDB }, /not a class: make an instance with new$/],
    ['a promise', { client: Promise.resolve(client) }, /not a promise: await it first$/],
    [
      'a client that only sends',
      { client: new DynamoDBClient(configOf(1)) },
      /not DynamoDBClient: DynamoDB takes the same options and is the same client, with a method/,
    ],
    [
      'a document client',
      { client: new DynamoDBDocument() },
      /not DynamoDBDocument, which converts what it is given: pass the client that it was made from$/,
    ],
    ['version 2', { client: { makeRequest() {} } }, /not a client of the AWS SDK version 2$/],
    ['something else', { client: new Map() }, /not an object without getItem, .* \(Map\)$/],
    ['a short name', { client, table: 'ab' }, /of 3 to 255 .* as table, not 'ab'$/],
    ['a name with a space', { client, table: 'my table' }, /as table, not 'my table'$/],
    ['a name for a shell', { client, table: 'x; rm -rf' }, /as table/],
    ['an option of others', { client, collection: 'x' }, /has no option "collection": it takes/],
  ]
  test.each(wrong)('%s', (_, options, message) => {
    expect(() => dynamodbStore(options as DynamodbStoreOptions)).toThrow(TypeError)
    expect(() => dynamodbStore(options as DynamodbStoreOptions)).toThrow(message)
  })
})

const NOW = 2_000_000_000_000
const HOUR = 3_600_000
const KEY = 'RCtaBeE19VXPInwU6H3OgA' as StoreKey
const MARK = { value: 'mark', expiresAt: NOW + HOUR }
const METHODS = {
  getItem: unexpected,
  batchGetItem: unexpected,
  query: unexpected,
  putItem: unexpected,
  updateItem: unexpected,
  deleteItem: unexpected,
}

function unexpected(): never {
  throw new Error('this was not to be called')
}

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  const all = {
    version: 'v1',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + HOUR,
    absoluteExpiresAt: NOW + 2 * HOUR,
    ...changes,
  }
  const { userId, ...rest } = all
  return userId === undefined ? rest : all
}

function times(expiresAt: number): object {
  const fields = { lastSeenAt: NOW, expiresAt, absoluteExpiresAt: expiresAt }
  const attributes = Object.entries(fields).map(([name, time]) => [name, { N: String(time) }])
  return { payload: { S: '{}' }, ...Object.fromEntries(attributes) }
}

async function newTable(client: DynamoDB): Promise<string> {
  tables += 1
  const table = `staykept_${process.pid}_${tables}`
  await client.createTable(dynamodbTable(table).create)
  await active(client, table)
  return table
}

async function active(client: DynamoDB, TableName: string): Promise<void> {
  while ((await client.describeTable({ TableName })).Table?.TableStatus !== 'ACTIVE') {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The methods that the store needs, free to be copied. */
function bound(client: DynamoDB): DynamodbClient {
  const names = Object.keys(METHODS) as (keyof typeof METHODS)[]
  const methods = names.map((name) => [name, client[name].bind(client)])
  return Object.fromEntries(methods)
}

/** A double for the tests of one group; each test has a store on a table of its own. */
function onDouble() {
  const place = {
    port: 0,
    table: '',
    client: undefined as unknown as DynamoDB,
    store: undefined as unknown as SessionStore,
    /** How many of which commands came while `call` ran. */
    async sent(call: () => unknown): Promise<object> {
      const { asked: before } = await wish(place.port)
      await call()
      const { asked } = await wish(place.port)
      const counts = Object.entries(asked).map(([name, n]) => [name, n - (before[name] ?? 0)])
      return Object.fromEntries(counts.filter(([, n]) => n !== 0))
    },
  }
  beforeAll(async () => {
    place.port = await startDouble()
    place.client = new DynamoDB(configOf(place.port))
  })
  beforeEach(async () => {
    place.table = await newTable(place.client)
    place.store = dynamodbStore({ client: place.client, table: place.table })
  })
  afterEach(() => wish(place.port, { cut: '', times: 0, refuse: {} }))
  afterAll(() => place.client.destroy())
  return place
}

/** A client of which every command can be held. */
function interceptable(client: DynamoDB) {
  let around: Around = (send) => send()
  const held = Object.entries(bound(client)).map(([name, send]) => [
    name,
    (input: never) => around(() => (send as (input: never) => Promise<unknown>)(input)),
  ])
  const intercept = (next: Around) => {
    around = next
    return () => {
      around = (send) => send()
    }
  }
  return { client: Object.fromEntries(held) as DynamodbClient, intercept }
}
