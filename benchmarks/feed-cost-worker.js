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
  const client = await openRedis()
  const store = redisStore({ client, prefix })
  const sessions = session({ secret, store, nearCache: !isPlain })
  let heard = 0
  let wake = () => {}
  if (!isPlain) {
    // Shares the connection of the near cache, so nothing is told twice.
    store.watch(({ type }) => {
      heard += Number(type === 'changed')
      wake()
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

  /** Reads, so many at a time. CPU in microseconds for each. */
  async function read({ cookies, count, together }) {
    const lanes = Array.from({ length: together }, openSocket)
    const before = cpu()
    for (let at = 0; at < count; at += together) {
      await Promise.all(
        lanes.map(({ socket }, lane) => {
          const cookie = cookies[(at + lane) % cookies.length]
          const handle = (req, res) => res.end(sessions.snapshot(req).data.user.name)
          return new Promise((done) => {
            send({ socket, cookie, middleware: sessions, handle, done })
          })
        }),
      )
      await new Promise(setImmediate)
    }
    return { cost: (cpu() - before) / count }
  }

  /** Sets keys, so many at a time, and waits until all are told where they are of a kind that is. */
  async function set({ count, together, isTold }) {
    const start = isTold ? prefix : `not-${prefix}`
    const before = cpu()
    for (let at = 0; at < count; at += together) {
      const until = isTold ? toldUntil(heard + together) : undefined
      await Promise.all(
        Array.from({ length: together }, (_, lane) =>
          client.set(start + String((at + lane) % 1000).padStart(22, '0'), 'x'.repeat(600)),
        ),
      )
      await until
      await new Promise(setImmediate)
    }
    return { cost: (cpu() - before) / count }
  }

  function toldUntil(target) {
    return new Promise((resolve) => {
      wake = () => {
        if (heard >= target) resolve()
      }
    })
  }

  return { load, read, set }
})

function cpu() {
  const { user, system } = process.cpuUsage()
  return user + system
}
