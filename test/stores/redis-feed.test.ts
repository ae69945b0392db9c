import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { redisStore } from '../../src/stores/redis.js'
import { dist } from '../dist.js'
import { notRun } from '../not-run.js'
import { root } from '../run.js'
import type { ServerProcess } from '../servers/process.js'
import { startProxy } from '../servers/proxy.js'
import { ask, missing, start } from '../servers/redis.js'
import { type ClientKind, end, standalone } from './redis/clients.js'
import { eventually, hearsOf, isOpen, NOW, newKey, record, watch } from './redis/watching.js'

const why = missing()
if (why !== undefined) notRun('the feed of redisStore', why)

const [nodeRedis] = standalone as [ClientKind]
const ioredis = standalone.find(({ name }) => name === 'ioredis 6') as ClientKind
/** One of each way to listen. */
const both = [nodeRedis, ioredis]

describe.skipIf(why !== undefined)('the feed', () => {
  let server: ServerProcess
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server.close())

  test.each(standalone)(
    '$name: has one connection for all watchers, and none when the last has stopped',
    async (kind) => {
      const store = open(kind, server)
      await store.load(newKey(), NOW)
      const before = await connections(server)
      const watchers = [watch(store), watch(store)]
      for (const { check } of watchers) await check()
      expect(await connections(server)).toBe(before + 1)
      watchers[0]?.stop()
      await watchers[1]?.check()
      expect(await connections(server)).toBe(before + 1)
      watchers[1]?.stop()
      await eventually(async () => expect(await connections(server)).toBe(before))
    },
  )

  test.each(standalone)(
    '$name: leaves no connection, whenever it is stopped while that is being made',
    async (kind) => {
      const store = open(kind, server)
      await store.load(newKey(), NOW)
      const before = await connections(server)
      for (let index = 0; index < 60; index += 1) {
        const { stop } = watch(store)
        await new Promise((wake) => setTimeout(wake, Math.random() * 8))
        stop()
      }
      // Those that were on their way stand by now, or never will.
      await new Promise((wake) => setTimeout(wake, 200))
      await eventually(async () => expect(await connections(server)).toBe(before), 2000)
    },
  )

  test.each(standalone)(
    '$name: tells of others’ changes after own ones, and of an end with its name',
    async (kind) => {
      const store = open(kind, server)
      const other = open(kind, server)
      const watching = watch(store)
      await watching.check()
      const key = newKey()
      await store.create(key, record(), NOW)
      await store.load(key, NOW)
      await store.update(key, record({ version: 'w' }), 'v', NOW)
      await watching.check()
      watching.events.length = 0
      await other.update(key, record({ version: 'x' }), 'w', NOW)
      await watching.check()
      expect(watching.events).toContainEqual({ type: 'changed', key })
      await hearsOf(other, watching)
      watching.stop()
    },
  )

  test.each(both)(
    '$name: tells of sessions only, not of what else the store keeps',
    async (kind) => {
      const store = open(kind, server)
      const watching = watch(store)
      await watching.check()
      watching.events.length = 0
      const keys = [newKey(), newKey()]
      for (const key of keys) await store.create(key, record({ userId: 'a b,c:é' }), NOW)
      const mark = { value: 'm', expiresAt: NOW + 9000 }
      await store.deleteByUser?.('a b,c:é', { except: [], mark, now: NOW })
      await watching.check()
      const told = watching.events.map((event) => (event.type === 'reset' ? '' : event.key))
      expect(new Set(told)).toEqual(new Set(keys))
    },
  )

  test.each(both)('$name: an emptied database is a reset', async (kind) => {
    const own = await start()
    onTestFinished(() => own.close())
    for (const command of ['FLUSHDB', 'FLUSHALL']) {
      const watching = watch(open(kind, own))
      await watching.check()
      watching.wasReset()
      await ask(own.port, command)
      await watching.check()
      expect(watching.wasReset()).toBe(true)
      watching.stop()
    }
  })

  test.each(both)(
    '$name: a key prefix of the client stands before those of the feed',
    async (kind) => {
      const settings = { keyPrefix: 'app:' }
      const watching = watch(open(kind, server, settings))
      await hearsOf(open(kind, server, settings), watching)
      await open(kind, server).create(newKey(), record(), NOW)
    },
  )

  test.each(both)(
    '$name: goes on after the server was away, with a reset at each end',
    async (kind) => {
      const own = await start()
      onTestFinished(() => own.close())
      const watching = watch(open(kind, own))
      await watching.check()
      watching.wasReset()
      await own.kill()
      await eventually(() => expect(watching.wasReset()).toBe(true), 1000)
      expect(await isOpen(watching.check(), 300)).toBe(true)
      await own.restart()
      await watching.check()
      expect(watching.wasReset()).toBe(true)
      await hearsOf(open(kind, own), watching)
    },
  )

  test.each(both)(
    '$name: on a network that has gone silent a check stays open, and a new watch works',
    async (kind) => {
      const proxy = await startProxy(server.port)
      onTestFinished(() => proxy.close())
      const store = open(kind, proxy)
      const [watching, bystander] = [watch(store), watch(store)]
      await watching.check()
      proxy.silence()
      bystander.wasReset()
      const check = watching.check()
      expect(await isOpen(check, 700)).toBe(true)
      const began = performance.now()
      watching.stop()
      const again = watch(store)
      expect(performance.now() - began).toBeLessThan(50)
      // The others learn of it.
      expect(bystander.wasReset()).toBe(true)
      await store.reconnect?.()
      await again.check()
    },
  )

  const rule = ['~*', '+@all']
  test.each<[string, readonly string[], RegExp]>([
    [
      'tracking',
      [...rule, '&*', '-client|tracking'],
      /no change: it refused CLIENT TRACKING; allow this user .*\+client\|tracking/,
    ],
    [
      'channels',
      [...rule, 'resetchannels'],
      /refused SUBSCRIBE; allow this user .* channels staykept:ended/,
    ],
    ['publishing', [...rule, '&*', '-publish'], /refused PUBLISH; allow this user \+publish/],
  ])(
    'a user without %s is told what is missing, and can sign out',
    async (name, rules, message) => {
      await ask(server.port, 'ACL', 'SETUSER', name, 'on', '>pw', ...rules)
      for (const kind of both) {
        const store = open(kind, server, { username: name, password: 'pw' })
        const watching = watch(store)
        await expect(watching.check()).rejects.toThrow(message)
        await expect(watching.check()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
        const key = newKey()
        await store.create(key, record({ userId: 'ada' }), NOW)
        expect(await store.delete(key, NOW, 'signOut')).toBe(true)
        await store.create(key, record(), NOW)
        const ended = await store.update(key, record({ version: 'w' }), 'v', NOW, 'regenerate')
        expect(ended).toEqual({ outcome: 'updated' })
        // Mended, it works without a word.
        await ask(server.port, 'ACL', 'SETUSER', name, '&*', '+@all')
        await eventually(() => watching.check())
        await hearsOf(store, watching)
        await ask(server.port, 'ACL', 'SETUSER', name, 'reset', 'on', '>pw', ...rules)
        watching.stop()
      }
    },
  )

  test.each(both)('$name: the rule for a user in the docs is enough', async (kind) => {
    const docs = readFileSync(join(root, 'docs/stores/redis.md'), 'utf8')
    const [, rule = ''] = /```\nACL SETUSER shop on >secret ([^`]+)```/.exec(docs) ?? []
    await ask(server.port, 'ACL', 'SETUSER', 'shop', 'on', '>secret', ...rule.trim().split(/\s+/))
    const store = open(kind, server, { username: 'shop', password: 'secret' })
    const { concerns = [] } = (await store.ping?.()) ?? {}
    expect(concerns.map(({ code }) => code)).toEqual(['WARN_SESSION_NO_PERSISTENCE'])
    await hearsOf(store, watch(store))
  })

  test.each(both)(
    '$name: where something swallows what is told unasked, a check says so',
    async (kind) => {
      const proxy = await startProxy(server.port)
      onTestFinished(() => proxy.close())
      proxy.swallow(
        /(>2\r\n\$10\r\ninvalidate|\*3\r\n\$7\r\nmessage\r\n\$20\r\n__redis__:invalidate)\r\n\*\d+\r\n(\$\d+\r\n[^\r]*\r\n)+/g,
      )
      const watching = watch(open(kind, proxy))
      const began = performance.now()
      await expect(watching.check()).rejects.toThrow(/not told within 1000 ms\. .* a proxy/)
      // The core waits for no answer longer than two seconds, and would not hear of it.
      expect(performance.now() - began).toBeLessThan(1900)
      proxy.swallow(/(?!)/g)
      await eventually(() => watching.check())
    },
  )

  test.each(both)('$name: keeps no process alive', async (kind) => {
    const program = `
      const { redisStore } = require(${JSON.stringify(`${await dist()}/redis.cjs`)})
      ${
        kind === nodeRedis
          ? `const client = require('redis').createClient({ socket: { port: ${server.port} } }); client.connect()`
          : `const client = new (require('ioredis'))(${server.port})`
      }
      const feed = redisStore({ client }).watch(() => {})
      feed.check().then(() => {
        console.log('checked')
        client.destroy ? client.destroy() : client.disconnect()
      })`
    const child = spawn(process.execPath, ['-e', program], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
    const killer = setTimeout(() => child.kill('SIGKILL'), 10_000)
    const [code] = await once(child, 'close')
    clearTimeout(killer)
    expect([code, printed]).toEqual([0, 'checked\n'])
  })
})

function open(kind: ClientKind, { port }: { readonly port: number }, settings: object = {}) {
  const client = kind.open({ port }, settings)
  const store = redisStore({ client })
  onTestFinished(async () => {
    await store.close?.()
    await end(client)
  })
  return store
}

async function connections({ port }: ServerProcess): Promise<number> {
  // One is the question itself.
  return (
    (await ask(port, 'CLIENT', 'LIST')).split('\n').filter((line) => /id=/.test(line)).length - 1
  )
}
