/**
 * What the change feed of Redis costs, and from what size on a near cache does not pay any more. First what one event costs
 * is measured, then the simulation is compared with real processes, then it is carried to sizes that no test has.
 *
 *     npm run bench:feed -w benchmarks
 *     npm run bench:feed -w benchmarks -- --quick
 */
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'redis'
import { session } from 'staykept'
import { redisStore } from 'staykept/redis'
import { asker, signedIn } from './checks.js'
import { startChild } from './children.js'
import { simulate } from './feed-simulation.js'
import { inTurns, markdown, median } from './figures.js'
import { startServer } from './servers.js'

const isQuick = process.argv.includes('--quick')
const SECRET = 'a secret of more than thirty-two characters'
const PREFIX = 'staykept:'
const LISTENERS = 4
/** What one process is asked in the sizes that no test has, and how often one session asks. */
const PER_PROCESS = 500
const PER_SESSION = 0.5
const SPREAD = isQuick ? [1000] : [200, 1000, 5000]
const LISTEN_FOR = isQuick ? 0.5 : 2
const SESSIONS = 400
const PER_SECOND = 1200
const CHECKED = isQuick ? [2] : [2, 4, 8]
const SHARES = [0.01, 0.1]
const WARM_UP = isQuick ? 0.5 : 3
const SECONDS = isQuick ? 0.5 : 5

const server = await startServer('redis')
if (server.missing !== undefined) {
  console.log(`Not run: ${server.missing}.`)
  process.exit()
}
const env = { [server.variable]: String(server.port) }
const client = await createClient({ url: `redis://127.0.0.1:${server.port}` }).connect()

const saved = await savedByHit()
const events = await costOfEvents()
console.log(`## What was measured\n\n${markdown(measured())}`)
console.log(`\n## The simulation beside real processes\n\n${markdown(await checked())}`)
const sizes = carried()
console.log(`\n## Carried further: what the feed carries\n\n${markdown(traffic())}`)
console.log(`\n## Carried further: what the near cache saves\n\n${markdown(gain())}`)
console.log(`\n${server.version}, Node ${process.versions.node}, ${availableParallelism()} cores.`)
client.destroy()
await server.close()
process.exit()

/** A read by the near cache costs the process, and Redis, so much less than one that is asked of Redis. */
async function savedByHit() {
  const cookies = await signInAll()
  const workers = []
  for (const mode of [['plain'], []]) {
    workers.push(await startChild('./feed-cost-worker.js', [SECRET, PREFIX, ...mode], env))
  }
  const question = { about: 'load', cookies, rate: PER_PROCESS, writeShare: 0, seconds: LISTEN_FOR }
  for (const worker of workers) await worker.ask(question)
  const costs = await inTurns([0, 1], isQuick ? 1 : 5, async (at) => {
    const before = server.cpu()
    const { cpu, sent } = await workers[at].ask(question)
    return { process: cpu / sent, redis: (server.cpu() - before) / sent }
  })
  for (const worker of workers) await worker.stop()
  const typical = (at, key) => median(costs.get(at).map((cost) => cost[key]))
  const [plain, near] = [0, 1].map((at) => ({
    process: typical(at, 'process'),
    redis: typical(at, 'redis'),
  }))
  return { process: plain.process - near.process, redis: plain.redis - near.redis }
}

/** Keys are set at a steady rate, while some processes do nothing but listen, and while nobody does. */
async function costOfEvents() {
  const found = []
  const alone = await set(SPREAD.at(-1))
  const workers = await startWorkers(LISTENERS)
  for (const rate of SPREAD) {
    const idle = await heardBy(workers, () => pause(LISTEN_FOR * 1000))
    let load
    const busy = await heardBy(workers, async () => {
      load = await set(rate)
    })
    const heard = busy.heard / LISTENERS
    found.push({
      rate: heard / load.seconds,
      process: (busy.cpu - idle.cpu) / busy.heard,
      redis: (load.redis - (alone.redis / alone.count) * load.count) / busy.heard,
      bytes: (load.bytes - (alone.bytes / alone.count) * load.count) / busy.heard,
    })
  }
  for (const worker of workers) await worker.stop()
  return found
}

function startWorkers(count) {
  return Promise.all(
    Array.from({ length: count }, () => startChild('./feed-cost-worker.js', [SECRET, PREFIX], env)),
  )
}

async function heardBy(workers, run) {
  const sums = async () => {
    const all = await Promise.all(workers.map((worker) => worker.ask({ about: 'heard' })))
    return { heard: sum(all, 'heard'), cpu: sum(all, 'cpu') }
  }
  const before = await sums()
  await run()
  await pause(50)
  const after = await sums()
  return { heard: after.heard - before.heard, cpu: after.cpu - before.cpu }
}

async function set(rate) {
  const before = { redis: server.cpu(), bytes: await sentByRedis(), at: performance.now() }
  let count = 0
  for (let elapsed = 0; elapsed < LISTEN_FOR; elapsed = (performance.now() - before.at) / 1000) {
    for (; count < elapsed * rate; count += 1) {
      void client.set(PREFIX + String(count % 1000).padStart(22, '0'), 'x'.repeat(600))
    }
    await pause(1)
  }
  await client.ping()
  return {
    count,
    seconds: (performance.now() - before.at) / 1000,
    redis: server.cpu() - before.redis,
    bytes: (await sentByRedis()) - before.bytes,
  }
}

async function sentByRedis() {
  return Number(/total_net_output_bytes:(\d+)/.exec(await client.info('stats'))[1])
}

function measured() {
  return [
    ['', 'a process', 'Redis'],
    [
      `µs of CPU that a hit saves, at ${PER_PROCESS} requests a second`,
      saved.process.toFixed(1),
      saved.redis.toFixed(1),
    ],
    ...events.map(({ rate, process, redis }) => [
      `µs of CPU for one event to one process, at ${rate.toFixed(0)} a second`,
      process.toFixed(1),
      redis.toFixed(1),
    ]),
    ['bytes of one event', events.at(-1).bytes.toFixed(0), ''],
  ]
}

async function checked() {
  const rows = []
  for (const processes of CHECKED) {
    const workers = await startWorkers(processes)
    const cookies = await signInAll()
    for (const writeShare of SHARES) {
      const ask = (seconds) => {
        const question = { about: 'load', cookies, rate: PER_SECOND / processes, writeShare }
        return Promise.all(workers.map((worker) => worker.ask({ ...question, seconds })))
      }
      // Everybody is changed, so that all begin with nothing.
      for (const key of await client.keys(`${PREFIX}*`)) await client.expire(key, 3600)
      await ask(WARM_UP)
      const real = await ask(SECONDS)
      const { hitRatio, toldPerSecond } = simulate({
        ...{ processes, writeShare, warmUp: WARM_UP, seconds: SECONDS },
        ...{ sessions: SESSIONS, perSession: PER_SECOND / SESSIONS },
      })
      const heard = sum(real, 'heard') / processes / real[0].seconds
      rows.push([
        ...[processes, percent(writeShare)],
        (sum(real, 'sent') / real[0].seconds).toFixed(0),
        ...[percent(hitRatio), percent(sum(real, 'hits') / sum(real, 'sent'))],
        ...[toldPerSecond.toFixed(0), heard.toFixed(0)],
      ])
    }
    for (const worker of workers) await worker.stop()
  }
  const titles = ['hits, simulated', 'measured', 'events/s, simulated', 'measured']
  return [['processes', 'writes', 'requests/s', ...titles], ...rows]
}

async function signInAll() {
  const own = await client.duplicate().connect()
  const sessions = session({ secret: SECRET, store: redisStore({ client: own, prefix: PREFIX }) })
  const ask = asker(sessions)
  const signIn = (req, data, done) => req.session.signIn('ada', { data }).then(done)
  const cookies = []
  while (cookies.length < SESSIONS) cookies.push(await signedIn(ask, signIn))
  await sessions.close()
  own.destroy()
  return cookies
}

/** Each process answers as many requests a second, so with more processes there are more sessions. */
function carried() {
  const rows = []
  for (const writeShare of [0.01, 0.05, 0.2]) {
    for (const processes of [2, 4, 8, 16, 32, 64]) {
      const sample = {
        processes,
        writeShare,
        sessions: isQuick ? 100 : 2000,
        perSession: PER_SESSION,
      }
      const size = { ...sample, touchEvery: 180, warmUp: 60, seconds: isQuick ? 60 : 240 }
      const spread = simulate(size)
      const sticky = simulate({ ...size, isSticky: true })
      const all = (processes * PER_PROCESS) / PER_SESSION
      const told = (spread.toldPerSecond * all) / size.sessions
      rows.push({ processes, writeShare, told, cost: costAt(told), spread, sticky })
    }
  }
  return rows
}

function traffic() {
  const titles = ['events/s each hears', 'kB/s', 'events/s in all', 'MB/s', 'CPU of each, for them']
  const rows = sizes.map(({ processes, writeShare, told, cost }) => [
    ...[processes, percent(writeShare), told.toFixed(0), short((told * cost.bytes) / 1000)],
    ...[(told * processes).toFixed(0), short((told * processes * cost.bytes) / 1e6)],
    percent((told * cost.process) / 1e6, 1),
  ])
  return [['processes', 'writes', ...titles], ...rows]
}

/** CPU in milliseconds for each second, of one process and of Redis. */
function gain() {
  const each = ['hits', 'reads saved for one event', 'a process saves', 'Redis saves']
  const titles = [...each, ...each.map((title) => `${title}, sticky`)]
  const rows = sizes.map(({ processes, writeShare, told, cost, spread, sticky }) => {
    const cells = [spread, sticky].flatMap(({ hitRatio }) => {
      const hits = PER_PROCESS * hitRatio
      const own = (hits * saved.process - told * cost.process) / 1000
      const redis = (processes * (hits * saved.redis - told * cost.redis)) / 1000
      return [percent(hitRatio), short(hits / told), signed(own), signed(redis)]
    })
    return [processes, percent(writeShare), ...cells]
  })
  return [['processes', 'writes', ...titles], ...rows]
}

/** As measured at the nearest rate. */
function costAt(rate) {
  const distance = (one) => Math.abs(Math.log(one.rate / rate))
  return events.reduce((best, one) => (distance(one) < distance(best) ? one : best))
}

function sum(list, key) {
  return list.reduce((total, one) => total + one[key], 0)
}

function percent(part, digits = 0) {
  return `${(part * 100).toFixed(digits)} %`
}

function signed(value) {
  return `${value > 0 ? '+' : ''}${value.toFixed(1)}`
}

function short(value) {
  return value < 10 ? value.toFixed(1) : value.toFixed(0)
}
