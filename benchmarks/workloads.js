/** What a handler does with its session, and what it answers. `DATA` is about 300 bytes of JSON, `LARGE_DATA` 10 KB. */
export const DATA = {
  user: { id: 4711, name: 'Ada Lovelace', role: 'customer', locale: 'en-GB' },
  cart: [
    { id: 'mug-01', title: 'Mug, speckled', price: 24.5, count: 2 },
    { id: 'bowl-07', title: 'Bowl, celadon', price: 38, count: 1 },
  ],
  visits: 12,
  lastPage: '/products?page=2',
  newsletter: false,
  returnTo: '/account/orders',
}

export const LARGE_DATA = {
  ...DATA,
  cart: Array.from({ length: 145 }, (_, i) => ({
    id: `tile-${i}`,
    title: 'Tile, hand-painted',
    price: i / 4,
    count: 3,
  })),
}

/**
 * `visitor` says what cookie the request brings. `handle` gets the session of its request (without a session layer, a
 * plain object in its place), `reply(text)`, and the variant: `look(req)` for what is only read, `signIn(req, data, done)`.
 */
export const workloads = {
  'read a key': { visitor: 'user', handle: readName, answer: /^Ada Lovelace$/ },
  'change a key': { visitor: 'user', handle: countVisit, answer: /^\d+$/ },
  'read a key of 10 KB': { visitor: 'large user', handle: readName, answer: /^Ada Lovelace$/ },
  'cookie, not looked at': { visitor: 'user', handle: sayOk, answer: /^ok$/ },
  'no cookie, not looked at': { visitor: 'stranger', handle: sayOk, answer: /^ok$/ },
  'no cookie, looked at': { visitor: 'stranger', handle: greet, answer: /^hello$/ },
  'forged cookie, looked at': { visitor: 'forger', handle: greet, answer: /^hello$/ },
  'sign in': { visitor: 'stranger', handle: signInAsAda, answer: /^welcome$/ },
}

/** The data that a request of `visitor` finds. */
export function dataOf(visitor) {
  if (visitor === 'user') return DATA
  return visitor === 'large user' ? LARGE_DATA : {}
}

/** A cookie that looks like `cookie`, of somebody who does not know the secret. */
export function forged(cookie) {
  const at = cookie.indexOf('=') + 5
  return cookie.slice(0, at) + (cookie[at] === 'A' ? 'B' : 'A') + cookie.slice(at + 1)
}

function readName(req, reply, { look }) {
  reply(look(req).user.name)
}

function countVisit(req, reply) {
  req.session.visits += 1
  reply(String(req.session.visits))
}

function sayOk(_req, reply) {
  reply('ok')
}

function greet(req, reply) {
  reply(req.session.user === undefined ? 'hello' : 'welcome back')
}

function signInAsAda(req, reply, { signIn }) {
  signIn(req, DATA, () => reply('welcome'))
}
