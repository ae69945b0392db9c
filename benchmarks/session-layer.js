/**
 * What a session layer costs a request: CPU time of the process on top of the same request without one. The middleware
 * is called directly, with Node's own request and response on sockets that discard, 50 requests in flight. Each variant
 * runs in a process of its own, passes the checks first, and then they take turns; the figures are medians over rounds.
 *
 *     npm run bench -w benchmarks
 *     npm run bench -w benchmarks -- 'read a key'
 */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { variants } from './variants.js'
import { workloads } from './workloads.js'

const ROUNDS = 9
const REQUESTS = 5000
const WARM_UP = 10_000
/** A difference of two measurements: half a microsecond is noise. */
const NOISE = 0.5

const names = Object.keys(variants)
const workers = new Map()
for (const name of names) workers.set(name, await start(name))

const chosen = process.argv.slice(2)
const table = []
for (const workload of chosen.length > 0 ? chosen : Object.keys(workloads)) {
  for (const worker of workers.values()) await measure(worker, workload, WARM_UP)
  const costs = new Map(names.map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of names) {
      costs.get(name).push(await measure(workers.get(name), workload, REQUESTS))
    }
  }
  const none = costs.get('no session')
  const added = (name) => median(costs.get(name).map((cost, round) => cost - none[round]))
  table.push([workload, median(none), ...names.slice(1).map(added)])
}
for (const worker of workers.values()) worker.disconnect()
print()

async function start(name) {
  const worker = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [name])
  await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)))
  })
  return worker
}

function measure(worker, workload, requests) {
  return new Promise((resolve) => {
    worker.once('message', ({ cost }) => resolve(cost))
    worker.send({ workload, requests })
  })
}

function median(values) {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)]
}

function print() {
  const [base, memory, memoryRival, sqlite, sqliteRival] = names
  const head = [
    'µs of CPU',
    `(${base})`,
    memory,
    memoryRival,
    'ratio',
    sqlite,
    sqliteRival,
    'ratio',
  ]
  const rows = table.map(([workload, none, ...added]) => {
    const [ours, theirs, oursOnDisk, theirsOnDisk] = added
    return [
      workload,
      `(${none.toFixed(1)})`,
      ...[ours, theirs].map(cell),
      times(theirs, ours),
      ...[oursOnDisk, theirsOnDisk].map(cell),
      times(theirsOnDisk, oursOnDisk),
    ]
  })
  const { dependencies } = JSON.parse(
    readFileSync(new URL('package.json', import.meta.url), 'utf8'),
  )
  const rivals = Object.entries(dependencies).filter(([name]) => name !== 'staykept')
  const versions = rivals.map(([name, version]) => `${name} ${version}`)
  for (const row of [head, head.map(() => '---'), ...rows]) console.log(`| ${row.join(' | ')} |`)
  console.log(
    `\nNode ${process.versions.node}, ${availableParallelism()} cores, ${versions.join(', ')}`,
  )
  console.log(`Medians of ${ROUNDS} rounds of ${REQUESTS} requests, 50 in flight.`)
}

function cell(value) {
  return value < NOISE ? `< ${NOISE}` : value.toFixed(1)
}

function times(theirs, ours) {
  return ours < NOISE ? `> ${Math.floor(theirs / NOISE)}` : (theirs / ours).toFixed(1)
}
