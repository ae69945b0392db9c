/**
 * One variant in a process of its own, with the middleware called directly. With a workload it runs that, for a profile:
 *
 *     node --cpu-prof worker.js 'staykept, memory' 'read a key' 200000
 *     REDIS_PORT=6379 node --cpu-prof worker.js 'staykept, redis' 'read a key' 200000
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asker } from './checks.js'
import { serveParent } from './children.js'
import { openWithPeople } from './people.js'
import { openSocket, send } from './requests.js'
import { workloads } from './workloads.js'

const IN_FLIGHT = 50

const [, , name, workload, count] = process.argv
const folder = mkdtempSync(join(tmpdir(), 'staykept-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const lanes = Array.from({ length: IN_FLIGHT }, openSocket)
let variant
/** Who comes next, also in the next run: nobody comes twice within 50 requests. */
let turn = 0

if (workload !== undefined) {
  variant = await openWithPeople(name, folder)
  console.log(name, workload, await run(workload, Number(count ?? 100_000)))
  process.exit()
}
await serveParent(async () => {
  variant = await openWithPeople(name, folder)
  for (const each of Object.keys(workloads)) await checkAnswer(each)
  return { run: async (asked) => ({ cost: await run(asked.workload, asked.requests) }) }
})

async function checkAnswer(workload) {
  const { cookies, middleware, handle } = variant
  const { visitor, answer } = workloads[workload]
  let said
  await asker(middleware)(cookies[visitor][0], (req, res) =>
    handle(workload, req, (text) => {
      said = text
      res.end(text)
    }),
  )
  if (!answer.test(said)) throw new Error(`${workload}: it answers ${said}`)
}

/** CPU time of this process in microseconds for each request: all its threads, garbage collection included. */
function run(workload, requests) {
  const { middleware, handle, cookies } = variant
  const theirs = cookies[workloads[workload].visitor]
  let sent = 0
  let answered = 0

  function answer(req, res) {
    handle(workload, req, (text) => res.end(text))
  }

  return new Promise((resolve) => {
    const before = process.cpuUsage()
    function next(socket) {
      if (sent === requests) return
      sent += 1
      turn += 1
      send({
        socket,
        cookie: theirs[turn % theirs.length],
        middleware,
        handle: answer,
        done() {
          answered += 1
          if (answered < requests) return next(socket)
          const { user, system } = process.cpuUsage(before)
          resolve((user + system) / requests)
        },
      })
    }
    for (const { socket } of lanes) next(socket)
  })
}
