/**
 * How long one request takes when the store is some milliseconds away: what counts then is how often the request waits for it.
 * A trip is measured too: one small command, through the same proxy.
 */
import { startVariants } from './contenders.js'
import { inTurns, markdown, median } from './figures.js'
import { createRequester, PEOPLE } from './requester.js'
import { checkAnswers } from './stack.js'
import { NO_SESSION } from './variants.js'

/** Milliseconds, each way. */
const DELAYS = [1, 5]
const TRIP = 'a trip'

export async function latency({ names, workloads, settings, env, server, startProxy, found }) {
  const proxy = await startProxy(server.port)
  const { trip, end } = await server.connect(proxy.port)
  const far = { ...env, [server.variable]: String(proxy.port) }
  const { started, failed, stop } = await startVariants('./app.js', names, far)
  const rows = []
  try {
    await checkAnswers(started, failed, workloads)
    for (const [workload, delay] of workloads.flatMap((each) => DELAYS.map((ms) => [each, ms]))) {
      const { ask, close } = createRequester()
      const measure = async (name) => {
        const began = performance.now()
        if (name === TRIP) await trip()
        else await ask(workload, started.get(name).requests[workload])
        return performance.now() - began
      }
      const all = [TRIP, ...started.keys()]
      proxy.delay(0)
      await inTurns(all, 2 * PEOPLE, measure)
      proxy.delay(delay)
      await inTurns(all, 3, measure)
      rows.push(row(workload, delay, await inTurns(all, settings.asked, measure)))
      close()
    }
  } finally {
    await stop()
    await end()
    await proxy.close()
  }
  return markdown([['ms (waits for the store)', 'each way', TRIP, ...names], ...rows])

  function row(workload, delay, times) {
    const typical = (name) => median(times.get(name))
    const cells = names.map((name) => {
      if (failed.has(name)) return `not timed: ${failed.get(name)}`
      if (name === NO_SESSION) return typical(name).toFixed(1)
      const added = typical(name) - typical(NO_SESSION)
      const trips = added / typical(TRIP)
      const what = { workload, ours: name, detail: `${delay} ms each way` }
      found.push({ table: 'latency', ...what, value: Math.round(trips) })
      found.push({ table: 'added', ...what, value: added })
      return `${typical(name).toFixed(1)} (${trips.toFixed(1)})`
    })
    return [workload, delay, typical(TRIP).toFixed(1), ...cells]
  }
}
