import { randomUUID } from 'node:crypto'
import net from 'node:net'
import { Cluster, Redis } from 'ioredis'
import { createClient } from 'redis'
import type { SessionRecord, SessionStore, StoreKey } from 'staykept'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  default as byDefault,
  RedisStore,
  type RedisStoreOptions,
  redisStore,
} from '../../src/stores/redis.js'
import { notRun } from '../not-run.js'
import { openSite } from '../promises/harness.js'
import * as clusterServers from '../servers/cluster.js'
import type { ServerProcess } from '../servers/process.js'
import { ask, missing, start } from '../servers/redis.js'
import { type Client, type ClientKind, end, standalone } from './redis/clients.js'

const why = missing()
if (why !== undefined) notRun('redisStore', why)

const NOW = 2_000_000_000_000
const MARK = { value: 'm', expiresAt: NOW + 60_000 }

describe('options', () => {
  const sendCommand = async () => {}
  class SomeStore {
    get() {}
    set() {}
    destroy() {}
  }
  class Memcached {}
  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /takes an object: redisStore\(\{ client \}\)/],
    [
      'no client',
      {},
      /as in redisStore\(\{ client: createClient\(\{ url \}\) \}\), and there is none/,
    ],
    [
      'an address',
      { client: 'redis://u:secret@h:1' },
      /not an address: redisStore\(\{ client: create/,
    ],
    ['a URL object', { client: new URL('redis://u:secret@h') }, /not an address: redisStore/],
    [
      'a promise',
      { client: Promise.resolve() },
      /not a promise of one: await it, or pass the client/,
    ],
    ['a function', { client: createClient }, /not a function or class: call it first/],
    ['a class', { client: Redis }, /not a function or class: call it first/],
    ['node-redis 4', { client: { isOpen: true, sendCommand } }, /4: npm install redis@latest/],
    [
      'node-redis 3',
      { client: { send_command: sendCommand } },
      /3 or earlier: npm install redis@lat/,
    ],
    [
      'a session store',
      { client: new SomeStore() },
      /not a session store: pass the client that it/,
    ],
    ['memcached', { client: new Memcached() }, /node-redis 5 or later, of ioredis .*not Memcached/],
    ['null', { client: null }, /not null/],
    ['ttl', { client: {}, ttl: 3 }, /has no option "ttl": it takes client, prefix/],
    ['a pattern', { client: {}, prefix: 'a*' }, /1 to 64 letters, .*such as 'myapp:', not 'a\*'/],
    [
      'a hash tag',
      { client: {}, prefix: '{app}:' },
      /mean something in a pattern of keys, or to a/,
    ],
    ['[ab]', { client: {}, prefix: '[ab]:' }, /needs 1 to 64 letters, digits/],
    ['no prefix', { client: {}, prefix: '' }, /needs 1 to 64 letters, digits/],
    ['a long prefix', { client: {}, prefix: 'x'.repeat(65) }, /needs 1 to 64 letters, digits/],
  ])('%s is refused with what to write instead', (_, options, message) => {
    const refused = () => redisStore(options as RedisStoreOptions)
    expect(refused).toThrow(TypeError)
    expect(refused).toThrow(message)
    expect(refused).not.toThrow(/secret/)
  })

  test('a client that reads from replicas is refused', () => {
    const replica = new Redis({ role: 'slave', lazyConnect: true })
    expect(() => redisStore({ client: replica })).toThrow(/has role 'slave': give the store one/)
    const spread = new Cluster([{ port: 1 }], { scaleReads: 'all', lazyConnect: true })
    expect(() => redisStore({ client: spread })).toThrow(/one of its own with scaleReads: 'master'/)
    for (const client of [replica, spread]) client.disconnect()
  })

  test('RedisStore is made with new, as connect-redis is, and is the default export', () => {
    const client = createClient()
    const store: SessionStore = new RedisStore({ client })
    expect(Object.keys(store)).toEqual(Object.keys(redisStore({ client })))
    expect(byDefault).toBe(RedisStore)
    expect(() => new RedisStore({} as RedisStoreOptions)).toThrow(TypeError)
  })
})

describe.skipIf(why !== undefined)('what stands under the keys', () => {
  let server: ServerProcess
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server.close())

  test.each(standalone)(
    '$name: something that is no string is told, and left alone',
    async (kind) => {
      const { store, prefix } = open(kind, server)
      await ask(server.port, 'RPUSH', prefix + key(1), 'x')
      const calls = callsOn(store)
      for (const [name, call] of Object.entries(calls)) {
        await expect(call(), name).rejects.toMatchObject({
          code: 'ERR_SESSION_STORE',
          message: expect.stringMatching(/^Redis keeps something else .* with the option prefix$/),
        })
      }
      expect(await ask(server.port, 'TYPE', prefix + key(1))).toBe('+list\r\n')
    },
  )

  test.each([
    ['a string of somebody else', 'hello', ''],
    ['half a record', '1000000000000012000000060000', ''],
    ['a record with letters for times', `1${'x'.repeat(42)}v\\x00\\x00{}`, ''],
    ['a record of a newer release', `2${'9'.repeat(42)}and_so_on`, String(Number.MAX_SAFE_INTEGER)],
  ])('%s is shown as one that nobody can read, and never swapped', async (_, value, payload) => {
    const { store, prefix, client } = open(nodeRedis, server)
    await client.sendCommand(['SET', prefix + key(1), value])
    const shown = await store.load(key(1), NOW)
    expect(shown).toMatchObject({ payload, version: '' })
    expect(shown?.expiresAt).toBeGreaterThan(NOW)
    expect(await store.create(key(1), record(), NOW)).toBe(false)
    expect(await store.update(key(1), record(), 'v', NOW)).toMatchObject({
      outcome: 'conflict',
      record: { payload },
    })
    expect(await store.touch(key(1), 'v', NOW + 1, NOW + 9, NOW)).toMatchObject({
      outcome: 'conflict',
    })
    expect(await client.sendCommand(['GET', prefix + key(1)])).toBe(value)
    expect(await store.delete(key(1), NOW)).toBe(false)
  })

  test.each([
    ['corrupt', 'rubbish', 'corrupt'],
    ['of a newer release', `2${'9'.repeat(42)}and_so_on`, 'newer'],
  ])(
    'the owner of a record that is %s is told of it once, and can sign in again',
    async (_, value, reason) => {
      const { store, prefix, client } = open(nodeRedis, server)
      const site = await openSite(store)
      const reasons: unknown[] = []
      site.sessions.on('corrupt', (event) => reasons.push(event.reason))
      const browser = site.browser()
      const { body: id } = await browser.do(async (mine) => {
        await mine.signIn('ada')
        return mine.id
      })
      const at = `${prefix}${String(id)}`
      await client.sendCommand(['SET', at, value])
      const again = await browser.do(async (mine) => {
        const before = mine.info.userId ?? null
        await mine.signIn('ada')
        return [before, mine.info.userId, mine.id !== id]
      })
      expect(again.body).toEqual([null, 'ada', true])
      expect(reasons).toEqual([reason])
      expect((await browser.do((mine) => mine.info.userId)).body).toBe('ada')
      expect(await client.sendCommand(['GET', at])).toBe(value)
    },
  )

  test('where the index of a user cannot be written, no session is left that it does not list', async () => {
    for (const kind of standalone) {
      const { store, prefix } = open(kind, server)
      await store.create(key(2), record(), NOW)
      await store.load(key(2), NOW)
      await ask(server.port, 'SET', `${prefix}user:ada`, 'x')
      const user = { userId: 'ada' }
      await expect(store.create(key(1), record(user), NOW)).rejects.toThrow(/something else/)
      const signIn = store.update(key(2), record({ ...user, version: 'w' }), 'v', NOW)
      await expect(signIn).rejects.toThrow(/something else/)
      for (const at of [1, 2]) {
        const left = await store.load(key(at), NOW)
        expect(left?.userId, kind.name).toBe(undefined)
      }
    }
  })

  test('a user who may neither write the index nor take a session back signs nobody in', async () => {
    const denied = ['-zadd', '-getdel']
    await ask(server.port, 'ACL', 'SETUSER', 'half', 'on', 'nopass', '~*', '&*', '+@all', ...denied)
    const login = { username: 'half', password: 'any' }
    const { store } = open(nodeRedis, server, undefined, login)
    const { browser } = await openSite(store)
    const visitor = browser()
    await visitor.do((mine) => void Object.assign(mine, { cart: 1 }))
    for (const one of [visitor, browser()]) {
      expect(await one.do((mine) => mine.signIn('ada'))).toMatchObject({ status: 503, cookies: [] })
    }
  })

  test('a session that ends takes its entry along, and the index goes with its last one', async () => {
    const { store, prefix } = open(nodeRedis, server)
    const index = `${prefix}user:ada`
    await store.create(key(1), record({ userId: 'ada' }), NOW)
    await store.create(key(2), record({ userId: 'ada' }), NOW)
    expect(await ask(server.port, 'ZCARD', index)).toBe(':2\r\n')
    await store.delete(key(1), NOW)
    await expect.poll(() => ask(server.port, 'ZCARD', index)).toBe(':1\r\n')
    await store.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW })
    await expect.poll(() => ask(server.port, 'EXISTS', index)).toBe(':0\r\n')
  })

  test('what nobody ends goes by itself: ten minutes late, or by a tenth of a long life', async () => {
    const { store, prefix } = open(nodeRedis, server)
    const minute = 60_000
    const lives = async (name: string) => {
      const left = Number(/:(-?\d+)/.exec(await ask(server.port, 'PTTL', prefix + name))?.[1])
      return Math.round(left / minute)
    }
    const long = { expiresAt: NOW + 60 * minute, absoluteExpiresAt: NOW + 1000 * minute }
    await store.create(key(1), record({ userId: 'ada', ...long }), NOW)
    expect(await lives(key(1))).toBe(70)
    expect(await lives('user:ada')).toBe(1100)
    await store.touch(key(1), 'v', NOW + 1, NOW + 200 * minute, NOW)
    expect(await lives(key(1))).toBe(220)
    await store.update(
      key(1),
      record({ userId: 'ada', lastSeenAt: NOW + 1, version: 'w' }),
      'v',
      NOW,
    )
    expect(await lives(key(1))).toBe(11)
    // A shorter session of the same user does not shorten the index.
    await store.create(key(2), record({ userId: 'ada' }), NOW)
    expect(await lives('user:ada')).toBe(1100)
    const mark = { value: 'm', expiresAt: NOW + 60 * minute }
    await store.deleteByUser?.('ada', { except: [], mark, now: NOW })
    expect(await lives('mark:ada')).toBe(70)
  })

  test('a sign-in takes along entries whose sessions are past their last deadline', async () => {
    const { store, prefix } = open(nodeRedis, server)
    for (let at = 0; at < 150; at += 1) await store.create(key(at), record({ userId: 'ada' }), NOW)
    const index = `${prefix}user:ada`
    const later = NOW + 60_000 + 10 * 60_000
    const alive = { userId: 'ada', expiresAt: later + 9, absoluteExpiresAt: later + 9 }
    await store.create(key(200), record(alive), later)
    expect(await ask(server.port, 'ZCARD', index)).toBe(':151\r\n')
    await store.create(key(201), record(alive), later + 1)
    expect(await ask(server.port, 'ZCARD', index)).toBe(':52\r\n')
  })

  test('a late or repeated entry moves no deadline back', async () => {
    const { store, prefix } = open(nodeRedis, server)
    const far = { expiresAt: NOW + 60_000, absoluteExpiresAt: NOW + 900_000 }
    await store.create(key(1), record({ userId: 'ada', ...far }), NOW)
    await store.create(key(1), record({ userId: 'ada' }), NOW)
    const score = await ask(server.port, 'ZSCORE', `${prefix}user:ada`, key(1))
    expect(score).toContain(String(NOW + 900_000))
  })
})

describe.skipIf(why !== undefined)('when Redis refuses', () => {
  test.each(standalone)(
    '$name: a full one takes no session, and reads and ends go on',
    async (kind) => {
      const server = await serverWith([])
      const { store } = open(kind, server)
      await store.create(key(1), record({ userId: 'ada' }), NOW)
      await ask(server.port, 'CONFIG', 'SET', 'maxmemory', '1')
      const full = {
        code: 'ERR_SESSION_STORE_FULL',
        status: 503,
        message: expect.stringMatching(/maxmemory/),
      }
      await expect(store.create(key(2), record(), NOW)).rejects.toMatchObject(full)
      await expect(store.create(key(2), record({ userId: 'eve' }), NOW)).rejects.toMatchObject(full)
      const next = record({ userId: 'ada', version: 'w' })
      await expect(store.update(key(1), next, 'v', NOW)).rejects.toMatchObject(full)
      expect((await store.load(key(1), NOW))?.version).toBe('v')
      expect(await store.delete(key(1), NOW)).toBe(true)
      expect(await store.load(key(2), NOW)).toBe(undefined)
    },
  )

  test('a full one ends all sessions of a user, and says that a sign-in under way may come through', async () => {
    const server = await serverWith([])
    const { store } = open(nodeRedis, server)
    await store.create(key(1), record({ userId: 'ada' }), NOW)
    await ask(server.port, 'CONFIG', 'SET', 'maxmemory', '1')
    await expect(
      store.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW }),
    ).rejects.toMatchObject({
      code: 'ERR_SESSION_OUTCOME_UNKNOWN',
      message: expect.stringMatching(/have ended; raise maxmemory and revoke once more/),
    })
    expect(await store.load(key(1), NOW)).toBe(undefined)
  })

  test('a read-only replica takes no change and says where to go; it still reads', async () => {
    const primary = await serverWith(['--repl-diskless-sync-delay', '0'])
    const replica = await serverWith(['--replicaof', '127.0.0.1', String(primary.port)])
    const { store, prefix } = open(nodeRedis, primary)
    await store.create(key(1), record(), NOW)
    const there = open(nodeRedis, replica, prefix).store
    await expect.poll(() => there.load(key(1), NOW), { timeout: 10_000 }).toEqual(record())
    const told = {
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(/connect to the primary/),
    }
    const changes = [
      there.create(key(2), record(), NOW),
      there.update(key(1), record({ version: 'w' }), 'v', NOW),
      there.touch(key(1), 'v', NOW + 1, NOW + 9, NOW),
      there.delete(key(1), NOW),
      there.deleteByUser?.('ada', { except: [], mark: MARK, now: NOW }),
    ]
    for (const change of changes) await expect(change).rejects.toMatchObject(told)
  })

  test.each<[string, readonly string[], object, RegExp]>([
    [
      'no password where one is needed',
      ['--requirepass', 'pw'],
      {},
      /asks for a password: give user/,
    ],
    [
      'a wrong password',
      ['--requirepass', 'pw'],
      { password: 'no' },
      /does not accept this username/,
    ],
    ['a wrong user', [], { username: 'x', password: 'no' }, /does not accept this username/],
    ['a database that is not there', [], { database: 99 }, /has no database of the number/],
  ])('%s is told as that', async (_, args, settings, message) => {
    const server = await serverWith(args)
    const { store } = open(nodeRedis, server, undefined, settings)
    await expect(store.load(key(1), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: expect.stringMatching(message),
    })
    await expect(store.create(key(1), record(), NOW)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
    })
  })

  test('a node of a cluster says to a client of one server how to make one of a cluster', async () => {
    const cluster = await clusterServers.start()
    onTestFinished(() => cluster.close())
    for (const kind of standalone) {
      const { store } = open(kind, { port: cluster.port })
      const told: string[] = []
      for (let at = 0; at < 30; at += 1) {
        await Promise.resolve(store.create(key(at), record(), NOW)).catch((error: Error) =>
          told.push(error.message),
        )
      }
      expect(told.length, kind.name).toBeGreaterThan(3)
      for (const message of told) {
        expect(message).toMatch(/make it with createCluster \(node-redis\) or new Redis\.Cluster/)
      }
    }
  }, 60_000)
})

describe.skipIf(why !== undefined)('without a connection', () => {
  test.each(standalone)('$name: a call waits for the client to connect', async (kind) => {
    const server = await serverWith([])
    const { store } = open(kind, server)
    expect(await store.create(key(1), record(), NOW)).toBe(true)
  })

  test.each(standalone.filter(({ name }) => !name.includes('pool')))(
    '$name: where there is no server, a call fails in less than a second and says so; later it succeeds',
    async (kind) => {
      const server = await serverWith([])
      const { store } = open(kind, server)
      await store.create(key(1), record(), NOW)
      await server.kill()
      await new Promise((resolve) => setTimeout(resolve, 50))
      for (const [name, call] of Object.entries(callsOn(store))) {
        const began = performance.now()
        await expect(call(), name).rejects.toMatchObject({
          // It was not even sent.
          code: 'ERR_SESSION_STORE',
          status: 503,
          message: expect.stringMatching(/no connection to Redis.*Is the server up/),
        })
        expect(performance.now() - began).toBeLessThan(2000)
      }
      await server.restart()
      await expect
        .poll(() => Promise.resolve(store.load(key(1), NOW)).catch(() => 'not yet'), {
          timeout: 10_000,
        })
        .toBe(undefined)
      // What was given up is not done later.
      expect(await ask(server.port, 'DBSIZE')).toBe(':0\r\n')
    },
    30_000,
  )

  test.each(standalone.filter(({ name }) => /^node-redis \d$/.test(name)))(
    '$name: what was not written yet when the connection broke is asked for again, however often it breaks',
    async (kind) => {
      const server = await serverWith([])
      const { store } = open(kind, server)
      const write = vi.spyOn(net.Socket.prototype, 'write')
      onTestFinished(() => write.mockRestore())
      for (let round = 0; round < 5; round += 1) {
        expect(await store.load(key(0), NOW)).toBe(undefined)
        const socket = write.mock.contexts.at(-1) as net.Socket
        const loads = [1, 2, 3].map((number) => store.load(key(number), NOW))
        socket.destroy(new Error('broken'))
        expect(await Promise.all(loads)).toEqual([undefined, undefined, undefined])
      }
    },
  )

  test.each(standalone)(
    '$name: a client that was closed is told as that, at once',
    async (kind) => {
      const server = await serverWith([])
      const { store, client } = open(kind, server)
      await store.create(key(1), record(), NOW)
      await end(client)
      await new Promise((resolve) => setTimeout(resolve, 50))
      for (const call of Object.values(callsOn(store))) {
        const began = performance.now()
        await expect(call()).rejects.toMatchObject({
          code: 'ERR_SESSION_STORE',
          message: expect.stringMatching(/not open: call its connect\(\) once at start/),
        })
        expect(performance.now() - began).toBeLessThan(400)
      }
    },
  )

  test('a client that was never connected is told as that, at once', async () => {
    const store = redisStore({ client: createClient() })
    await expect(store.load(key(1), NOW)).rejects.toThrow(/not open: call its connect\(\) once/)
  })

  test('an outage does not end a process whose client nobody listens to', async () => {
    const server = await serverWith([])
    const client = createClient({ socket: { host: '127.0.0.1', port: server.port } })
    onTestFinished(() => client.destroy())
    const store = redisStore({ client })
    await client.connect()
    await server.kill()
    await expect(store.load(key(1), NOW)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
  })

  test('after closing the store, a call fails at once, and the client goes on', async () => {
    const server = await serverWith([])
    const { store, client } = open(nodeRedis, server)
    await store.create(key(1), record(), NOW)
    await store.close?.()
    await store.close?.()
    await expect(store.load(key(1), NOW)).rejects.toThrow(/the Redis store was closed/)
    expect(await client.sendCommand(['PING'])).toBe('PONG')
  })

  test('nothing that a browser sees names the server, whatever goes wrong there', async () => {
    const server = await serverWith([])
    const client = createClient({ socket: { host: '127.0.0.1', port: server.port } })
    onTestFinished(() => client.destroy())
    client.on('error', () => {})
    await client.connect()
    const site = await openSite(redisStore({ client }))
    const browser = site.browser()
    await browser.do((mine) => {
      mine.n = 1
    })
    const seen: string[] = []
    const look = async () => {
      const { body, status } = await browser.do((mine) => {
        mine.n += 1
      })
      seen.push(`${status} ${JSON.stringify(body)}`)
    }
    await ask(server.port, 'CONFIG', 'SET', 'maxmemory', '1')
    await look()
    await ask(server.port, 'CONFIG', 'SET', 'maxmemory', '0')
    await ask(server.port, 'CONFIG', 'SET', 'min-replicas-to-write', '1')
    await look()
    await server.kill()
    await look()
    expect(seen.map((line) => line.slice(0, 3))).toEqual(['503', '503', '503'])
    for (const line of seen)
      expect(line).not.toMatch(new RegExp(`127\\.0\\.0\\.1|${server.port}|staykept:`))
  })
})

const [nodeRedis] = standalone as [ClientKind]

async function serverWith(args: readonly string[]): Promise<ServerProcess> {
  const server = await start({ args })
  onTestFinished(() => server.close())
  return server
}

interface Opened {
  readonly store: SessionStore
  readonly prefix: string
  readonly client: Client & { sendCommand(command: readonly string[]): Promise<unknown> }
}

function open(
  kind: ClientKind,
  { port }: { readonly port: number },
  prefix = `${randomUUID()}:`,
  settings: object = {},
): Opened {
  const client = kind.open({ port }, settings) as Opened['client']
  onTestFinished(() => end(client))
  return { client, prefix, store: redisStore({ client, prefix }) }
}

/** One call of each method, on the first key. */
function callsOn(store: SessionStore): Record<string, () => Promise<unknown>> {
  return {
    load: async () => store.load(key(1), NOW),
    create: async () => store.create(key(1), record(), NOW),
    update: async () => store.update(key(1), record(), 'v', NOW),
    touch: async () => store.touch(key(1), 'v', NOW + 1, NOW + 9, NOW),
    delete: async () => store.delete(key(1), NOW),
  }
}

function key(number: number): StoreKey {
  return String(number).padStart(22, '0') as StoreKey
}

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 'v',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + 60_000,
    absoluteExpiresAt: NOW + 60_000,
    ...changes,
  }
}
