import { MongoClient } from 'mongodb'
import { type SessionStore, session } from 'staykept'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ChangingMethod } from '../../src/conformance/hooks.js'
import { testSessionStore } from '../../src/conformance.js'
import { PRUNE_SLACK, type SessionRecord, type StoreKey } from '../../src/core/store.js'
import {
  type MongodbCollection,
  type MongodbDatabase,
  type MongodbStoreOptions,
  mongodbStore,
} from '../../src/stores/mongodb.js'
import { ask, start, type Told, urlOf, type Wishes, wish } from '../servers/mongodb.js'
import { freePort, type ServerProcess } from '../servers/process.js'

const real = process.env.MONGODB_URL
// No machine of CI can install one: this is said, and is no failure.
if (real === undefined) console.log('not run: mongodb on a real server: MONGODB_URL names none')

const servers: ServerProcess[] = []
let databases = 0

async function startDouble(kind: 'replica-set' | 'standalone'): Promise<string> {
  const server = await start(kind)
  servers.push(server)
  return urlOf(server.port)
}

afterAll(async () => {
  for (const server of servers) await server.close()
})

/** Registers the kit against one server, with one client for all stores as an application has it. */
function kit(url: () => Promise<string>, hooks: 'with hooks of the double' | ''): void {
  let client: MongoClient
  let at: string
  beforeAll(async () => {
    at = await url()
    client = new MongoClient(at)
  })
  afterAll(() => client.close())

  testSessionStore({
    test,
    async open() {
      const db = newDatabase(client)
      const gate = interceptable(db)
      const store = mongodbStore({ db: gate.db })
      // The indexes are made in the background, and belong to no call.
      await store.ping?.()
      return {
        store,
        reopen: () => mongodbStore({ db }),
        intercept: gate.intercept,
        done: async () => void (await db.dropDatabase()),
        ...(hooks && {
          cutReply: async (method: ChangingMethod) => void (await wish(at, { cut: method })),
          executions: async (method: ChangingMethod) => (await wish(at)).executed[method] ?? 0,
        }),
      }
    },
  })
}

describe('a replica set', () => {
  kit(async () => real ?? (await startDouble('replica-set')), '')
})

describe.skipIf(real)('a standalone server, where the driver sends nothing again', () => {
  kit(() => startDouble('standalone'), 'with hooks of the double')
})

describe.skipIf(real)('what is sent', () => {
  const place = onDouble('replica-set')

  test('a read is one find by the id, and nothing else', async () => {
    const { store } = place
    await store.create(KEY, record(), NOW)
    const { seen } = await place.during(() => store.load(KEY, NOW))
    expect(seen.map(({ name, command }) => [name, command.filter])).toEqual([
      ['find', { _id: KEY }],
    ])
  })

  test('a commit, a touch, a first store and an end are one command each', async () => {
    const { store } = place
    expect(await place.names(() => store.create(KEY, record(), NOW))).toEqual(['update'])
    const next = record({ version: 'v2' })
    expect(await place.names(() => store.update(KEY, next, 'v1', NOW))).toEqual(['update'])
    expect(await place.names(() => store.touch(KEY, 'v2', NOW + 1, NOW + 9, NOW))).toEqual([
      'update',
    ])
    expect(await place.names(() => store.delete(KEY, NOW))).toEqual(['findAndModify'])
  })

  test('a conflict and a missing one take one read more, from the primary', async () => {
    const { store } = place
    const conflict = (): unknown => store.update(KEY, record(), 'other', NOW)
    expect(await place.names(conflict)).toEqual(['update', 'find'])
    await store.create(KEY, record(), NOW)
    expect(await place.names(conflict)).toEqual(['update', 'find'])
  })

  test('every write waits for the majority and the journal, whatever the client was set to', async () => {
    const client = new MongoClient(place.url, {
      writeConcern: { w: 0 },
      readConcern: { level: 'available' },
      readPreference: 'secondaryPreferred',
      promoteValues: false,
      ignoreUndefined: true,
    })
    try {
      const store = mongodbStore({ db: newDatabase(client) })
      const { seen } = await place.during(async () => {
        await store.create(KEY, record({ userId: 'ada' }), NOW)
        await store.touch(KEY, 'v1', NOW + 1, NOW + 9, NOW)
        expect(await store.load(KEY, NOW)).toEqual(
          record({ userId: 'ada', lastSeenAt: NOW + 1, expiresAt: NOW + 9 }),
        )
        expect(await store.listByUser?.('ada', NOW)).toHaveLength(1)
        const mark = { value: 'mark', expiresAt: NOW + 9 }
        await store.deleteByUser?.('ada', { except: [], mark, now: NOW })
        expect(await store.revocationMark?.('ada', NOW)).toBe('mark')
        expect(await store.delete(KEY, NOW)).toBe(false)
      })
      const of = (...names: string[]) => seen.filter(({ name }) => names.includes(name))
      const writes = of('update', 'delete', 'findAndModify', 'createIndexes')
      expect(writes.length).toBeGreaterThan(4)
      for (const { command } of writes) {
        expect(command.writeConcern).toMatchObject({ w: 'majority', j: true })
      }
      expect(of('find').length).toBeGreaterThan(3)
      for (const { command } of of('find')) {
        expect(command.readConcern).toEqual({ level: 'local' })
        // Absent means the primary.
        expect([undefined, { mode: 'primary' }]).toContainEqual(command.$readPreference)
      }
    } finally {
      await client.close()
    }
  })

  test('nothing is under way any more when the end of all rejects', async () => {
    const gate = interceptable(place.db)
    const store = mongodbStore({ db: gate.db })
    const keys = ['a', 'b', 'c'] as StoreKey[]
    for (const key of keys) await store.create(key, record({ userId: 'ada' }), NOW)
    let commands = 0
    let underWay = 0
    gate.intercept(async (send) => {
      commands += 1
      // The mark, the list, and then one for each session.
      if (commands === 3) throw new Error('the connection broke')
      underWay += 1
      await new Promise((resolve) => setTimeout(resolve, 30))
      underWay -= 1
      return send()
    })
    const mark = { value: 'mark', expiresAt: NOW + HOUR }
    const ending = store.deleteByUser?.('ada', { except: [], mark, now: NOW })
    await expect(ending).rejects.toThrow('the connection broke')
    expect([commands, underWay]).toEqual([5, 0])
    expect(await place.store.listByUser?.('ada', NOW)).toHaveLength(1)
  })

  test('texts that begin with $ are texts, not names of fields', async () => {
    const { store } = place
    const first = record({ version: '$payload', payload: '$version', userId: '$_id' })
    await store.create(KEY, first, NOW)
    expect(await store.load(KEY, NOW)).toEqual(first)
    const next = record({ version: '$$NOW', payload: '$$ROOT', userId: '$$REMOVE' })
    expect(await store.update(KEY, next, '$payload', NOW)).toEqual({ outcome: 'updated' })
    expect(await store.load(KEY, NOW)).toEqual(next)
    const mark = { value: '$expiresAt', expiresAt: NOW + HOUR }
    expect(await store.deleteByUser?.('$$REMOVE', { except: [], mark, now: NOW })).toEqual([KEY])
    expect(await store.revocationMark?.('$$REMOVE', NOW)).toBe('$expiresAt')
  })

  test('a list of more than one batch is whole', async () => {
    const { store } = place
    const keys = Array.from({ length: 250 }, (_, index) => `key ${index}` as StoreKey)
    await Promise.all(keys.map((key) => store.create(key, record({ userId: 'many' }), NOW)))
    expect(await store.listByUser?.('many', NOW)).toHaveLength(250)
    const mark = { value: 'mark', expiresAt: NOW }
    const ended = await store.deleteByUser?.('many', { except: [], mark, now: NOW })
    expect([...(ended ?? [])].sort()).toEqual([...keys].sort())
  })
})

describe.skipIf(real)('a reply that is lost, where the driver may send again', () => {
  const place = onDouble('replica-set')
  const calls: Readonly<Record<ChangingMethod, (store: SessionStore) => unknown>> = {
    create: (store) => store.create('new' as StoreKey, record(), NOW),
    update: (store) => store.update(KEY, record({ version: 'v2' }), 'v1', NOW),
    touch: (store) => store.touch(KEY, 'v1', NOW + 5, NOW + 50, NOW),
    delete: (store) => store.delete(KEY, NOW),
  }
  const answers = { create: true, update: UPDATED(), touch: UPDATED(), delete: true }

  test.each(Object.keys(calls) as ChangingMethod[])(
    'of %s: the server knows the second by its number, executes it once and answers it as the first',
    async (method) => {
      const { store, url } = place
      await store.create(KEY, record(), NOW)
      const before = (await wish(url, { cut: method })).executed[method] ?? 0
      expect(await calls[method](store)).toEqual(answers[method])
      const { executed } = await wish(url)
      expect(executed[method]).toBe(before + 1)
    },
  )
})

describe.skipIf(real)('what MongoDB removes by itself', () => {
  const place = onDouble('replica-set')

  test('goes by the clock of the server: a process whose clock is five hours wrong stores the same', async () => {
    for (const wrong of [-5 * HOUR, 0, 5 * HOUR]) {
      const key = `clock ${wrong}` as StoreKey
      const now = Date.now() + wrong
      const times = { lastSeenAt: now, expiresAt: now + HOUR, absoluteExpiresAt: now + 2 * HOUR }
      await place.store.create(key, record(times), now)
      await expectRemoval(key, HOUR)
      await place.store.update(key, record({ ...times, version: 'v2' }), 'v1', now)
      await expectRemoval(key, HOUR)
      await place.store.touch(key, 'v2', now + 9, now + 2 * HOUR, now)
      await expectRemoval(key, 2 * HOUR)
    }
  })

  test('is not what is alive, nor what died less than the slack ago', async () => {
    const { store } = place
    await store.create(KEY, record({ userId: 'ada', expiresAt: NOW + HOUR }), NOW)
    const mark = { value: 'mark', expiresAt: NOW + HOUR }
    await store.deleteByUser?.('grace', { except: [], mark, now: NOW })
    const dead = Date.now() + HOUR
    expect(await removedAt(dead + PRUNE_SLACK - 5000)).toBe(0)
    expect(await store.load(KEY, NOW)).toBeDefined()
    // The session, and the mark.
    expect(await removedAt(dead + PRUNE_SLACK + 5000)).toBe(2)
    expect(await store.load(KEY, NOW)).toBeUndefined()
    expect(await store.revocationMark?.('grace', NOW)).toBeUndefined()
  })

  async function removedAt(at: number): Promise<number> {
    await place.store.ping?.()
    const answer = await ask(
      place.url,
      { removeExpired: 1, at: new Date(at) },
      place.db.databaseName,
    )
    return (answer as { removed: number }).removed
  }

  async function expectRemoval(key: StoreKey, left: number): Promise<void> {
    const stored = await place.db.collection('staykept_sessions').findOne({ _id: key as never })
    const from = Number(stored?.removeAt) - PRUNE_SLACK - left
    expect(Math.abs(from - Date.now())).toBeLessThan(30_000)
  }
})

describe.skipIf(real)('the indexes', () => {
  const place = onDouble('replica-set')

  test('are made by the first use, also by ten processes at once, and asked for once', async () => {
    const stores = Array.from({ length: 10 }, () => mongodbStore({ db: place.db }))
    const { seen } = await place.during(async () => {
      await Promise.all(
        stores.map((store, index) => store.create(`k${index}` as StoreKey, record(), NOW)),
      )
      await Promise.all(stores.map((store) => store.ping?.()))
      await Promise.all(stores.map((store) => store.listByUser?.('ada', NOW)))
    })
    expect(seen.filter(({ name }) => name === 'createIndexes')).toHaveLength(20)
    expect(await indexesOf('staykept_sessions')).toEqual([
      expect.objectContaining({ key: { removeAt: 1 }, expireAfterSeconds: 0 }),
      expect.objectContaining({ key: { userId: 1 }, sparse: true }),
    ])
    expect(await indexesOf('staykept_sessions_marks')).toEqual([
      expect.objectContaining({ key: { removeAt: 1 }, expireAfterSeconds: 0 }),
    ])
  })

  test('that may not be made are told by check() with the mend, and sessions work without', async () => {
    await wish(place.url, { refuse: { createIndexes: UNAUTHORIZED } })
    const { store } = place
    expect(await store.create(KEY, record(), NOW)).toBe(true)
    const { concerns } = (await store.ping?.()) ?? {}
    expect(concerns).toEqual([
      {
        code: 'WARN_SESSION_NEVER_REMOVED',
        message: expect.stringMatching(
          /^the collection staykept_sessions of MongoDB has no indexes, so expired .*: grant the role readWrite .*\(not allowed/,
        ),
      },
    ])
    const sessions = session({ secret: 'x'.repeat(32), store })
    expect(await sessions.check()).toMatchObject({ ok: true, concerns })
    await sessions.close()
  })

  test('that somebody with more rights has made are found', async () => {
    const { db, store } = place
    for (const name of ['staykept_sessions', 'staykept_sessions_marks']) {
      await db
        .collection(name)
        .createIndex({ removeAt: 1 }, { name: 'mine', expireAfterSeconds: 0 })
      await db.collection(name).createIndex({ userId: 1 }, { name: 'mine too', sparse: true })
    }
    await wish(place.url, { refuse: { createIndexes: UNAUTHORIZED } })
    expect((await store.ping?.())?.concerns).toEqual([])
  })

  async function indexesOf(name: string): Promise<object[]> {
    return (await place.db.collection(name).indexes()) as object[]
  }
})

describe.skipIf(real)('what goes wrong is told with the mend', () => {
  const place = onDouble('replica-set')
  const change = (store: SessionStore): Promise<unknown> =>
    Promise.resolve(store.create(KEY, record(), NOW)).then(
      () => undefined,
      (error: unknown) => error,
    )

  const refusals: readonly [string, object, string, RegExp][] = [
    ['no right to write', UNAUTHORIZED, 'ERR_SESSION_STORE', /grant the role readWrite/],
    [
      'a full disk',
      { code: 14031, codeName: 'OutOfDiskSpace', errmsg: 'available disk space of 1 bytes' },
      'ERR_SESSION_STORE_FULL',
      /free space on its disk. Nothing was changed/,
    ],
    [
      'the quota of a hosted cluster',
      { code: 8000, codeName: 'AtlasError', errmsg: 'you are over your space quota, using 514 MB' },
      'ERR_SESSION_STORE_FULL',
      /no room left/,
    ],
  ]
  test.each(refusals)('%s', async (_, refusal, code, message) => {
    await wish(place.url, { refuse: { update: refusal } })
    expect(await change(place.store)).toMatchObject({
      code,
      message: expect.stringMatching(message),
    })
    await wish(place.url, { refuse: {} })
    expect(await place.store.load(KEY, NOW)).toBeUndefined()
  })

  test('a write that the majority did not confirm is unknown', async () => {
    const error = {
      code: 64,
      codeName: 'WriteConcernTimeout',
      errmsg: 'waiting for replication timed out',
    }
    await wish(place.url, { unconfirmed: error })
    expect(await change(place.store)).toMatchObject({
      code: 'ERR_SESSION_OUTCOME_UNKNOWN',
      message: expect.stringMatching(/did not confirm: look at its members with rs\.status/),
    })
  })

  test('no primary is certain only where the driver did not send twice', async () => {
    const refusal = { code: 10107, codeName: 'NotWritablePrimary', errmsg: 'not primary' }
    for (const [retryWrites, code] of [
      [false, 'ERR_SESSION_STORE'],
      [true, 'ERR_SESSION_OUTCOME_UNKNOWN'],
    ] as const) {
      const client = new MongoClient(place.url, { retryWrites })
      const store = mongodbStore({ db: newDatabase(client) })
      await store.ping?.()
      await wish(place.url, { refuse: { update: refusal } })
      expect(await change(store)).toMatchObject({
        code,
        message: expect.stringMatching(/no primary/),
      })
      await wish(place.url, { refuse: {} })
      await client.close()
    }
  })

  test('a client that was closed', async () => {
    const client = new MongoClient(place.url)
    const store = mongodbStore({ db: newDatabase(client) })
    await store.create(KEY, record(), NOW)
    await client.close()
    expect(await change(store)).toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/was closed\. Close the client after sessions\.close\(\)/),
    })
  })

  test('a server that is not there', async () => {
    const client = new MongoClient('mongodb://ada:hunter2@127.0.0.1:1/', {
      serverSelectionTimeoutMS: 100,
      retryWrites: false,
    })
    const error = (await change(mongodbStore({ db: client.db('shop') }))) as Error
    expect(error).toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/cannot be reached: look whether MongoDB runs/),
    })
    expect(error.message).not.toMatch(/hunter2/)
    await client.close()
  })

  test('a server that was not there at first is used as soon as it is', async () => {
    const port = await freePort()
    const client = new MongoClient(urlOf(port), { serverSelectionTimeoutMS: 100 })
    const store = mongodbStore({ db: client.db('shop') })
    for (let time = 0; time < 2; time += 1) {
      expect(await change(store)).toMatchObject({ code: 'ERR_SESSION_STORE' })
    }
    const server = await start('replica-set', port)
    servers.push(server)
    expect(await store.create(KEY, record(), NOW)).toBe(true)
    await client.close()
  })

  test('a payload over the limit leaves nothing behind', async () => {
    const { store } = place
    const limit = store.limits?.maxPayloadBytes ?? 0
    expect(await store.create(KEY, record({ payload: 'x'.repeat(limit) }), NOW)).toBe(true)
    const over = record({ payload: 'x'.repeat(limit + 8 * 1024), version: 'v2' })
    await expect(store.update(KEY, over, 'v1', NOW)).rejects.toThrow()
    expect((await store.load(KEY, NOW))?.version).toBe('v1')
  })
})

describe.skipIf(real)('a server that comes and goes', () => {
  test('is used again when it is back, killed or silent', async () => {
    const server = await start('replica-set')
    servers.push(server)
    const client = new MongoClient(urlOf(server.port), { serverSelectionTimeoutMS: 500 })
    const store = mongodbStore({ db: client.db('shop') })
    await store.create(KEY, record(), NOW)

    server.pause()
    const held = store.load(KEY, NOW)
    server.resume()
    expect(await held).toMatchObject({ version: 'v1' })

    await server.kill()
    await expect(store.load(KEY, NOW)).rejects.toMatchObject({
      message: expect.stringMatching(/goes on by itself/),
    })
    await server.restart()
    await expect.poll(() => store.create(KEY, record(), NOW), { timeout: 15_000 }).toBe(true)
    await client.close()
  })
})

describe('wrong arguments', () => {
  const client = new MongoClient('mongodb://127.0.0.1:1/')
  const db = client.db('shop')
  const wrong: readonly [string, unknown, RegExp][] = [
    [
      'nothing',
      undefined,
      /^mongodbStore takes an object: mongodbStore\(\{ db: client\.db\('shop'\) \}\)$/,
    ],
    ['no db', {}, /not undefined$/],
    [
      'an URL',
      { db: 'mongodb://ada:hunter2@host/' },
      /not a name or an URL: make a MongoClient with it/,
    ],
    ['a client', { db: client }, /not a client: pass client\.db\(\)$/],
    ['a function', { db: client.connect }, /official driver, such as .* not /],
    ['a promise', { db: Promise.resolve(db) }, /not a promise: await it first$/],
    ['a collection', { db: db.collection('sessions') }, /not a collection: pass its database/],
    [
      'a connection of Mongoose',
      { db: { getClient: () => client, collection() {}, db } },
      /not a connection of Mongoose: pass mongoose\.connection\.getClient\(\)\.db\(\)/,
    ],
    ['Mongoose', { db: { connection: {}, model() {} } }, /not Mongoose: pass/],
    ['something else', { db: new Map() }, /not an object without collection and command \(Map\)$/],
    ['an empty name', { db, collection: '' }, /as collection, not ''/],
    [
      'a name of the system',
      { db, collection: 'system.users' },
      /as collection, not 'system\.users'/,
    ],
    ['a name with $', { db, collection: 'a$b' }, /as collection, not 'a\$b'/],
    ['a name with NUL', { db, collection: 'a\0b' }, /as collection/],
    ['a number as name', { db, collection: 7 }, /as collection, not '7'/],
    [
      'an option of others',
      { db, table: 'sessions' },
      /has no option "table": it takes db and collection$/,
    ],
  ]
  test.each(wrong)('%s', (_, options, message) => {
    expect(() => mongodbStore(options as MongodbStoreOptions)).toThrow(TypeError)
    expect(() => mongodbStore(options as MongodbStoreOptions)).toThrow(message)
    expect(() => mongodbStore(options as MongodbStoreOptions)).not.toThrow(/hunter2/)
  })

  test('names of MongoDB are taken', () => {
    for (const collection of ['sessions', 'shop.sessions', 'web-sessions', '_s']) {
      expect(mongodbStore({ db, collection }).name).toBe('mongodb')
    }
  })
})

const NOW = 2_000_000_000_000
const HOUR = 3_600_000
const KEY = 'RCtaBeE19VXPInwU6H3OgA' as StoreKey
const UNAUTHORIZED = { code: 13, codeName: 'Unauthorized', errmsg: 'not allowed to do that' }

function UPDATED(): object {
  return { outcome: 'updated' }
}

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  const times = { lastSeenAt: NOW, expiresAt: NOW + HOUR, absoluteExpiresAt: NOW + 2 * HOUR }
  return { version: 'v1', payload: '{}', ...times, ...changes }
}

function newDatabase(client: MongoClient) {
  databases += 1
  return client.db(`staykept_${process.pid}_${databases}`)
}

/** A double for the tests of one group; each test has a store on a database of its own. */
function onDouble(kind: 'replica-set' | 'standalone') {
  let client: MongoClient
  const place = {
    url: '',
    db: undefined as unknown as ReturnType<typeof newDatabase>,
    store: undefined as unknown as SessionStore,
    /** What the double was asked while `call` ran. */
    async during(call: () => unknown): Promise<Told> {
      await place.store.ping?.()
      await wish(place.url, { seen: [] })
      await call()
      return wish(place.url)
    },
    async names(call: () => unknown): Promise<string[]> {
      return (await place.during(call)).seen.map(({ name }) => name)
    },
  }
  beforeAll(async () => {
    place.url = await startDouble(kind)
    client = new MongoClient(place.url)
  })
  beforeEach(() => {
    place.db = newDatabase(client)
    place.store = mongodbStore({ db: place.db })
  })
  afterEach(async () => {
    await wish(place.url, { refuse: {}, cut: '', unconfirmed: undefined } as Wishes)
  })
  afterAll(() => client.close())
  return place
}

/** A database of which every command can be held; those for the indexes pass. */
function interceptable(db: MongodbDatabase) {
  type Around = <T>(send: () => Promise<T>) => Promise<T>
  let around: Around = (send) => send()
  const commands = ['findOne', 'updateOne', 'deleteOne', 'findOneAndDelete'] as const
  const wrapped: MongodbDatabase = {
    databaseName: db.databaseName,
    command: (command) => around(() => db.command(command)),
    collection(name, options) {
      const collection = db.collection(name, options)
      const own = Object.fromEntries(
        commands.map((command) => [
          command,
          (...args: [never, never]) => around<never>(() => collection[command](...args) as never),
        ]),
      )
      return {
        ...(own as unknown as MongodbCollection),
        find: (...args) => ({ toArray: () => around(() => collection.find(...args).toArray()) }),
        createIndexes: (indexes) => collection.createIndexes(indexes),
        indexes: () => collection.indexes(),
      }
    },
  }
  const intercept = (next: Around) => {
    around = next
    return () => {
      around = (send) => send()
    }
  }
  return { db: wrapped, intercept }
}
