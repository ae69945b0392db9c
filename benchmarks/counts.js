/** How often a request does what costs time: exact, on any machine. Store commands are counted by the store's own server. */
import { startVariants } from './contenders.js'
import { markdown } from './figures.js'
import { createRequester, PEOPLE } from './requester.js'
import { NO_SESSION } from './variants.js'

export async function counts({ names, workloads, settings, env, server, found }) {
  const { started, failed, stop } = await startVariants('./app.js', names, {
    ...env,
    BENCH_COUNTS: 'yes',
  })
  const { ask, close } = createRequester()
  const rows = []
  try {
    for (const workload of workloads) {
      for (const name of names) {
        const title = name === names[0] ? workload : ''
        if (failed.has(name)) rows.push([title, name, `not counted: ${failed.get(name)}`])
        else rows.push([title, name, ...(await count(name, workload))])
      }
    }
  } finally {
    close()
    await stop()
  }
  const commands = server ? [`commands, by ${server.title}`] : []
  const titles = ['hashes', 'data to text', 'text to data', 'writes to the browser']
  return markdown([['', '', ...commands, ...titles, ...(server ? ['to the store'] : [])], ...rows])

  async function count(name, workload) {
    const app = started.get(name)
    const send = async (times) => {
      for (let i = 0; i < times; i += 1) await ask(workload, app.requests[workload])
    }
    // The first read of a session fetches it, the second decodes it for all that follow.
    await send(2 * PEOPLE)
    await app.ask({ about: 'counts' })
    const run = () => send(settings.counted)
    const commands = server ? await server.commands(run) : await run()
    const { hashes, stringify, parse, responseWrites, storeWrites } = await app.ask({
      about: 'counts',
    })
    const each = (total) => String(+(total / settings.counted).toFixed(2))
    if (server && name !== NO_SESSION) {
      const total = commands.reduce((sum, [, times]) => sum + times, 0) / settings.counted
      found.push({ table: 'counts', workload, ours: name, value: total })
    }
    return [
      ...(server ? [said(commands, each)] : []),
      ...[hashes, stringify, parse, responseWrites].map(each),
      ...(server ? [each(storeWrites)] : []),
    ]
  }
}

function said(commands, each) {
  if (commands.length === 0) return '0'
  const total = commands.reduce((sum, [, times]) => sum + times, 0)
  const list = commands.map(([command, times]) =>
    each(times) === '1' ? command : `${each(times)} ${command}`,
  )
  return `${each(total)}: ${list.join(', ')}`
}
