import { randomBytes } from 'node:crypto'
import { storeError } from '../../core/errors.js'
import type { MaybePromise, StoreEvent, StoreFeed } from '../../core/store.js'
import type { Database } from './database.js'
import { channelOf, proofOf, toEvent } from './events.js'
import { type Listen, type Listening, later, PROOF_PATIENCE } from './listening.js'
import { schemaOf, type TableNames } from './tables.js'
import { givenUp, isSetUp } from './trouble.js'

export interface Feed {
  /** The channel on which changes are told. */
  channel(): MaybePromise<string>
  watch(listener: (event: StoreEvent) => void): StoreFeed
  close(): void
}

export interface FeedOptions {
  readonly listen: Listen
  readonly database: Pick<Database, 'read' | 'change' | 'explain'>
  readonly names: TableNames
}

/** A connection that listens, from when it is wanted until it is lost. */
interface Line {
  listening?: Listening
  openedAt?: number
  /** It has heard something that was told through the pool. */
  isProven: boolean
  proof?: Promise<boolean>
  /** Those who wait to hear of their nonce. */
  readonly nonces: Map<string, (isHeard: boolean) => void>
}

/** Watchers share one connection: it is opened with the first and closed with the last of them. */
export function createFeed({ listen, database, names }: FeedOptions): Feed {
  const listeners = new Set<(event: StoreEvent) => void>()
  let channelName: string | undefined
  let line: Line | undefined
  let opening = newOpening()
  /** Why no feed can work here, until it is tried again. */
  let trouble: unknown
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let isClosed = false

  function channel(): MaybePromise<string> {
    return channelName ?? findChannel()
  }

  async function findChannel(): Promise<string> {
    const { schema = await schemaFound() } = names
    channelName = channelOf(schema, names.table)
    return channelName
  }

  async function schemaFound(): Promise<string> {
    const { rows } = await database.read(schemaOf(names), [])
    return String(rows[0]?.[0])
  }

  function open(): void {
    const own: Line = { isProven: false, nonces: new Map() }
    line = own
    trouble = undefined
    begin(own).catch((error: unknown) => lose(own, error))
  }

  async function begin(own: Line): Promise<void> {
    const name = await channel()
    if (line !== own) return
    own.listening = listen(name, {
      opened() {
        own.openedAt = performance.now()
        tell(RESET)
        opening.resolve(own)
      },
      heard(message) {
        const event = toEvent(message)
        if (event !== undefined) tell(event)
        else for (const [nonce, hear] of own.nonces) if (message === proofOf(nonce)) hear(true)
      },
      lost: (error) => lose(own, database.explain(error)),
    })
  }

  function lose(own: Line, error: unknown): void {
    if (line !== own) return
    const age = own.openedAt === undefined ? 0 : performance.now() - own.openedAt
    failures = age > STEADY ? 0 : failures + 1
    end()
    if (isSetUp(error)) {
      trouble = error
      opening.reject(error)
    }
    if (own.openedAt !== undefined || trouble !== undefined) opening = newOpening()
    if (own.openedAt !== undefined) tell(RESET)
    const pause =
      trouble === undefined ? Math.min(25 * 2 ** failures, LONGEST_PAUSE) : LONGEST_PAUSE
    retry = later(pause * (0.5 + Math.random() / 2), open)
  }

  function end(): void {
    const own = line
    line = undefined
    clearTimeout(retry)
    own?.listening?.close()
    for (const hear of own?.nonces.values() ?? []) hear(false)
  }

  function tell(event: StoreEvent): void {
    for (const listener of listeners) listener(event)
  }

  /** Whether everything that was told before now was heard; `false` where the connection was lost meanwhile. */
  async function isCaughtUp(own: Line): Promise<boolean> {
    if (own.isProven) return own.listening?.ask?.() ?? isHeard(own)
    if (own.proof !== undefined) return (await own.proof) && isCaughtUp(own)
    own.proof = isHeard(own)
    return own.proof
  }

  /** Tells a nonce through the pool, and waits to hear of it on the listening connection. */
  async function isHeard(own: Line): Promise<boolean> {
    const nonce = randomBytes(12).toString('base64url')
    const heard = new Promise<boolean>((resolve) => own.nonces.set(nonce, resolve))
    try {
      await database.change(PROVE, [await channel(), proofOf(nonce)])
      if (await inTime(heard)) own.isProven = true
      else if (line === own) throw (await isDeaf(own)) ? deaf() : database.explain(givenUp())
      // What came in one piece with the nonce, such as a reset, goes first.
      await new Promise(setImmediate)
    } catch (error) {
      lose(own, error)
      if (isSetUp(error)) throw error
    } finally {
      own.nonces.delete(nonce)
    }
    return line === own
  }

  /** Whether a connection that did not hear of its nonce is there all the same. */
  async function isDeaf({ isProven, listening }: Line): Promise<boolean> {
    if (isProven || listening?.hasHeard) return false
    // Not asked before: a pooler would hand out together with the answer what it swallows otherwise.
    return (await listening?.ask?.()) ?? true
  }

  return {
    channel,

    watch(listener) {
      const own = (event: StoreEvent): void => listener(event)
      listeners.add(own)
      if (listeners.size === 1 && !isClosed) open()
      return {
        async check() {
          for (;;) {
            if (isClosed) throw storeError('the store was closed', { executed: 'no' })
            if (!listeners.has(own)) throw storeError('this feed was stopped', { executed: 'no' })
            if (trouble !== undefined) throw trouble
            if (await isCaughtUp(await opening.promise)) return
            // A connection that is lost may say so at once, again and again: others get their turn.
            await new Promise(setImmediate)
          }
        },
        stop() {
          if (!listeners.delete(own) || listeners.size > 0) return
          end()
          failures = 0
          opening = newOpening()
        },
      }
    },

    close() {
      isClosed = true
      listeners.clear()
      end()
      opening.reject(storeError('the store was closed', { executed: 'no' }))
      opening = newOpening()
    },
  }
}

const RESET: StoreEvent = Object.freeze({ type: 'reset' })
const PROVE = { text: 'SELECT pg_notify($1, $2)' }
/** A connection that stood for so long is no failure when it breaks. */
const STEADY = 5000
const LONGEST_PAUSE = 5000

interface Opening {
  readonly promise: Promise<Line>
  readonly resolve: (line: Line) => void
  readonly reject: (error: unknown) => void
}

function newOpening(): Opening {
  let resolve!: Opening['resolve']
  let reject!: Opening['reject']
  const promise = new Promise<Line>((fulfil, refuse) => {
    resolve = fulfil
    reject = refuse
  })
  promise.catch(() => {})
  return { promise, resolve, reject }
}

async function inTime(heard: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = later(PROOF_PATIENCE, () => resolve(false))
  })
  try {
    return await Promise.race([heard, late])
  } finally {
    clearTimeout(timer)
  }
}

function deaf(): Error {
  return storeError(
    'the feed of PostgreSQL does not hear what was told through the pool: LISTEN does not work behind PgBouncer in transaction mode, or where two connections of one pool lead to different servers; let the pool connect to the server itself, or to a pooler in session mode',
    { executed: 'no' },
  )
}
