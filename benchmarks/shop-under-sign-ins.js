/**
 * Whether hashing passwords slows down who is only looking: the dashboard of the example shop, asked for at a steady
 * rate, idle and under 200 sign-ins a minute, in turns. Server and clients share the machine. A latency is counted from
 * the moment its request was due, so a server that stalls cannot hide it by being asked less. The figures are medians
 * over the turns, so that what else happens on the machine for a moment does not decide.
 *
 *     npm run bench:shop -w benchmarks
 *     npm run bench:shop -w benchmarks -- 30          seconds of each turn, 5 unless told
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const SIGN_INS_PER_MINUTE = 200
const PAGES_PER_SECOND = 50
const ACCOUNTS = 40
const TURNS = 9
const seconds = Number(process.argv[2] ?? 5)

const root = fileURLToPath(new URL('..', import.meta.url))
const shop = join(root, 'examples/shop')
const folder = mkdtempSync(join(tmpdir(), 'stillware-bench-'))
const agent = new http.Agent({ keepAlive: true })
let caller = 0
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

build()
const server = spawn(process.execPath, [join(shop, 'dist/server.js')], {
  env: {
    PATH: process.env.PATH,
    PORT: '0',
    DATA_DIR: folder,
    DEMO_ACCOUNT: 'off',
    TRUST_PROXY: '1',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
})
process.on('exit', () => server.kill('SIGKILL'))
const url = await opened()

const people = Array.from({ length: ACCOUNTS }, (_, i) => ({
  email: `visitor${i}@example.com`,
  password: `quiet teapot number ${i}`,
}))
for (const person of people) await post('/register', { ...person, name: 'Ada' }, 303)
// Who browses is not who signs in: each sign-in is one more device to list on the account's own dashboard.
const [browsers, signers] = [people.slice(0, 10), people.slice(10)]
const cookies = []
for (const person of browsers) cookies.push(await signIn(person))

const idle = []
const busy = []
const hashing = []
await browse(3)
for (let turn = 0; turn < TURNS; turn += 1) {
  idle.push(await browse(seconds))
  const [pages, signIns] = await Promise.all([browse(seconds), signInSteadily(seconds)])
  busy.push(pages)
  hashing.push(signIns)
}
server.kill('SIGTERM')

const ratio = typical(busy, 0.99) / typical(idle, 0.99)
console.log(`The dashboard, ${PAGES_PER_SECOND} requests a second, ${TURNS} turns of ${seconds} s`)
console.log(row('', 'p50 ms', 'p99 ms', 'worst ms'))
console.log(row('idle', ...figures(idle)))
console.log(row(`${SIGN_INS_PER_MINUTE} sign-ins a minute`, ...figures(busy)))
console.log(row('(a sign-in itself)', ...figures(hashing)))
console.log(`p99 under sign-ins is ${ratio.toFixed(2)} times the idle one; to be at most 2`)
console.log(`Node ${process.version}, ${availableParallelism()} cores`)

function build() {
  for (const args of [
    [join(root, 'scripts/build.mjs'), '--if-stale'],
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', shop],
  ]) {
    const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
    if (status !== 0) process.exit(status ?? 1)
  }
}

async function opened() {
  for await (const chunk of server.stdout.setEncoding('utf8')) {
    const found = /http:\/\/localhost:\d+/.exec(chunk)
    if (found) return found[0].replace('localhost', '127.0.0.1')
  }
  throw new Error('the shop did not start')
}

async function browse(length) {
  const latencies = []
  await steadily(PAGES_PER_SECOND, length, async (due, i) => {
    const { status } = await ask('GET', '/dashboard', { cookie: cookies[i % cookies.length] })
    if (status !== 200) throw new Error(`the dashboard answered ${status}`)
    latencies.push(performance.now() - due)
  })
  return latencies
}

async function signInSteadily(length) {
  const latencies = []
  await steadily(SIGN_INS_PER_MINUTE / 60, length, async (due, i) => {
    await signIn(signers[i % signers.length])
    latencies.push(performance.now() - due)
  })
  return latencies
}

/** Starts `work` at an even rate, whether the one before has ended or not. */
async function steadily(perSecond, length, work) {
  const began = performance.now()
  const all = []
  for (let i = 0; i < perSecond * length; i += 1) {
    const due = began + (i * 1000) / perSecond
    const early = due - performance.now()
    if (early > 1) await pause(early)
    all.push(work(due, i))
  }
  await Promise.all(all)
}

async function signIn(person) {
  const { headers } = await post('/sign-in', person, 303)
  return headers['set-cookie'][0].split(';')[0]
}

/** Each from an address of its own: the shop limits how often one may try. */
async function post(path, fields, expected) {
  caller += 1
  const answer = await ask(
    'POST',
    path,
    {
      origin: url,
      'content-type': 'application/x-www-form-urlencoded',
      'x-forwarded-for': `10.${(caller >> 16) & 255}.${(caller >> 8) & 255}.${caller & 255}`,
    },
    new URLSearchParams(fields).toString(),
  )
  if (answer.status !== expected) throw new Error(`${path} answered ${answer.status}`)
  return answer
}

function ask(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(path, url), { method, headers, agent }, (answer) => {
      answer
        .resume()
        .on('end', () => resolve({ status: answer.statusCode, headers: answer.headers }))
    })
    request.on('error', reject).end(body)
  })
}

function quantile(values, part) {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
}

/** Of the turns, the one in the middle. */
function typical(turns, part) {
  return quantile(
    turns.map((values) => quantile(values, part)),
    0.5,
  )
}

function figures(turns) {
  return [0.5, 0.99, 1].map((part) => typical(turns, part).toFixed(1))
}

function row(name, ...cells) {
  return name.padEnd(26) + cells.map((cell) => cell.padStart(10)).join('')
}
