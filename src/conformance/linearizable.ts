import type { SessionRecord, WriteResult } from '../core/store.js'

/** One call on the register, as it is made. */
export type Call =
  | { readonly method: 'load' }
  | { readonly method: 'create'; readonly record: SessionRecord }
  | { readonly method: 'update'; readonly record: SessionRecord; readonly expected: string }
  | {
      readonly method: 'touch'
      readonly expected: string
      readonly lastSeenAt: number
      readonly expiresAt: number
    }
  | { readonly method: 'delete' }

export type Answer = SessionRecord | undefined | boolean | WriteResult

/** One call in a history: `invoked` and `completed` are places in the order of all beginnings and ends. */
export interface Played {
  readonly client: number
  readonly call: Call
  readonly now: number
  readonly answer: Answer
  readonly invoked: number
  readonly completed: number
}

/**
 * Whether some order of the calls, one after the other, gives these answers, where a call that completed before another
 * was invoked also comes before it. The search is Wing and Gong's (1993) with Lowe's memory of states already tried.
 */
export function isLinearizable(history: readonly Played[], initial?: SessionRecord): boolean {
  const tried = new Set<string>()

  function search(done: number, state: SessionRecord | undefined): boolean {
    if (done === 2 ** history.length - 1) return true
    const situation = `${done} ${state === undefined ? '' : print(state)}`
    if (tried.has(situation)) return false
    tried.add(situation)
    const open = history.filter((_, index) => (done & (1 << index)) === 0)
    const firstEnd = Math.min(...open.map((played) => played.completed))
    return history.some((played, index) => {
      if ((done & (1 << index)) !== 0 || played.invoked > firstEnd) return false
      const { answer, next } = step(played.call, state, played.now)
      return print(answer) === print(played.answer) && search(done | (1 << index), next)
    })
  }

  return search(0, initial)
}

/** What a correct register answers in `state`, and what it holds afterwards. */
export function step(
  call: Call,
  state: SessionRecord | undefined,
  now: number,
): { answer: Answer; next: SessionRecord | undefined } {
  const live = state !== undefined && state.expiresAt > now ? state : undefined
  if (call.method === 'load') return { answer: live, next: state }
  if (call.method === 'delete') return { answer: live !== undefined, next: undefined }
  if (call.method === 'create') {
    return live === undefined ? { answer: true, next: call.record } : { answer: false, next: state }
  }
  if (live === undefined) return { answer: { outcome: 'missing' }, next: state }
  if (live.version !== call.expected) {
    return { answer: { outcome: 'conflict', record: live }, next: state }
  }
  if (call.method === 'update') {
    return { answer: { outcome: 'updated' }, next: merged(call.record, live, now) }
  }
  const { lastSeenAt, expiresAt } = call
  const next = lastSeenAt > live.lastSeenAt ? { ...live, lastSeenAt, expiresAt } : live
  return { answer: { outcome: 'updated' }, next }
}

/** A history in lines, for the failure message: who, from when to when, what, and the answer. */
export function explain(history: readonly Played[], now: number): string {
  return history
    .map(({ client, invoked, completed, call, answer }) => {
      const parts = Object.entries(call).map(([name, value]) =>
        name === 'method' ? String(value) : `${name} ${brief(value, now)}`,
      )
      return `  ${invoked}–${completed} client ${client}: ${parts.join(', ')} → ${brief(answer, now)}`
    })
    .join('\n')
}

function merged(record: SessionRecord, stored: SessionRecord, now: number): SessionRecord {
  const ahead = stored.lastSeenAt - record.lastSeenAt
  if (record.expiresAt <= now || ahead <= 0) return record
  const expiresAt = Math.min(record.expiresAt + ahead, record.absoluteExpiresAt)
  return { ...record, lastSeenAt: stored.lastSeenAt, expiresAt }
}

/** The same text for the same answer, whatever the order of keys and whether a missing user is spelt out. */
function print(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const sorted = Object.entries(value).filter(
    ([name, part]) => FIELDS.has(name) && part !== undefined,
  )
  sorted.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([name, part]) => `${name}:${print(part)}`).join()}}`
}

function brief(value: unknown, now: number): string {
  if (typeof value === 'number') return `now${value < now ? '' : '+'}${value - now}`
  if (typeof value === 'string') return value.slice(0, 6)
  if (typeof value !== 'object' || value === null) return String(value)
  if ('outcome' in value) {
    return 'record' in value ? `conflict with ${brief(value.record, now)}` : String(value.outcome)
  }
  const { version, lastSeenAt, expiresAt } = value as SessionRecord
  return `[${version.slice(0, 6)} seen ${brief(lastSeenAt, now)} until ${brief(expiresAt, now)}]`
}

const FIELDS: ReadonlySet<string> = new Set([
  'outcome',
  'record',
  'version',
  'payload',
  'userId',
  'lastSeenAt',
  'expiresAt',
  'absoluteExpiresAt',
])
