import { checkData } from './check-data.js'
import { about, type Entry, groupBy, isUse, USES } from './history.js'

export type Rule = 'A1' | 'A2' | 'A3' | 'A4' | 'A5' | 'A6' | 'A7' | 'A8'

export interface Violation {
  readonly rule: Rule
  readonly message: string
}

export interface Bounds {
  /** Milliseconds a session lives unused, and at all. Default: for ever. */
  readonly idle?: number
  readonly absolute?: number
  /** How much later than its deadline a session may still be seen. Default: 1 second. */
  readonly grace?: number
  /** How many created sessions the store's declared durability may lose. Default: none. */
  readonly losses?: number
}

/**
 * Checks a history, in time that grows with its length (times its logarithm, for sorting).
 *
 * - A1 revocation is final: nothing is found with a cookie that a completed logout, rotation or end-all had ended.
 * - A2 every acknowledged append and increment counts exactly once, an unknown one once or not at all.
 * - A3 reads never go back, and see every write that was completed before them.
 * - A4 a value is consumed at most once.
 * - A5 a cookie never changes its user.
 * - A6 no session outlives its idle or absolute deadline.
 * - A7 a list has every session that was alive throughout, and none that was not alive at all meanwhile.
 * - A8 every created session is found until it is ended or past its deadline, but for `losses`.
 */
export function checkHistory(entries: readonly Entry[], bounds: Bounds = {}): Violation[] {
  const history = [...entries].sort((a, b) => a.invoked - b.invoked)
  const endAlls = groupBy(
    history.filter(({ kind, outcome }) => kind === 'endAll' && outcome !== 'fail'),
    ({ user }) => user ?? '',
  )
  const bySession = groupBy(
    history.filter(({ session }) => session !== undefined),
    ({ session }) => session ?? '',
  )
  const lives = [...bySession].map(([session, own]) => lifeOf(session, own, endAlls, bounds))
  const lost = lives.flatMap(lostSession)
  return [
    ...lives.flatMap(endedCookies),
    ...lives.flatMap(({ entries: own }) => checkData(own)),
    ...cookieUsers(history),
    ...lives.flatMap((life) => outlived(life)),
    ...listings(history, lives),
    ...(lost.length > (bounds.losses ?? 0) ? lost : []),
  ]
}

/** One session: when it began and ended, for sure and at the earliest, as places in the history. */
interface Life {
  readonly session: string
  readonly entries: readonly Entry[]
  readonly user: string | undefined
  readonly bound: Span
  readonly ended: Span
  /** For each cookie, when it came and when another took its place. */
  readonly issued: ReadonlyMap<string, Span>
  readonly replaced: ReadonlyMap<string, Span>
  /** For each entry, between which instants the session must come to its deadline if nothing else happens. */
  readonly deadlines: ReadonlyMap<Entry, { soonest: number; latest: number }>
  readonly grace: number
}

/** Something happened at the earliest here, and for sure before there. */
interface Span {
  readonly earliest: number
  readonly sure: number
}

const NEVER = Number.POSITIVE_INFINITY
const NOT: Span = { earliest: NEVER, sure: NEVER }

function lifeOf(
  session: string,
  entries: readonly Entry[],
  endAlls: ReadonlyMap<string, readonly Entry[]>,
  bounds: Bounds,
): Life {
  const happened = entries.filter(({ outcome }) => outcome !== 'fail')
  const logins = happened.filter(({ kind }) => kind === 'login')
  const user = logins.at(-1)?.user
  const bound = span(logins)
  const all = (endAlls.get(user ?? '') ?? []).filter(({ except }) => !except?.includes(session))
  const own = happened.filter(({ kind }) => kind === 'logout' || kind === 'expire')
  // A session whose sign-in was acknowledged before does not survive; one still signing in may.
  const covering = all.filter(({ invoked }) => bound.sure < invoked)
  const ended = {
    sure: span([...own, ...covering]).sure,
    earliest: span([...own, ...all.filter(({ completed }) => bound.earliest < completed)]).earliest,
  }
  const changes = happened.filter(({ kind }) => ISSUING.has(kind))
  const spans = (token: (entry: Entry) => string | undefined) => {
    const named = changes.filter((entry) => token(entry) !== undefined)
    const groups = groupBy(named, (entry) => token(entry) ?? '')
    return new Map([...groups].map(([name, group]) => [name, span(group)]))
  }
  return {
    ...{ session, entries, user, bound, ended },
    issued: spans(({ newToken }) => newToken),
    replaced: spans(({ token }) => token),
    deadlines: deadlinesOf(entries, bounds),
    grace: bounds.grace ?? 1_000,
  }
}

function deadlinesOf(
  entries: readonly Entry[],
  { idle = NEVER, absolute = NEVER }: Bounds,
): Life['deadlines'] {
  const start = entries.find(({ kind, outcome }) => ISSUING.has(kind) && outcome !== 'fail')
  const deadlines = new Map<Entry, { soonest: number; latest: number }>()
  if (start === undefined) return deadlines
  const extending = entries.filter((entry) => USES.has(entry.kind) && mayHaveFound(entry))
  const written = extending.filter(({ kind, outcome }) => kind !== 'read' && outcome === 'ok')
  const certain = [...written].sort((a, b) => a.completed - b.completed)
  let latest = start.completedAt
  let soonest = start.invokedAt
  let nextCertain = 0
  let nextPossible = 0
  for (const entry of entries) {
    while ((extending[nextPossible]?.invoked ?? NEVER) < entry.invoked) {
      latest = Math.max(latest, extending[nextPossible++]?.completedAt ?? 0)
    }
    while ((certain[nextCertain]?.completed ?? NEVER) < entry.invoked) {
      soonest = Math.max(soonest, certain[nextCertain++]?.invokedAt ?? 0)
    }
    deadlines.set(entry, {
      latest: Math.min(latest + idle, start.completedAt + absolute),
      soonest: Math.min(soonest + idle, start.invokedAt + absolute),
    })
  }
  return deadlines
}

function endedCookies({ session, entries, ended, replaced }: Life): Violation[] {
  return entries.filter(isUse).flatMap((use) => {
    if (use.invoked > ended.sure) {
      return [violation('A1', `${about(use)} found session ${session} after it was ended`)]
    }
    const since = use.token === undefined ? NEVER : (replaced.get(use.token)?.sure ?? NEVER)
    if (use.invoked <= since) return []
    return [violation('A1', `${about(use)} found session ${session} with a replaced cookie`)]
  })
}

function cookieUsers(history: readonly Entry[]): Violation[] {
  const users = new Map<string, string | undefined>()
  return history.flatMap((entry) => {
    const signedIn = entry.kind === 'login' && entry.outcome === 'ok'
    const token = signedIn ? entry.newToken : entry.token
    const shown = signedIn || (isUse(entry) && entry.seen !== undefined)
    if (!shown || token === undefined) return []
    const user = signedIn ? entry.user : entry.seen?.user
    if (!users.has(token)) users.set(token, user)
    if (users.get(token) === user) return []
    return [violation('A5', `Cookie ${token} was ${users.get(token)}, and is ${user}`)]
  })
}

function outlived({ session, entries, deadlines, grace }: Life): Violation[] {
  return entries.filter(isUse).flatMap((use) => {
    const late = use.invokedAt - (deadlines.get(use)?.latest ?? NEVER)
    if (late <= grace) return []
    return [violation('A6', `${about(use)} found session ${session} ${late} ms past its deadline`)]
  })
}

function listings(history: readonly Entry[], lives: readonly Life[]): Violation[] {
  const byUser = groupBy(lives, ({ user }) => user ?? '')
  return history.flatMap((list) => {
    if (list.kind !== 'list' || list.outcome !== 'ok') return []
    const listed = new Set(list.listed)
    const mine = byUser.get(list.user ?? '') ?? []
    const strangers = [...listed].filter(
      (session) => !mine.some((life) => life.session === session),
    )
    return [
      ...strangers.map((session) => `has ${session}, which is not theirs`),
      ...mine.flatMap((life) => listedWrongly(life, list, listed.has(life.session))),
    ].map((wrong) => violation('A7', `The list of ${list.user} ${wrong} (${about(list)})`))
  })
}

function listedWrongly(life: Life, list: Entry, isListed: boolean): string[] {
  const { session, bound, ended } = life
  if (isListed) {
    const possible = bound.earliest < list.completed && ended.sure > list.invoked
    return possible ? [] : [`has ${session}, which was not alive`]
  }
  const deadline = life.entries.findLast(({ invoked }) => invoked < list.invoked)
  const soonest = deadline ? (life.deadlines.get(deadline)?.soonest ?? NEVER) : NEVER
  const alive = bound.sure < list.invoked && ended.earliest > list.completed
  return alive && list.completedAt < soonest ? [`misses ${session}, which was alive`] : []
}

/** At most one violation for a session. */
function lostSession(life: Life): Violation[] {
  const { session, entries, ended, issued, replaced, deadlines } = life
  const absent = entries.find(
    (read) =>
      read.kind === 'read' &&
      read.outcome === 'ok' &&
      read.found === false &&
      (issued.get(read.token ?? '') ?? NOT).sure < read.invoked &&
      (replaced.get(read.token ?? '') ?? NOT).earliest > read.completed &&
      ended.earliest > read.completed &&
      read.completedAt < (deadlines.get(read)?.soonest ?? NEVER),
  )
  return absent ? [violation('A8', `${about(absent)} did not find session ${session}`)] : []
}

function mayHaveFound({ outcome, found }: Entry): boolean {
  return outcome === 'unknown' || (outcome === 'ok' && found !== false)
}

function span(entries: readonly Entry[]): Span {
  return {
    earliest: entries.reduce((least, { invoked }) => Math.min(least, invoked), NEVER),
    sure: entries.reduce(
      (least, { outcome, completed }) => (outcome === 'ok' ? Math.min(least, completed) : least),
      NEVER,
    ),
  }
}

function violation(rule: Rule, message: string): Violation {
  return { rule, message }
}

const ISSUING: ReadonlySet<string> = new Set(['create', 'login', 'rotate'])
