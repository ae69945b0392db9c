/**
 * What a session layer costs a request: CPU time of the process on top of the same request without one. The middleware is
 * called directly, with Node's own request and response on sockets that discard, 50 requests in flight.
 */
import { startVariants } from './contenders.js'
import { inTurns, markdown, median, paired } from './figures.js'
import { isOurs, NO_SESSION } from './variants.js'

/** A difference of two measurements: half a microsecond is noise. */
const NOISE = 0.5

const OF_SIGN_INS =
  'A sign-in of staykept also lists the session under its user and looks whether that user was revoked meanwhile; what it is compared with, `regenerate` and a save, does neither.'

export async function layer({ names, workloads, settings, env, found }) {
  const { started, failed, stop } = await startVariants('./worker.js', names, env)
  const rows = []
  try {
    for (const workload of workloads) {
      const measure = (requests) => async (name) =>
        (await started.get(name).ask({ about: 'run', workload, requests })).cost
      for (const name of started.keys()) await measure(settings.warmUp)(name)
      const costs = await inTurns([...started.keys()], settings.rounds, measure(settings.requests))
      rows.push(row(workload, costs))
    }
  } finally {
    await stop()
  }
  const title = ['µs of CPU, added (times less)', `(${NO_SESSION})`, ...names.slice(1)]
  const isUneven = workloads.includes('sign in') && !env.BENCH_END_ALL
  const note = isUneven ? `\n\n${OF_SIGN_INS}` : ''
  return `${markdown([title, ...rows])}${note}`

  function row(workload, costs) {
    const none = costs.get(NO_SESSION)
    const sides = names.slice(1)
    const rivals = sides.filter((name) => !isOurs(name) && !failed.has(name))
    const added = (name) => costs.get(name).map((cost, round) => cost - none[round])
    const cells = sides.map((name) => {
      if (failed.has(name)) return `not timed: ${failed.get(name)}`
      const own = cell(median(added(name)))
      if (!isOurs(name) || rivals.length === 0) return own
      const least = added(name).every((value) => value < NOISE) ? '> ' : ''
      const times = rivals.map((rival) => {
        const value = paired(added(rival), added(name), ratio)
        found.push({ table: 'layer', workload, rival, ours: name, value })
        return `${least}${value.toFixed(1)} ×`
      })
      return `${own} (${times.join(', ')})`
    })
    return [workload, `(${median(none).toFixed(1)})`, ...cells]
  }
}

function ratio(theirs, ours) {
  return Math.max(theirs, NOISE) / Math.max(ours, NOISE)
}

function cell(value) {
  return value < NOISE ? `< ${NOISE}` : value.toFixed(1)
}
