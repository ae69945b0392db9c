/**
 * How long one request takes when the store is a millisecond away: what counts then is how often the request waits for it.
 * A trip is measured too: one small command, through the same proxy.
 */
import { startVariants } from './contenders.js'
import { inTurns, markdown, median } from './figures.js'
import { createRequester } from './requester.js'
import { checkAnswers } from './stack.js'
import { NO_SESSION } from './variants.js'

/** Milliseconds, each way. */
const DELAY = 1
const TRIP = 'a trip'

export async function latency({ names, workloads, settings, env, server, startProxy, found }) {
  const proxy = await startProxy(server.port)
  const { trip, end } = await server.connect(proxy.port)
  const far = { ...env, [server.variable]: String(proxy.port) }
  const { started, failed, stop } = await startVariants('./app.js', names, far)
  const rows = []
  try {
    await checkAnswers(started, failed, workloads)
    proxy.delay(DELAY)
    for (const workload of workloads) {
      const { ask, close } = createRequester()
      const measure = async (name) => {
        const began = performance.now()
        if (name === TRIP) await trip()
        else await ask(workload, started.get(name).requests[workload])
        return performance.now() - began
      }
      const all = [TRIP, ...started.keys()]
      await inTurns(all, 5, measure)
      rows.push(row(workload, await inTurns(all, settings.asked, measure)))
      close()
    }
  } finally {
    await stop()
    await end()
    await proxy.close()
  }
  return markdown([['ms (waits for the store)', TRIP, ...names], ...rows])

  function row(workload, times) {
    const typical = (name) => median(times.get(name))
    const cells = names.map((name) => {
      if (failed.has(name)) return `not timed: ${failed.get(name)}`
      if (name === NO_SESSION) return typical(name).toFixed(1)
      const trips = (typical(name) - typical(NO_SESSION)) / typical(TRIP)
      found.push({ table: 'latency', workload, ours: name, value: Math.round(trips) })
      return `${typical(name).toFixed(1)} (${trips.toFixed(1)})`
    })
    return [workload, typical(TRIP).toFixed(1), ...cells]
  }
}
