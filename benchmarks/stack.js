/**
 * The whole stack: an Express app over real HTTP, its server in one process and the load in another, 50 connections that
 * stay open. The load comes in slices that take turns.
 */
import autocannon from 'autocannon'
import { startVariants } from './contenders.js'
import { inTurns, markdown, median, paired } from './figures.js'
import { createRequester } from './requester.js'
import { isOurs, NO_SESSION } from './variants.js'

const CONNECTIONS = 50

export async function stack({ names, workloads, settings, env, server, found }) {
  const { started, failed, stop } = await startVariants('./app.js', names, env)
  const rows = []
  try {
    await checkAnswers(started, failed, workloads)
    for (const workload of workloads) {
      for (const name of started.keys()) await load(name, workload, settings.warmUpSeconds)
      const slices = await inTurns([...started.keys()], settings.rounds, (name) =>
        load(name, workload, settings.seconds),
      )
      rows.push(...rowsOf(workload, slices))
    }
  } finally {
    await stop()
  }
  const titles = ['requests/s', 'of express-session', 'p50 ms', 'p99 ms', 'µs of CPU', 'of it']
  return markdown([['', '', ...titles, ...(server ? [`µs of CPU, ${server.title}`] : [])], ...rows])

  async function load(name, workload, seconds) {
    const app = started.get(name)
    const { url, cookies } = app.requests[workload]
    const stores = server?.cpu()
    const before = await app.ask({ about: 'cpu' })
    let connection = 0
    const result = await autocannon({
      url,
      connections: CONNECTIONS,
      duration: seconds,
      // It looks at the clock only so often.
      sampleInt: 50,
      setupClient(client) {
        client.setRequests(requestsOf(cookies, connection))
        connection += 1
      },
    })
    const { user, system } = await app.ask({ about: 'cpu' })
    const answered = result['2xx']
    const wrong = result.errors + result.timeouts + result.non2xx
    if (wrong > 0) throw new Error(`${name}, ${workload}: ${wrong} of ${answered + wrong} failed`)
    return {
      perSecond: answered / result.duration,
      p50: result.latency.p50,
      p99: result.latency.p99,
      cpu: (user + system - before.user - before.system) / answered,
      storeCpu: stores === undefined ? undefined : (server.cpu() - stores) / answered,
    }
  }

  function rowsOf(workload, slices) {
    const rivals = names.slice(1).filter((name) => !isOurs(name) && started.has(name))
    const of = (name, what) => slices.get(name).map((slice) => slice[what])
    const [base] = rivals
    return names.map((name, i) => {
      const title = i === 0 ? workload : ''
      if (failed.has(name)) return [title, name, `not timed: ${failed.get(name)}`]
      const typical = (what, digits = 0) => median(of(name, what)).toFixed(digits)
      const times = (what) => paired(of(name, what), of(base, what), (one, other) => one / other)
      for (const rival of isOurs(name) ? rivals : []) {
        const value = paired(of(name, 'perSecond'), of(rival, 'perSecond'), (l, r) => l / r)
        found.push({ table: 'stack', workload, rival, ours: name, value })
      }
      return [
        ...[title, name, typical('perSecond'), base ? `${times('perSecond').toFixed(2)} ×` : ''],
        ...[typical('p50', 1), typical('p99', 1), typical('cpu')],
        base ? times('cpu').toFixed(2) : '',
        ...(server ? [name === NO_SESSION ? '' : typical('storeCpu')] : []),
      ]
    })
  }
}

/** Each connection has people of its own: nobody's two requests meet. */
function requestsOf(cookies, connection) {
  const theirs = cookies.filter((_, i) => i % CONNECTIONS === connection)
  return (theirs.length > 0 ? theirs : cookies.slice(0, 1)).map((cookie) => ({
    method: 'GET',
    headers: cookie === undefined ? {} : { cookie },
  }))
}

/** As `checks.js`, over HTTP: what answers wrongly is not timed. */
export async function checkAnswers(started, failed, workloads) {
  const { ask, close } = createRequester()
  for (const [name, app] of started) {
    try {
      for (const workload of workloads) await ask(workload, app.requests[workload])
    } catch (error) {
      failed.set(name, error.message)
      started.delete(name)
      await app.stop()
    }
  }
  close()
}
