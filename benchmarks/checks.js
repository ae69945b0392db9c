/** What every variant has to do right before it is timed. Throws the name of what it does wrong. */
import assert from 'node:assert/strict'
import { openSocket, send } from './requests.js'
import { DATA, forged } from './workloads.js'

/** Sends requests through a middleware to a handler of the caller's, and answers the whole response as text. */
export function asker(middleware) {
  const { socket, capture } = openSocket()
  return (cookie, handle) =>
    capture(() => new Promise((done) => send({ socket, cookie, middleware, handle, done })))
}

export async function check({ middleware, signIn }) {
  const ask = asker(middleware)
  const stranger = await ask(undefined, (req, res) => res.end(String(req.session.user)))
  assert.match(stranger, /undefined$/m, 'a stranger has no user')
  assert.equal(cookieOf(stranger), undefined, 'a visit that stores nothing gets no cookie')

  const first = await signedIn(ask, signIn)
  const second = await signedIn(ask, signIn)
  assert.notEqual(first, second, 'every sign-in has a cookie of its own')
  await ask(first, (req, res) => {
    req.session.visits += 1
    res.end()
  })
  const all = (req, res) =>
    res.end(JSON.stringify({ user: req.session.user, visits: req.session.visits }))
  assert.match(await ask(first, all), new RegExp(`"visits":${DATA.visits + 1}}`), 'a change stays')
  assert.match(await ask(second, all), new RegExp(`"visits":${DATA.visits}}`), 'and only there')
  assert.match(await ask(forged(first), all), /{}$/, 'a forged cookie opens nothing')

  const planted = cookieOf(
    await ask(undefined, (req, res) => {
      req.session.visits = 0
      res.end()
    }),
  )
  await ask(planted, (req, res) => signIn(req, DATA, () => res.end()))
  assert.doesNotMatch(await ask(planted, all), /Ada/, 'a cookie from before a sign-in is not in')

  await ask(first, (req, res) => req.session.destroy(() => res.end()))
  assert.match(await ask(first, all), /{}$/, 'a session that ended opens nothing')
  assert.match(await ask(second, all), /"name":"Ada Lovelace"/, 'others live on')
}

/** That all sessions of a user can be ended: those of whoever signed in last. */
export async function checkEndAll({ middleware, signIn, endAll }) {
  assert.ok(endAll, 'it cannot end all sessions of a user')
  const ask = asker(middleware)
  const name = (req, res) => res.end(String(req.session.user?.name))
  const other = await signedIn(ask, signIn)
  const ended = await signedIn(ask, signIn)
  assert.match(await ask(ended, name), /Ada Lovelace$/m, 'who has signed in is signed in')
  await endAll(DATA)
  assert.match(await ask(ended, name), /undefined$/m, 'all sessions of a user end')
  assert.match(await ask(other, name), /Ada Lovelace$/m, 'those of others stay')
}

/** That the second read of a session is answered by the process itself: nothing of a store comes back in the same step. */
export async function checkHit({ middleware, look }, cookie) {
  const ask = asker(middleware)
  let name
  const read = (req, res) => {
    name = look(req).user.name
    res.end()
  }
  await ask(cookie, read)
  name = undefined
  const asked = ask(cookie, read)
  assert.equal(name, DATA.user.name, 'what was read before is read without waiting')
  await asked
}

/** The cookie of a new session with `data` in it. */
export async function signedIn(ask, signIn, data = DATA) {
  const answer = await ask(undefined, (req, res) => signIn(req, data, () => res.end()))
  const cookie = cookieOf(answer)
  assert.ok(cookie, 'a sign-in sets a cookie')
  return cookie
}

function cookieOf(answer) {
  return /^set-cookie: ([^;\r]+)/im.exec(answer)?.[1]
}
