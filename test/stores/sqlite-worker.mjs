/**
 * Another process on the same file: `node sqlite-worker.mjs <task> <filename> [number]`. Environment: `STAYKEPT_DIST`.
 * Lines on stdout tell what was acknowledged; they are written at once, so that a kill loses none.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'

const { sqliteStore } = createRequire(import.meta.url)(`${process.env.STAYKEPT_DIST}/sqlite.cjs`)
const [task, filename, number] = process.argv.slice(2)
const NOW = 2_000_000_000_000

const tasks = {
  /** Adds 1 to the payload of `counter`, `number` times, from the moment in which its stdin is closed. */
  async count() {
    const store = sqliteStore({ filename, busyTimeout: 20_000 })
    const key = 'counter'
    await store.load(key, NOW)
    say({ ready: true })
    await once(process.stdin.resume(), 'end')
    let conflicts = 0
    for (let left = Number(number); left > 0; ) {
      let stored = await store.load(key, NOW)
      for (;;) {
        const next = record({ payload: String(Number(stored.payload) + 1) })
        const answer = await store.update(key, next, stored.version, NOW)
        if (answer.outcome === 'updated') break
        conflicts += 1
        stored = answer.record
      }
      left -= 1
      if (left % 20 === 0) await new Promise(setImmediate)
    }
    say({ conflicts })
    store.close()
  },

  /** Creates, updates, deletes and ends sessions until it is killed; says what it begins and what was acknowledged. */
  async write() {
    const store = sqliteStore({ filename, busyTimeout: 20_000 })
    const versions = new Map()
    const keys = [mark()]
    for (let i = 0; ; i += 1) {
      if (i % 3 === 0) keys.push(mark())
      const key = keys[(i * 7919) % keys.length]
      const version = mark()
      const userId = `user-${key}`
      const old = versions.get(key)
      if (old === undefined) {
        say({ begin: key, version, userId })
        await store.create(key, record({ version, userId }), NOW)
        versions.set(key, version)
      } else if (i % 7 === 1) {
        say({ begin: key, version: null, userId })
        await store.deleteByUser(userId, {
          except: [],
          mark: { value: version, expiresAt: NOW * 2 },
          now: NOW,
        })
        versions.delete(key)
      } else {
        say({ begin: key, version, userId })
        const payload = `{"text":"${'x'.repeat((i * 997) % 9000)}"}`
        await store.update(key, record({ version, userId, payload }), old, NOW)
        versions.set(key, version)
      }
      say({ stored: key })
    }
  },

  /** Opens the file, says how long that took up to the first answer, and how many sessions can be loaded. */
  async open() {
    const started = performance.now()
    const store = sqliteStore({ filename })
    await store.load('k0', NOW)
    const took = performance.now() - started
    let found = 0
    for (let i = 0; i < Number(number ?? 0); i += 1) if (await store.load(`k${i}`, NOW)) found += 1
    say({ took, found, rss: process.memoryUsage().rss })
    store.close()
  },

  /** Signs `number` sessions out, one after the other, and says when. */
  async end() {
    const store = sqliteStore({ filename, busyTimeout: 20_000 })
    for (let i = 0; i < Number(number); i += 1) {
      await new Promise((wake) => setTimeout(wake, Math.random() * 20))
      await store.delete(`k${i}`, NOW, 'signOut')
      say({ ended: `k${i}`, at: Date.now() })
    }
    store.close()
  },

  /** Opens a feed and leaves it open. */
  async watch() {
    const feed = sqliteStore({ filename }).watch(() => {})
    await feed.check()
    say({ watching: true })
  },

  /** Creates one session, beginning at the time `number`. */
  async start() {
    while (Date.now() < Number(number));
    const store = sqliteStore({ filename })
    say({ stored: await store.create(mark(), record(), NOW) })
    store.close()
  },
}

function record(changes) {
  const version = mark()
  return {
    version,
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + 1e6,
    absoluteExpiresAt: NOW + 1e7,
    ...changes,
  }
}

function mark() {
  return randomBytes(16).toString('base64url')
}

function say(line) {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

tasks[task]().catch((error) => {
  say({ error: { name: error.name, code: error.code, message: error.message } })
  process.exitCode = 1
})
