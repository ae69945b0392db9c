/** One of several processes on one Redis, with a near cache each unless told otherwise: what it saves, and what it hears. */
import { setTimeout as pause } from 'node:timers/promises'
import { session } from 'staykept'
import { redisStore } from 'staykept/redis'
import { serveParent } from './children.js'
import { feedAlive } from './feed-alive.js'
import { openSocket, send } from './requests.js'
import { openRedis } from './variants.js'

const [, , secret, prefix, isPlain] = process.argv
/** Requests come one by one, as they would from many browsers. */
const TICK = 1

await serveParent(async () => {
  const store = redisStore({ client: await openRedis(), prefix })
  const sessions = session({ secret, store, nearCache: !isPlain })
  let heard = 0
  if (!isPlain) {
    // Shares the connection of the near cache, so nothing is told twice.
    store.watch(({ type }) => {
      heard += Number(type === 'changed')
    })
    const isAlive = feedAlive(sessions)
    sessions.on('ended', () => {})
    await isAlive
  }

  /** Sends `rate` requests a second for so long; some of them change their session. */
  async function load({ cookies, rate, writeShare, seconds }) {
    const free = []
    const began = performance.now()
    const before = { heard, cpu: cpu() }
    let sent = 0
    let hits = 0
    let answered = 0
    for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - began) / 1000) {
      for (; sent < elapsed * rate; sent += 1) one()
      await pause(TICK)
    }
    while (answered < sent) await pause(TICK)
    const took = (performance.now() - began) / 1000
    return { sent, hits, seconds: took, heard: heard - before.heard, cpu: cpu() - before.cpu }

    function one() {
      const lane = free.pop() ?? openSocket()
      const isWrite = Math.random() < writeShare
      let isAtOnce = true
      send({
        socket: lane.socket,
        cookie: cookies[Math.floor(Math.random() * cookies.length)],
        middleware: sessions,
        handle(req, res) {
          hits += Number(isAtOnce)
          if (isWrite) req.session.visits = Math.random()
          res.end(sessions.snapshot(req).data.user.name)
        },
        done() {
          answered += 1
          free.push(lane)
        },
      })
      isAtOnce = false
    }
  }

  return { load, heard: () => ({ heard, cpu: cpu() }) }
})

function cpu() {
  const { user, system } = process.cpuUsage()
  return user + system
}
