/**
 * What a session of 300 bytes takes in Redis, ours and connect-redis's: the memory that Redis says it uses, before and
 * after so many sessions, all of users who are signed in once. A server of its own for each.
 *
 *     npm run bench:memory -w benchmarks
 *     npm run bench:memory -w benchmarks -- 1000000
 */
import { randomBytes } from 'node:crypto'
import { RedisStore as RedisSession } from 'connect-redis'
import { createClient } from 'redis'
import { session } from 'staykept'
import { redisStore } from 'staykept/redis'
import { openSocket, send } from './requests.js'
import { startServer } from './servers.js'
import { DATA } from './workloads.js'

const counts = process.argv.slice(2).map(Number)
const SIZES = counts.length > 0 ? counts : [1, 100_000]
const BATCH = 1000

const ours = { name: 'staykept', fill: fillOurs }
const oursByUser = { name: 'staykept, with the list by user', fill: fillByUser }
const theirs = { name: 'connect-redis', fill: fillTheirs }

console.log('| sessions | | bytes for each | MB in all | keys |\n| --- | --- | --- | --- | --- |')
for (const size of SIZES) {
  for (const { name, fill } of [ours, oursByUser, theirs]) {
    const server = await startServer('redis')
    if (server.missing) throw new Error(server.missing)
    const client = await createClient({ url: `redis://127.0.0.1:${server.port}` }).connect()
    const empty = await used(client)
    await fill(client, size)
    const bytes = (await used(client)) - empty
    const keys = await client.dbSize()
    const each = size === 1 ? await sizeOfOne(client) : bytes / size
    console.log(
      `| ${size.toLocaleString('en')} | ${name} | ${each.toFixed(0)} | ${(bytes / 1e6).toFixed(1)} | ${keys.toLocaleString('en')} |`,
    )
    client.destroy()
    await server.close()
  }
}
process.exit()

async function used(client) {
  return Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])
}

/** One session is lost in what the server takes and gives back by the way; its keys say what they take. */
async function sizeOfOne(client) {
  let sum = 0
  for (const key of await client.keys('*')) sum += await client.memoryUsage(key)
  return sum
}

/** One session as a request makes it, then many that differ from it in key, version and user. */
async function fill(client, size, isListed) {
  const store = redisStore({ client })
  const made = await madeByRequest(store, isListed)
  await client.flushAll()
  const now = Date.now()
  for (let done = 0; done < size; done += BATCH) {
    await Promise.all(
      Array.from({ length: Math.min(BATCH, size - done) }, (_, index) => {
        const userId = isListed ? String(1_000_000 + done + index) : undefined
        const record = { ...made, userId, version: randomBytes(12).toString('base64url') }
        return store.create(randomBytes(16).toString('base64url'), record, now)
      }),
    )
  }
}

function fillOurs(client, size) {
  return fill(client, size, false)
}

function fillByUser(client, size) {
  return fill(client, size, true)
}

async function madeByRequest(store, isListed) {
  let made
  const spy = {
    ...store,
    create(key, record, now) {
      made = record
      return store.create(key, record, now)
    },
  }
  const middleware = session({ secret: 'x'.repeat(32), store: spy, cookie: { maxAge: 1_800_000 } })
  const { socket } = openSocket()
  await new Promise((done) => {
    const handle = async (req, res) => {
      if (isListed) await req.session.signIn(DATA.user.id, { data: DATA })
      else Object.assign(req.session, DATA)
      res.end()
    }
    send({ socket, middleware, handle, done })
  })
  return made
}

async function fillTheirs(client, size) {
  const store = new RedisSession({ client, ttl: 1800 })
  const cookie = {
    originalMaxAge: 1_800_000,
    expires: new Date(Date.now() + 1_800_000).toISOString(),
    httpOnly: true,
    path: '/',
  }
  for (let done = 0; done < size; done += BATCH) {
    await Promise.all(
      Array.from({ length: Math.min(BATCH, size - done) }, () =>
        // Its ids are 24 random bytes.
        store.set(randomBytes(24).toString('base64url'), { cookie, ...DATA }),
      ),
    )
  }
}
