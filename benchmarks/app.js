/** One variant in an Express app on a port of its own: a route for each workload, and nothing else. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serveParent } from './children.js'

const [, , name] = process.argv
const folder = mkdtempSync(join(tmpdir(), 'staykept-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

await serveParent(async () => {
  // Before anything else is loaded: it counts by standing in for what Node has built in.
  const counting = process.env.BENCH_COUNTS ? await import('./counting.js') : undefined
  const { default: express } = await import('express')
  const { openWithPeople } = await import('./people.js')
  const { workloads } = await import('./workloads.js')
  const { middleware, handle, cookies } = await openWithPeople(name, folder)
  const app = express()
  app.use(middleware)
  for (const workload of Object.keys(workloads)) {
    app.get(pathOf(workload), (req, res) => handle(workload, req, (text) => void res.send(text)))
  }
  const server = await new Promise((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
  })
  const url = `http://127.0.0.1:${server.address().port}`
  const requests = Object.entries(workloads).map(([workload, { visitor }]) => [
    workload,
    { url: url + pathOf(workload), cookies: cookies[visitor] },
  ])
  return {
    ready: { requests: Object.fromEntries(requests) },
    cpu: () => process.cpuUsage(),
    counts: () => counting.take(),
  }
})

function pathOf(workload) {
  return `/${workload.replaceAll(/\W+/g, '-')}`
}
