/**
 * Writes down what clients did to sessions and what they were answered, and checks that the promises held: an
 * operation is known by its beginning and its end, every written value is unique, lists only grow, so that each read
 * shows which writes it saw (the idea is Elle's, Kingsbury and Alvaro 2020).
 */
export type Kind =
  | 'create'
  | 'login'
  | 'rotate'
  | 'set'
  | 'append'
  | 'incr'
  | 'consume'
  | 'read'
  | 'logout'
  | 'endAll'
  | 'list'
  | 'touch'
  | 'expire'

/** `fail`: it surely did not happen. `unknown`: it may have, or may yet. */
export type Outcome = 'ok' | 'fail' | 'unknown'

/** What a client asks for. */
export interface Request {
  readonly kind: Kind
  readonly process?: string
  readonly session?: string
  /** The cookie it comes with. */
  readonly token?: string
  readonly user?: string
  /** Of the data: what is set, appended to, counted up or consumed. */
  readonly key?: string
  readonly value?: string
  /** Sessions that an `endAll` leaves. */
  readonly except?: readonly string[]
}

/** What it is answered when it went well. */
export interface Reply {
  /** Of a `create`, and of a `login` that makes a new session. */
  readonly session?: string
  /** Of `create`, `login` and `rotate`: the cookie that counts from now on. */
  readonly newToken?: string
  /** Whether the session was there. Default: true. */
  readonly found?: boolean
  /** Of a `consume`: whether this one got it. */
  readonly got?: boolean
  /** Of an `incr`: what it counted to. */
  readonly count?: number
  readonly seen?: Seen
  /** Of a `list`: the sessions. */
  readonly listed?: readonly string[]
}

/** What a `read` saw of the session. */
export interface Seen {
  readonly user?: string | undefined
  readonly values?: Readonly<Record<string, string | undefined>>
  readonly lists?: Readonly<Record<string, readonly string[]>>
  readonly counters?: Readonly<Record<string, number>>
}

export interface Entry extends Request, Reply {
  readonly outcome: Outcome
  /** Places in the order of all beginnings and ends: what real time orders, these order. */
  readonly invoked: number
  readonly completed: number
  /** The same on the clock, in milliseconds. */
  readonly invokedAt: number
  readonly completedAt: number
}

export interface History {
  readonly entries: readonly Entry[]
  /** Notes that an operation begins. Exactly one of the three is called when it has ended. */
  begin(request: Request): Ending
}

export interface Ending {
  ok(reply?: Reply): void
  fail(): void
  unknown(): void
}

/** An empty history. `now` is the clock that the sessions live by. */
export function newHistory(now: () => number = Date.now): History {
  const entries: Entry[] = []
  let places = 0

  function begin(request: Request): Ending {
    const invoked = places++
    const invokedAt = now()
    const end = (outcome: Outcome, reply: Reply = {}) => {
      const times = { invoked, invokedAt, completed: places++, completedAt: now() }
      entries.push({ ...request, ...reply, outcome, ...times })
    }
    return {
      ok: (reply) => end('ok', reply),
      fail: () => end('fail'),
      unknown: () => end('unknown'),
    }
  }

  return { entries, begin }
}

/** Whether the entry found its session for sure. */
export function isUse(entry: Entry): boolean {
  return USES.has(entry.kind) && entry.outcome === 'ok' && entry.found !== false
}

/** For messages: who did what, from where to where. */
export function about({ kind, process, key, token, invoked, completed }: Entry): string {
  const who = [process, kind, key, token].filter((part) => part !== undefined).join(' ')
  return `${who} [${invoked}–${completed}]`
}

export function groupBy<T>(all: readonly T[], name: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const one of all) {
    const group = groups.get(name(one))
    if (group) group.push(one)
    else groups.set(name(one), [one])
  }
  return groups
}

export const USES: ReadonlySet<string> = new Set([
  'read',
  'set',
  'append',
  'incr',
  'consume',
  'touch',
])
