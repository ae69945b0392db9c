/**
 * What the change feed of Redis costs, and from what size on a near cache does not pay any more. First what one event costs
 * is measured, then the simulation is compared with real processes, then it is carried to sizes that no test has.
 *
 *     npm run bench:feed -w benchmarks
 *     npm run bench:feed -w benchmarks -- --quick
 */
import { availableParallelism } from 'node:os'
import { createClient } from 'redis'
import { session } from 'staykept'
import { redisStore } from 'staykept/redis'
import { asker, signedIn } from './checks.js'
import { startChild } from './children.js'
import { simulate } from './feed-simulation.js'
import { inTurns, markdown, paired } from './figures.js'
import { startServer } from './servers.js'

const isQuick = process.argv.includes('--quick')
const SECRET = 'a secret of more than thirty-two characters'
const PREFIX = 'staykept:'
const MANY = 50
/** What one process is asked in the sizes that no test has, and how often one session asks. */
const PER_PROCESS = 500
const PER_SESSION = 0.5
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

const alone = await costs(1)
const many = await costs(MANY)
console.log(`## What was measured\n\n${markdown(measured())}`)
console.log(`\nBytes of one event: ${alone.event.bytes.toFixed(0)}.`)
console.log(`\n## The simulation beside real processes\n\n${markdown(await checked())}`)
const sizes = carried()
console.log(`\n## Carried further: what the feed carries\n\n${markdown(traffic())}`)
console.log(`\n## Carried further: what the near cache saves\n\n${markdown(gain())}`)
console.log(`\n${server.version}, Node ${process.versions.node}, ${availableParallelism()} cores.`)
client.destroy()
await server.close()
process.exit()

/**
 * What a hit saves, and what one event costs one process: the difference of two kinds of reads, and of two kinds of changes
 * of which one is told. Once each alone, once many at a time.
 */
async function costs(together) {
  const cookies = await signInAll()
  const [plain] = await startWorkers(1, 'plain')
  const [near] = await startWorkers(1)
  const count = (isQuick ? 20 : 200) * 50
  const asked = {
    plain: () => plain.ask({ about: 'read', cookies, count, together }),
    near: () => near.ask({ about: 'read', cookies, count, together }),
    told: () => near.ask({ about: 'set', count, together, isTold: true }),
    untold: () => near.ask({ about: 'set', count, together, isTold: false }),
  }
  const measure = async (what) => {
    const before = { redis: server.cpu(), bytes: await sentByRedis() }
    const { cost: process } = await asked[what]()
    const bytes = (await sentByRedis()) - before.bytes
    return { process, redis: (server.cpu() - before.redis) / count, bytes: bytes / count }
  }
  const names = Object.keys(asked)
  await inTurns(names, 1, measure)
  const found = await inTurns(names, isQuick ? 1 : 5, measure)
  for (const worker of [plain, near]) await worker.stop()
  const less = (one, other) => {
    const by = (key) =>
      paired(found.get(one), found.get(other), (left, right) => left[key] - right[key])
    return { process: by('process'), redis: by('redis'), bytes: by('bytes') }
  }
  return { hit: less('plain', 'near'), event: less('told', 'untold') }
}

function startWorkers(count, ...mode) {
  const start = () => startChild('./feed-cost-worker.js', [SECRET, PREFIX, ...mode], env)
  return Promise.all(Array.from({ length: count }, start))
}

async function sentByRedis() {
  return Number(/total_net_output_bytes:(\d+)/.exec(await client.info('stats'))[1])
}

function measured() {
  const row = (title, what) => [
    title,
    ...[alone, many].flatMap((cost) => [cost[what].process, cost[what].redis].map(oneDigit)),
  ]
  const titles = ['a process, each alone', 'Redis', `a process, ${MANY} at a time`, 'Redis']
  return [
    ['µs of CPU', ...titles],
    row('a hit saves', 'hit'),
    row('one event to one process costs', 'event'),
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
  for (const writeShare of [0.01, 0.1]) {
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
      rows.push({ processes, writeShare, told, spread, sticky })
    }
  }
  return rows
}

function traffic() {
  const titles = ['events/s each hears', 'kB/s', 'events/s in all', 'MB/s', 'CPU of each, for them']
  const rows = sizes.map(({ processes, writeShare, told }) => [
    ...[processes, percent(writeShare), told.toFixed(0), short((told * alone.event.bytes) / 1000)],
    ...[(told * processes).toFixed(0), short((told * processes * alone.event.bytes) / 1e6)],
    percent((told * alone.event.process) / 1e6, 1),
  ])
  return [['processes', 'writes', ...titles], ...rows]
}

/** CPU in milliseconds for each second, of one process and of Redis. */
function gain() {
  const each = ['hits', 'reads saved for one event', 'a process saves', 'Redis saves']
  const titles = [...each, ...each.map((title) => `${title}, sticky`)]
  const rows = sizes.map(({ processes, writeShare, told, spread, sticky }) => {
    const cells = [spread, sticky].flatMap(({ hitRatio }) => {
      const hits = PER_PROCESS * hitRatio
      const own = (hits * alone.hit.process - told * alone.event.process) / 1000
      const redis = (processes * (hits * alone.hit.redis - told * alone.event.redis)) / 1000
      return [percent(hitRatio), short(hits / told), signed(own), signed(redis)]
    })
    return [processes, percent(writeShare), ...cells]
  })
  return [['processes', 'writes', ...titles], ...rows]
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

function oneDigit(value) {
  return value.toFixed(1)
}

function short(value) {
  return value < 10 ? value.toFixed(1) : value.toFixed(0)
}
