/**
 * How long after a sign-out that was answered another process has its `ended` event, in milliseconds. One sign-out at a
 * time, in this process; the event is heard in the other. A time below nothing: the event came before the answer.
 *
 *     npm run bench:ended -w benchmarks
 *     npm run bench:ended -w benchmarks -- redis 200        one store, so many sign-outs
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { session } from 'staykept'
import { asker, signedIn } from './checks.js'
import { startChild } from './children.js'
import { feedStores } from './feed-stores.js'
import { markdown, quantile } from './figures.js'
import { startServer } from './servers.js'

const words = process.argv.slice(2)
const names = words.filter((word) => Object.hasOwn(feedStores, word))
const times = Number(words.find((word) => /^[1-9]\d*$/.test(word)) ?? 1000)
/** Long enough for any feed; what is not heard by then is lost. */
const PATIENCE = 5000

const rows = []
for (const name of names.length > 0 ? names : Object.keys(feedStores)) rows.push(await row(name))
const titles = ['ms from the answer to the event', 'sign-outs', 'heard', 'p50', 'p99', 'longest']
console.log(markdown([[...titles, 'p99 from the call'], ...rows]))
process.exit()

async function row(name) {
  const folder = mkdtempSync(join(tmpdir(), 'staykept-bench-'))
  const { server: kind, open } = feedStores[name]
  const server = kind === undefined ? undefined : await startServer(kind)
  if (server?.missing !== undefined) return [name, `not run: ${server.missing}`]
  if (server) process.env[server.variable] = String(server.port)
  const env = server ? { [server.variable]: String(server.port) } : {}
  const sessions = session({
    secret: 'a secret of more than thirty-two characters',
    store: await open(folder),
  })
  let listener
  try {
    listener = await startChild('./ended-listener.js', [name, folder], env)
    const signOuts = await signOutOneByOne(sessions)
    const heard = new Map(await heardOf(listener, signOuts.length))
    return [name, ...figures(signOuts, heard)]
  } finally {
    await listener?.stop()
    await sessions.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function signOutOneByOne(sessions) {
  const ask = asker(sessions)
  const signIn = (req, data, done) => req.session.signIn('ada', { data }).then(done)
  const done = []
  while (done.length < times) {
    const cookie = await signedIn(ask, signIn)
    await pause(2)
    let id
    const calledAt = now()
    await ask(cookie, (req, res) => {
      id = req.session.id
      req.session.signOut().then(() => res.end())
    })
    done.push({ id, calledAt, answeredAt: now() })
  }
  return done
}

async function heardOf(listener, count) {
  for (let waited = 0; ; waited += 100) {
    const { heard } = await listener.ask({ about: 'heard' })
    if (heard.length >= count || waited >= PATIENCE) return heard
    await pause(100)
  }
}

function figures(signOuts, heard) {
  const known = signOuts.filter(({ id }) => heard.has(id))
  const since = (what) => known.map((one) => (heard.get(one.id) - one[what]) / 1e6)
  const answered = since('answeredAt')
  const shown = [...[0.5, 0.99, 1].map((part) => quantile(answered, part))]
  const all = [...shown, quantile(since('calledAt'), 0.99)].map((ms) => ms.toFixed(1))
  return [signOuts.length, known.length, ...all]
}

function now() {
  return Number(process.hrtime.bigint())
}
