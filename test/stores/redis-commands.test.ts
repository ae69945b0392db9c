import { randomUUID } from 'node:crypto'
import net from 'node:net'
import { createClient } from 'redis'
import type { SessionRecord, StoreKey } from 'staykept'
import { movableClock } from 'staykept/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { redisStore } from '../../src/stores/redis.js'
import { notRun } from '../not-run.js'
import { openSite } from '../promises/harness.js'
import type { ServerProcess } from '../servers/process.js'
import { startProxy } from '../servers/proxy.js'
import { ask, missing, start } from '../servers/redis.js'
import { type ClientKind, end, standalone } from './redis/clients.js'

const why = missing()
if (why !== undefined) notRun('the commands of redisStore', why)

const NOW = 2_000_000_000_000
const MINUTE = 60_000
const kinds = standalone.filter(({ name }) => !name.includes('pool'))
const [nodeRedis] = standalone as [ClientKind]

let server: ServerProcess
beforeAll(async () => {
  if (why === undefined) server = await start()
})
afterAll(() => server?.close())

describe.skipIf(why !== undefined)('what a request costs', () => {
  describe.each(kinds)('$name', (kind) => {
    test('nobody and a forgery nothing, a read one command, a change two, a sign-in five at most', async () => {
      const { browser, stranger, cost } = await site(kind)
      const touch = (mine: Data) => {
        mine.n = (mine.n ?? 0) + 1
      }
      expect(await cost(() => stranger().do((mine) => mine.n))).toEqual([])
      await browser.do(touch)
      const forged = { cookie: `sid=${browser.jar.get('sid')?.slice(0, -3)}xxx` }
      expect(await cost(() => stranger().do((mine) => mine.n, forged))).toEqual([])
      expect(await cost(() => browser.do((mine) => mine.n))).toEqual(['get'])
      expect(await cost(() => browser.do(touch))).toEqual(['get', 'script'])

      const signIn = (mine: Data) => mine.signIn('ada', { keep: ['n'] })
      expect(await cost(() => browser.do(signIn))).toEqual(['get', 'script', 'script', 'get'])
      expect(await cost(() => browser.do((mine) => mine.info.userId))).toEqual(['get'])
      expect(await cost(() => browser.do(touch))).toEqual(['get', 'script'])
      // Without a session before it.
      expect(await cost(() => stranger().do(signIn))).toEqual(['script', 'script', 'get'])
      expect(await cost(() => browser.do((mine) => mine.signOut()))).toEqual([
        'get',
        'script',
        'zrem',
      ])
    })

    test('a sign-in takes three trips, one without a session before it, a change two, a read one', async () => {
      const proxy = await startProxy(server.port)
      onTestFinished(() => proxy.close())
      const { browser, stranger } = await site(kind, proxy.port)
      await browser.do((mine) => void Object.assign(mine, { n: 1 }))
      // Long enough for what is sent in one turn to be one trip.
      proxy.delay(20)
      const trips = async (act: (mine: Data) => unknown, who = browser) => {
        const before = proxy.trips
        await who.do(act)
        return proxy.trips - before
      }
      expect(await trips((mine) => mine.n)).toBe(1)
      expect(await trips((mine) => void Object.assign(mine, { n: 3 }))).toBe(2)
      expect(await trips((mine) => mine.signIn('ada'))).toBe(3)
      expect(await trips((mine) => mine.signIn('ada'), stranger())).toBe(1)
    })
  })

  test('a busy session is touched once for each tenth of its idle timeout', async () => {
    const { browser, cost, clock } = await site(nodeRedis)
    await browser.do((mine) => mine.signIn('ada'))
    const commands = await cost(async () => {
      for (let second = 0; second < 30 * 60; second += 30) {
        clock.advance(30_000)
        await browser.do((mine) => mine.info.userId)
      }
    })
    expect(commands.filter((name) => name === 'get')).toHaveLength(60)
    expect(commands.filter((name) => name !== 'get')).toHaveLength(10)
  })

  test('a sign-in from a record that this process did not read takes one command more', async () => {
    const prefix = `${randomUUID()}:`
    const [here, there] = [open(nodeRedis, prefix), open(nodeRedis, prefix)]
    await there.store.create(key(1), record(), NOW)
    const commands = await monitored(prefix, () =>
      here.store.update(key(1), record({ userId: 'ada', version: 'w' }), 'v', NOW),
    )
    expect(commands).toEqual(['script', 'script', 'script'])
    expect(await here.store.listByUser?.('ada', NOW)).toHaveLength(1)
  })

  test('a command of node-redis carries no timer', async () => {
    const { store } = open(nodeRedis)
    await store.create(key(1), record(), NOW)
    const timeout = vi.spyOn(AbortSignal, 'timeout')
    onTestFinished(() => timeout.mockRestore())
    for (let time = 0; time < 10; time += 1) await store.load(key(1), NOW)
    expect(timeout).not.toHaveBeenCalled()
  })

  test.each(kinds)('$name: what is asked for in one turn goes out in one write', async (kind) => {
    const { store } = open(kind)
    await store.create(key(1), record(), NOW)
    const spies = ['_write', '_writev'].map((name) => vi.spyOn(net.Socket.prototype as Data, name))
    onTestFinished(() => void spies.map((spy) => spy.mockRestore()))
    await Promise.all(Array.from({ length: 50 }, () => store.load(key(1), NOW)))
    expect(spies.flatMap((spy) => spy.mock.calls).length).toBeLessThan(4)
  })
})

describe.skipIf(why !== undefined)('scripts', () => {
  test.each(kinds)(
    '$name: the mark of a user is told from behind the record, and not where that had to be sent again',
    async (kind) => {
      const { store } = open(kind)
      const told: unknown[] = []
      const create = (n: number) =>
        store.create(key(n), record({ userId: 'ada' }), NOW, (mark) => void told.push(mark))
      await create(1)
      const mark = { value: 'm', expiresAt: NOW + MINUTE }
      await store.deleteByUser?.('ada', { except: [], mark, now: NOW })
      await create(2)
      expect(told).toEqual([undefined, 'm'])
      await ask(server.port, 'SCRIPT', 'FLUSH')
      expect(await create(3)).toBe(true)
      expect(told).toEqual([undefined, 'm'])
      await create(4)
      expect(told).toEqual([undefined, 'm', 'm'])
    },
  )

  test('the mark is not told where the entry of the session came after it', async () => {
    const { store, prefix, client } = open(nodeRedis)
    const other = open(nodeRedis, prefix).store
    const index = `${prefix}user:ada`
    await ask(server.port, 'SET', index, 'refused')
    const { sendCommand } = client
    const entries = vi.fn()
    client.sendCommand = async function (this: Data, ...args: Data[]) {
      if (args[0].includes(index)) entries()
      if (entries.mock.calls.length === 2 && args[0].includes(index)) {
        await ask(server.port, 'DEL', index)
        const mark = { value: 'm', expiresAt: NOW + MINUTE }
        // It cannot see the session yet, whose record is there.
        expect(await other.deleteByUser?.('ada', { except: [], mark, now: NOW })).toEqual([])
      }
      return sendCommand.apply(this, args)
    }
    const told = vi.fn()
    expect(await store.create(key(1), record({ userId: 'ada' }), NOW, told)).toBe(true)
    expect(entries).toHaveBeenCalledTimes(2)
    expect(told).not.toHaveBeenCalled()
    expect(await store.listByUser?.('ada', NOW)).toHaveLength(1)
  })

  test.each(kinds)(
    '$name: a session is listed though both replies were lost, and the server had forgotten the script of its entry',
    async (kind) => {
      const proxy = await startProxy(server.port)
      onTestFinished(() => proxy.close())
      const { store, prefix } = open(kind, undefined, proxy.port)
      const other = open(kind, prefix).store
      const knowUpdate = async (one: typeof store, at: StoreKey) => {
        await one.create(at, record({ version: 'u' }), NOW)
        await one.update(at, record(), 'u', NOW)
      }
      await store.create(key(1), record({ userId: 'ada' }), NOW)
      await knowUpdate(store, key(2))
      await ask(server.port, 'SCRIPT', 'FLUSH')
      await knowUpdate(other, key(3))
      proxy.loseReplyTo((request) => request.includes('listed'))
      const signedIn = record({ userId: 'ada', version: 'w' })
      await expect(store.update(key(2), signedIn, 'v', NOW)).rejects.toMatchObject({
        code: 'ERR_SESSION_OUTCOME_UNKNOWN',
      })
      // As the core looks whether its sign-in landed.
      expect(await store.load(key(2), NOW)).toMatchObject({ version: 'w' })
      const listed = await other.listByUser?.('ada', NOW)
      expect(listed?.map((one) => one.key).sort()).toEqual([key(1), key(2)])
    },
  )

  test.each(standalone)(
    '$name: what the server has forgotten is told to it again',
    async (kind) => {
      const { store } = open(kind)
      for (let round = 0; round < 3; round += 1) {
        const at = key(round)
        const created = record({ userId: 'ada', absoluteExpiresAt: NOW + 9 * MINUTE })
        await ask(server.port, 'SCRIPT', 'FLUSH')
        expect(await store.create(at, created, NOW)).toBe(true)
        await ask(server.port, 'SCRIPT', 'FLUSH')
        expect(await store.touch(at, 'v', NOW + 1, NOW + MINUTE, NOW)).toEqual({
          outcome: 'updated',
        })
        await ask(server.port, 'SCRIPT', 'FLUSH')
        const next = { ...created, version: 'w' }
        expect(await store.update(at, next, 'v', NOW)).toEqual({ outcome: 'updated' })
        await ask(server.port, 'SCRIPT', 'FLUSH')
        const mark = { value: `m${round}`, expiresAt: NOW + MINUTE }
        expect(await store.deleteByUser?.('ada', { except: [], mark, now: NOW })).toEqual([at])
        expect(await store.revocationMark?.('ada', NOW)).toBe(`m${round}`)
        await store.create(at, created, NOW)
        await ask(server.port, 'SCRIPT', 'FLUSH')
        expect(await store.delete(at, NOW, 'signOut')).toBe(true)
      }
    },
  )

  test('each touches the one key that it is given', async () => {
    const prefix = `${randomUUID()}:`
    const { store } = open(nodeRedis, prefix)
    const keys = await monitored(
      prefix,
      async () => {
        await store.create(key(1), record({ userId: 'ada' }), NOW)
        await store.touch(key(1), 'v', NOW + 1, NOW + 9, NOW)
        await store.update(key(1), record({ userId: 'ada', version: 'w' }), 'v', NOW)
        await store.delete(key(1), NOW, 'signOut')
        await store.create(key(1), record({ userId: 'ada' }), NOW)
        const mark = { value: 'm', expiresAt: NOW + MINUTE }
        await store.deleteByUser?.('ada', { except: [], mark, now: NOW })
      },
      ({ words }) => (/^eval/i.test(words[0] ?? '') ? [words[2]] : []),
    )
    expect(keys.length).toBeGreaterThan(5)
    expect(new Set(keys.flat())).toEqual(new Set(['1']))
  })

  // protocol-review R1: without the read at its end a script takes the key out of the tracking.
  test.each(['create', 'update', 'touch'] as const)(
    'a connection that tracks a key still hears of others’ changes after its own %s',
    async (method) => {
      const client = createClient({ socket: { port: server.port }, emitInvalidate: true })
      onTestFinished(() => client.destroy())
      await client.connect()
      const heard: string[] = []
      client.on('invalidate', (name: Buffer | null) => heard.push(String(name)))
      const prefix = `${randomUUID()}:`
      const mine = redisStore({ client, prefix })
      const other = open(nodeRedis, prefix).store
      if (method !== 'create') await other.create(key(1), record(), NOW)
      await mine.load(key(1), NOW)
      if (method === 'create') await mine.create(key(1), record(), NOW)
      if (method === 'update') await mine.update(key(1), record(), 'v', NOW)
      if (method === 'touch') await mine.touch(key(1), 'v', NOW + 1, NOW + 9, NOW)
      // What it hears of its own change comes before the answer to this.
      await client.ping()
      heard.length = 0
      await other.update(key(1), record({ version: 'w' }), 'v', NOW)
      await vi.waitFor(() => expect(heard).toContain(prefix + key(1)))
    },
  )
})

// biome-ignore lint/suspicious/noExplicitAny: the data of a test are any
type Data = any

async function site(kind: ClientKind, port = server.port) {
  const prefix = `${randomUUID()}:`
  const { store } = open(kind, prefix, port)
  const clock = movableClock()
  const opened = await openSite(store, { clock })
  // So has the look at the set-up that begins with the process, and the scripts are known after this.
  await opened.sessions.check()
  const first = opened.browser()
  await first.do((mine) => mine.signIn('eve'))
  await first.do((mine) => void Object.assign(mine, { n: 1 }))
  return {
    browser: opened.browser(),
    stranger: () => opened.browser(),
    clock,
    cost: (act: () => Promise<unknown>) => monitored(prefix, act),
  }
}

function open(kind: ClientKind, prefix = `${randomUUID()}:`, port = server.port) {
  const client: Data = kind.open({ port })
  onTestFinished(() => end(client))
  return { store: redisStore({ client, prefix }), prefix, client }
}

interface Line {
  readonly words: readonly string[]
}

/** What the server was asked for meanwhile about keys with this prefix; what its scripts did is no command of ours. */
async function monitored<T = string>(
  prefix: string,
  act: () => unknown,
  show: (line: Line) => T = ({ words: [name = ''] }) =>
    (/^eval/i.test(name) ? 'script' : name.toLowerCase()) as T,
): Promise<T[]> {
  const socket = net.connect(server.port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  socket.write('MONITOR\r\n')
  await vi.waitFor(() => expect(text).toContain('+OK'))
  await act()
  const end = randomUUID()
  await ask(server.port, 'ECHO', end)
  await vi.waitFor(() => expect(text).toContain(end))
  socket.destroy()
  return text
    .split('\r\n')
    .filter((line) => line.includes(`"${prefix}`) && !/\[\d+ lua\]/.test(line))
    .map((line) =>
      show({ words: [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word ?? '') }),
    )
}

function key(number: number): StoreKey {
  return String(number).padStart(22, '0') as StoreKey
}

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 'v',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + MINUTE,
    absoluteExpiresAt: NOW + MINUTE,
    ...changes,
  }
}
