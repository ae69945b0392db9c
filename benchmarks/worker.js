/**
 * One variant in a process of its own. With arguments it runs one workload, for a profile:
 *
 *     node --cpu-prof worker.js 'staykept, memory' 'read a key' 200000
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { check, signedIn } from './checks.js'
import { openSocket, send } from './requests.js'
import { variants } from './variants.js'
import { DATA, workloads } from './workloads.js'

const IN_FLIGHT = 50
const SESSIONS = 500

const [, , name, workload, count] = process.argv
const folder = mkdtempSync(join(tmpdir(), 'staykept-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const hasSession = name !== 'no session'
const variant = variants[name](folder)
if (hasSession) await check(variant)
const lanes = Array.from({ length: IN_FLIGHT }, openSocket)
const cookies = await signInAll()

if (workload !== undefined) {
  console.log(name, workload, await run(workload, Number(count ?? 100_000)))
  process.exit()
}
process.on('message', async ({ workload: asked, requests }) => {
  process.send({ cost: await run(asked, requests) })
})
process.on('disconnect', () => process.exit())
process.send({ ready: true })

async function signInAll() {
  const [{ socket, capture }] = lanes
  const ask = (cookie, handle) =>
    capture(() => new Promise((done) => send({ socket, cookie, ...variant, handle, done })))
  const found = []
  while (found.length < SESSIONS) {
    // Nobody signs in without a session layer, but a browser sends some cookie all the same.
    found.push(hasSession ? await signedIn(ask, variant.signIn) : `sid=${'x'.repeat(89)}`)
  }
  return found
}

/** CPU time of this process in microseconds for each request: all its threads, garbage collection included. */
function run(workloadName, requests) {
  const { hasCookie, handle } = workloads[workloadName]
  const { middleware, signIn } = variant
  let sent = 0
  let answered = 0

  function answer(req, res) {
    if (!hasSession) req.session = hasCookie ? DATA : {}
    handle(req, res, signIn)
  }

  return new Promise((resolve) => {
    const before = process.cpuUsage()
    function next(socket) {
      if (sent === requests) return
      const cookie = hasCookie ? cookies[sent % SESSIONS] : undefined
      sent += 1
      send({
        socket,
        cookie,
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
