// On pages of who is signed in. When the session ends, on whatever device that was asked for, the page leaves by itself.
// One tab of a browser listens and tells the others: over HTTP/1.1 all tabs together have six connections.

const { content: ticket } = document.querySelector('meta[name="ticket"]')
const [session] = ticket.split('.')
const url = `/events?${new URLSearchParams({ ticket })}`
const name = `stillware ${session}`
const others = new BroadcastChannel(name)

const FIRST_PAUSE = 2000
const LONGEST_PAUSE = 60_000

let source
let timer
let pause = FIRST_PAUSE
let isSending = false
let release = () => {}

function start() {
  isSending = false
  const waiting = new AbortController()
  release = () => waiting.abort()
  // Locks are for secure origins. Elsewhere each tab listens, and the server lets some.
  if (!navigator.locks) return listen()
  const held = () =>
    new Promise((resolve) => {
      release = resolve
      listen()
    })
  navigator.locks.request(name, { signal: waiting.signal }, held).catch(() => {})
}

function stop() {
  source?.close()
  clearTimeout(timer)
  release()
}

function listen() {
  source?.close()
  source = new EventSource(url)
  source.addEventListener('open', () => {
    pause = FIRST_PAUSE
  })
  source.addEventListener('ended', ({ data }) => tell(data))
  // A connection that broke is made again by the browser. An answer that is no stream is final to it.
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) void unlessOver(listenLater)
  })
}

function listenLater() {
  timer = setTimeout(listen, pause)
  pause = Math.min(pause * 2, LONGEST_PAUSE)
}

/** Only a clear no is one: a shop that does not answer has signed nobody out. */
async function unlessOver(goOn) {
  const { status } = await fetch(url, { method: 'HEAD' }).catch(() => ({ status: 0 }))
  if (status === 401) tell('unknown')
  else goOn()
}

function tell(reason) {
  others.postMessage(reason)
  leave(reason)
}

others.addEventListener('message', ({ data }) => leave(data))

function leave(reason) {
  stop()
  // What this page itself has sent brings a page of its own: signing out has one. Only if that never comes, leave.
  if (isSending) timer = setTimeout(go, 5000, reason)
  else go(reason)
}

function go(reason) {
  // Should this page come again at once all the same, it stays: nothing goes round in circles.
  const key = `${name} ${location.pathname}`
  if (Date.now() - Number(sessionStorage.getItem(key)) < 10_000) return
  sessionStorage.setItem(key, String(Date.now()))
  const query = new URLSearchParams({ ended: reason })
  // Whoever signs in next after a sign-out may be somebody else.
  if (reason !== 'signOut') query.set('return', location.pathname + location.search)
  location.replace(`/sign-in?${query}`)
}

document.addEventListener('submit', () => {
  isSending = true
})
addEventListener('pagehide', stop)
// Back from the browser's cache, the page may show what is over.
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) void unlessOver(start)
})

start()
