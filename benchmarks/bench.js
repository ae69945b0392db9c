/**
 * Compares session layers, and prints tables in Markdown. Words choose stores, tables and workloads; without any of a kind
 * all are run.
 *
 *     npm run bench -w benchmarks
 *     npm run bench -w benchmarks -- redis layer 'read a key' --rounds 3
 *     npm run bench -w benchmarks -- --quick           to see whether it runs
 *     npm run bench:readme -w benchmarks               all that the README quotes, in about ten minutes
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { counts } from './counts.js'
import { markdown } from './figures.js'
import { latency } from './latency.js'
import { layer } from './layer.js'
import { startServer, testServers } from './servers.js'
import { stack } from './stack.js'
import { judged } from './targets.js'
import { families, NO_SESSION } from './variants.js'
import { workloads } from './workloads.js'

const everything = Object.keys(workloads)
const mainWorkloads = ['read a key', 'change a key', 'read a key of 10 KB', 'sign in']

/** In the order in which they are printed. `workloads` are those that are run unless others are asked for. */
const tables = {
  layer: { title: 'The session layer alone', run: layer, workloads: everything },
  stack: { title: 'The whole stack', run: stack, workloads: mainWorkloads },
  counts: { title: 'Counted', run: counts, workloads: everything },
  latency: {
    title: 'With the store some milliseconds away',
    run: latency,
    workloads: mainWorkloads,
  },
}

const normal = { rounds: 5, requests: 3000, warmUp: 6000, seconds: 1.5, warmUpSeconds: 1 }
const brief = { rounds: 5, requests: 2000, warmUp: 4000, seconds: 0.7, warmUpSeconds: 0.4 }
const quick = { rounds: 3, requests: 1000, warmUp: 2000, seconds: 0.5, warmUpSeconds: 0.3 }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, quick: { type: 'boolean' }, brief: { type: 'boolean' } },
})
const settings = {
  counted: 40,
  asked: values.quick ? 15 : 40,
  ...(values.quick ? quick : values.brief ? brief : normal),
  ...(values.rounds === undefined ? {} : { rounds: wholeNumber(values.rounds) }),
}
const chosen = choose(positionals)
const found = []
const versions = [`Node ${process.versions.node}`, 'express', 'express-session']
const began = Date.now()
console.log(`# Benchmark of ${new Date(began).toISOString().slice(0, 10)}`)

for (const name of chosen.stores) await runFamily(name, families[name])

console.log('\n## Targets\n')
console.log(markdown(judged(found)))
console.log(`\n${versionLine()}`)
console.log(
  `\nMedians of ${settings.rounds} rounds in which all take turns; ratios are medians of the rounds' own. ${Math.round((Date.now() - began) / 1000)} s in all.`,
)

async function runFamily(name, family) {
  const { server: serverName, clients = [], workloads: own, mustEndAll, variants } = family
  const server = serverName === undefined ? undefined : await startServer(serverName)
  if (server?.missing !== undefined) {
    console.log(`\n## ${name}\n\nNot run: ${server.missing}.`)
    return
  }
  versions.push(...(server ? [server.version] : []), ...clients)
  const { startProxy } = await testServers('proxy')
  const names = [NO_SESSION, ...Object.keys(variants)]
  const env = {
    ...(server ? { [server.variable]: String(server.port) } : {}),
    ...(mustEndAll ? { BENCH_END_ALL: 'yes' } : {}),
  }
  try {
    for (const key of chosen.tables) {
      const { title, run, workloads: usual } = tables[key]
      // What answers within the process has no way to be far away.
      if (key === 'latency' && server === undefined) continue
      const list = chosen.workloads.length > 0 ? chosen.workloads : (own ?? usual)
      console.error(`${name}: ${key}, ${list.length} workloads, ${names.length} variants`)
      const context = { names, workloads: list, settings, env, server, startProxy, found }
      console.log(`\n## ${title}: ${name}\n\n${await run(context)}`)
    }
  } finally {
    await server?.close()
  }
}

function choose(words) {
  const kinds = { stores: families, tables, workloads }
  const picked = { stores: [], tables: [], workloads: [] }
  for (const word of words) {
    const kind = Object.keys(kinds).find((each) => Object.hasOwn(kinds[each], word))
    if (kind === undefined) {
      const all = Object.entries(kinds).map(
        ([each, known]) => `  ${each}: ${Object.keys(known).join(' · ')}`,
      )
      fail(`'${word}' is none of these:\n${all.join('\n')}`)
    }
    picked[kind].push(word)
  }
  return {
    ...picked,
    stores: picked.stores.length > 0 ? picked.stores : Object.keys(families),
    tables: picked.tables.length > 0 ? picked.tables : Object.keys(tables),
  }
}

function wholeNumber(text) {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) fail(`--rounds takes a number from 1, not '${text}'`)
  return number
}

function fail(sentence) {
  console.error(sentence)
  process.exit(2)
}

function versionLine() {
  const { dependencies } = JSON.parse(
    readFileSync(new URL('package.json', import.meta.url), 'utf8'),
  )
  const said = versions.map((name) =>
    dependencies[name] === undefined ? name : `${name} ${dependencies[name]}`,
  )
  return `${[...new Set(said)].join(', ')}; ${availableParallelism()} cores, ${cpus()[0]?.model}.`
}
