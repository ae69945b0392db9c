/** What a handler does with its session. `DATA` is about 300 bytes of JSON. */
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

/** Each gets the session of its request; without a session layer, a plain object in its place. */
export const workloads = {
  'read a key': { hasCookie: true, handle: (req, res) => res.end(req.session.user.name) },
  'change a key': {
    hasCookie: true,
    handle(req, res) {
      req.session.visits += 1
      res.end('ok')
    },
  },
  'cookie, not looked at': { hasCookie: true, handle: (_req, res) => res.end('ok') },
  'no cookie, not looked at': { hasCookie: false, handle: (_req, res) => res.end('ok') },
  'no cookie, looked at': {
    hasCookie: false,
    handle: (req, res) => res.end(req.session.user === undefined ? 'hello' : 'welcome back'),
  },
  'sign in': {
    hasCookie: false,
    handle: (req, res, signIn) => signIn(req, DATA, () => res.end('ok')),
  },
}
