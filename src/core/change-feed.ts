import { SessionError } from './errors.js'
import { jittered } from './jitter.js'
import { isPromise } from './maybe.js'
import type { Instant } from './near-cache.js'
import type { SessionStore, StoreEvent, StoreFeed } from './store.js'

/** The feed of the store, asked again and again whether it is alive, and opened anew where it does not answer. */
export interface ChangeFeed {
  /** Opens it, unless that was done. A store without `watch` has none. */
  start(): void
  /** Where the feed answers at once, it is asked now: what is read next is current. */
  catchUp(): void
  /** The store is back: a feed that waits to be opened anew waits no longer. */
  hurry(): void
  close(): void
}

export interface ChangeFeedOptions {
  readonly store: SessionStore
  /** Milliseconds between two questions whether it is alive. */
  readonly interval: number
  /** A change, or a `reset`: also told when the feed is given up. */
  readonly onEvent: (event: StoreEvent) => void
  /** All that was acknowledged before this instant has been told. */
  readonly onProof: (at: Instant) => void
  /** The first proof after a silence, and the first silence after a proof, with what is known of the reason. */
  readonly onTurn: (turn: FeedTurn) => void
}

export interface FeedTurn {
  readonly isAlive: boolean
  readonly error?: unknown
}

/** A question that is not answered for so long means that the connection is dead. */
const PATIENCE = 2000
/** One that is made anew is given longer: where the feed cannot work, the store finds out why, and says so. */
const FIRST_PATIENCE = 4000
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 30_000

export function createChangeFeed(options: ChangeFeedOptions): ChangeFeed {
  const { store, interval: step, onEvent, onProof, onTurn } = options
  let feed: StoreFeed | undefined
  /** Grows with every opening and every reset: what was asked before proves nothing afterwards. */
  let era = 0
  let isAsked = false
  /** For how long, counted in steps: a process that was busy all the while finds the answer after one. */
  let waited = 0
  let patience = FIRST_PATIENCE
  let pause = FIRST_PAUSE
  let isAlive: boolean | undefined
  let isClosed = false
  let isImmediate = false
  let timer: ReturnType<typeof setTimeout> | undefined

  function open(): void {
    if (isClosed) return
    era += 1
    isAsked = false
    patience = FIRST_PATIENCE
    let isCurrent = true
    try {
      const opened = store.watch?.((event) => {
        if (isCurrent) hear(event)
      })
      if (opened === undefined) return
      feed = {
        check: () => opened.check(),
        stop() {
          isCurrent = false
          opened.stop()
        },
      }
    } catch (error) {
      giveUp(error)
      return
    }
    // What was sent while none stood may have missed something, and not every feed says so where it stands at once.
    onEvent({ type: 'reset' })
    ask()
  }

  function hear(event: StoreEvent): void {
    if (event.type === 'reset') {
      era += 1
      isAsked = false
      patience = FIRST_PATIENCE
      later(0)
    }
    onEvent(event)
    if (event.type === 'reset' && isAlive === true) turn({ isAlive: false })
  }

  function ask(): void {
    const at = { steady: performance.now(), wall: Date.now() }
    const mine = era
    isAsked = true
    waited = 0
    const answered = (): void => {
      if (mine !== era) return
      isAsked = false
      patience = PATIENCE
      pause = FIRST_PAUSE
      onProof(at)
      turn({ isAlive: true })
    }
    const refused = (error: unknown): void => {
      if (mine === era) giveUp(error)
    }
    try {
      const answer = feed?.check()
      isImmediate = !isPromise(answer)
      if (isPromise(answer)) answer.then(answered, refused)
      else answered()
    } catch (error) {
      refused(error)
    }
    if (mine === era && feed !== undefined) later(step)
  }

  function beat(): void {
    waited += step
    if (!isAsked) ask()
    else if (waited >= patience) giveUp(silence(store.name))
    else later(step)
  }

  /** Opens it anew after a while, a longer one each time. */
  function giveUp(error: unknown): void {
    feed?.stop()
    feed = undefined
    isImmediate = false
    era += 1
    onEvent({ type: 'reset' })
    turn({ isAlive: false, error })
    openLater()
  }

  function openLater(): void {
    clearTimeout(timer)
    if (isClosed) return
    timer = setTimeout(open, jittered(pause, 1 / 4))
    timer.unref()
    pause = Math.min(pause * 2, LONGEST_PAUSE)
  }

  function later(milliseconds: number): void {
    clearTimeout(timer)
    if (isClosed) return
    timer = setTimeout(beat, milliseconds)
    timer.unref()
  }

  function turn(next: FeedTurn): void {
    if (isAlive === next.isAlive) return
    isAlive = next.isAlive
    onTurn(next)
  }

  return {
    catchUp() {
      if (!isImmediate || feed === undefined) return
      const at = { steady: performance.now(), wall: Date.now() }
      const mine = era
      try {
        const answer = feed.check()
        isImmediate = !isPromise(answer)
        // It may have said on the way that something was missed.
        if (isPromise(answer)) answer.then(undefined, () => {})
        else if (mine === era) onProof(at)
      } catch (error) {
        giveUp(error)
      }
    },
    hurry() {
      if (feed !== undefined || pause === FIRST_PAUSE) return
      pause = FIRST_PAUSE
      openLater()
    },
    start() {
      if (isClosed || era > 0) return
      open()
    },
    close() {
      isClosed = true
      clearTimeout(timer)
      feed?.stop()
      feed = undefined
      era += 1
    },
  }
}

function silence(store: string): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    `the change feed of the ${store} store does not answer; its connection seems to be dead`,
  )
}
