/** What every variant has to do right before it is timed. */
import assert from 'node:assert/strict'
import { openSocket, send } from './requests.js'
import { DATA } from './workloads.js'

export async function check({ middleware, signIn }) {
  const { socket, capture } = openSocket()
  const ask = (cookie, handle) =>
    capture(
      () => new Promise((resolve) => send({ socket, cookie, middleware, handle, done: resolve })),
    )

  const stranger = await ask(undefined, (req, res) => res.end(String(req.session.user)))
  assert.match(stranger, /undefined$/m, 'a stranger has no user')
  assert.equal(cookieOf(stranger), undefined, 'a visit that stores nothing gets no cookie')

  const first = await signedIn(ask, signIn)
  const second = await signedIn(ask, signIn)
  assert.notEqual(first, second)
  await ask(first, (req, res) => {
    req.session.visits += 1
    res.end()
  })
  const all = (req, res) =>
    res.end(JSON.stringify({ user: req.session.user, visits: req.session.visits }))
  assert.match(await ask(first, all), new RegExp(`"visits":${DATA.visits + 1}}`), 'a change stays')
  assert.match(await ask(second, all), new RegExp(`"visits":${DATA.visits}}`), 'and only there')

  await ask(first, (req, res) => req.session.destroy(() => res.end()))
  assert.match(await ask(first, all), /{}/, 'a session that ended opens nothing')
  assert.match(await ask(second, all), /"name":"Ada Lovelace"/, 'others live on')
}

/** The cookie of a new session with `DATA` in it. */
export async function signedIn(ask, signIn) {
  const answer = await ask(undefined, (req, res) => signIn(req, DATA, () => res.end()))
  const cookie = cookieOf(answer)
  assert.ok(cookie, 'a sign-in sets a cookie')
  return cookie
}

function cookieOf(answer) {
  return /^set-cookie: ([^;\r]+)/im.exec(answer)?.[1]
}
