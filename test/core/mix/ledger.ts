import type { SessionRecord, SessionStore, StoreKey } from '../../../src/core/store.js'
import { type Data, dataOf, type Process } from '../process.js'

export const USERS = ['u1', 'u2'] as const
export type User = (typeof USERS)[number]

/** What was promised to whom in one run, and what of it was broken. */
export class Ledger {
  /** The session that stands in the store when the run begins, its counter at 0. */
  readonly firstId: string
  readonly broken: string[] = []
  readonly increments = new Map<string, { acknowledged: number[]; unknown: number }>()
  readonly writes: Write[] = []
  readonly signIns: SignIn[] = []
  readonly revocations: Revocation[] = []
  /** Sessions that some request, whatever its fate, set out to end. */
  readonly mayHaveEnded = new Set<string>()
  /** Sessions that were ended, by whom: nothing may bring them back. */
  readonly ended = new Map<string, string>()
  /** Sessions that a user wanted to end, whatever the store said to it: once it is well again, they do. */
  readonly mustEnd = new Map<string, string>()
  /** Cookies that a sign-in made worthless. */
  readonly worthless = new Map<string, string>()
  /** What became of the kept keys of a session that was regenerated. */
  readonly successors = new Map<string, string>()
  taken = 0
  /** How often a sign-in was begun on a session. */
  readonly attempts = new Map<string, number>()
  /** Sessions that may belong to a user. */
  readonly usersSessions = new Set<string>()
  hasTrouble = false

  constructor(firstId: string) {
    this.firstId = firstId
  }

  break(rule: string): void {
    this.broken.push(rule)
  }

  attempt(id: string): void {
    this.attempts.set(id, (this.attempts.get(id) ?? 0) + 1)
    this.usersSessions.add(id)
  }

  /** Why this cookie must open nothing, if there is a reason. */
  whyShut(cookie: string): string | undefined {
    return this.ended.get(cookie.slice(0, cookie.indexOf('.'))) ?? this.worthless.get(cookie)
  }

  incrementsOf(id: string): { acknowledged: number[]; unknown: number } {
    const found = this.increments.get(id) ?? { acknowledged: [], unknown: 0 }
    this.increments.set(id, found)
    return found
  }

  /** Whether a session of `user` may have been ended by a revocation that was not over when `openedAt` came. */
  mayBeRevoked(user: User, openedAt: number): boolean {
    return this.revocations.some(
      (revocation) => revocation.user === user && (revocation.answeredAt ?? Infinity) >= openedAt,
    )
  }

  endAllOf(user: User, begunAt: number): void {
    for (const signIn of this.signIns) {
      if (signIn.user === user && signIn.answeredAt < begunAt)
        this.ended.set(signIn.id, 'revokeByUser')
    }
  }

  /** What an attacker sees, wherever he looks. */
  checkAttacker(data: object, where: string): void {
    const seen = Object.keys(data).find((key) => key.startsWith('private'))
    if (seen !== undefined) this.break(`the attacker saw ${seen} in ${where}`)
  }

  /** What a signed-in user has in a session. */
  checkOwner(user: string | undefined, data: object, where: string): void {
    if (user === undefined) return
    for (const [key, value] of Object.entries(data)) {
      if (key.startsWith('evil')) this.break(`${key} survived the sign-in: ${where}`)
      const isForeign = key === 'private' ? value !== user : /^private_/.test(key) && value !== user
      if (isForeign) this.break(`${key} of ${String(value)} in a session of ${user}: ${where}`)
    }
  }

  /** Holds the store against what was promised, after everything has come to rest. */
  async audit(store: SessionStore, bystander: Process, now: number): Promise<void> {
    for (const user of USERS) {
      for (const { key, record } of (await store.listByUser?.(user, now)) ?? []) {
        this.checkOwner(user, parse(record.payload), `at the end in ${key}`)
      }
    }
    for (const [id, by] of [...this.ended, ...this.mustEnd]) {
      if ((await loadLive(store, id, now)) !== undefined) this.break(`${id} outlived ${by}`)
    }
    for (const [cookie, by] of this.worthless) {
      const { visit } = await bystander.request({ cookie })
      if (visit.kind === 'loaded') this.break(`the cookie from before ${by} still opens a session`)
    }
    await this.#auditWrites(store, now)
    await this.#auditIncrements(store, now)
    await this.#auditSignIns(bystander)
    await this.#auditRevocations(bystander)
  }

  async #auditWrites(store: SessionStore, now: number): Promise<void> {
    for (const { id, key, value, privilege } of this.writes) {
      const record = await loadLive(store, id, now)
      if (record === undefined) {
        this.#excuse(id, `the session with ${key}`)
        continue
      }
      const isKept = key.startsWith('cart')
      if (!isKept && metaOf(record.payload).privilege !== privilege) continue
      if (parse(record.payload)[key] !== value) this.break(`${key} was acknowledged and is lost`)
    }
    for (const [old, id] of this.successors) {
      const record = await loadLive(store, id, now)
      if (record === undefined) continue
      for (const write of this.writes) {
        if (write.id !== old || !write.key.startsWith('cart')) continue
        if (parse(record.payload)[write.key] !== write.value) {
          this.break(`${write.key} did not move along with regenerate`)
        }
      }
    }
  }

  async #auditIncrements(store: SessionStore, now: number): Promise<void> {
    for (const [id, { acknowledged, unknown }] of this.increments) {
      if (new Set(acknowledged).size < acknowledged.length) {
        this.break(`two increments of ${id} both counted to the same: ${acknowledged.join()}`)
      }
      const record = await loadLive(store, id, now)
      if (record === undefined) {
        if (acknowledged.length > 0) this.#excuse(id, 'the session with the counter')
        continue
      }
      const n = (parse(record.payload).n ?? 0) as number
      const least = Math.max(0, ...acknowledged)
      if (n < least) this.break(`n is ${n} in ${id}, though ${least} was acknowledged`)
      // A session that was made in this run may have begun with a kept counter.
      const began = id === this.firstId ? 0 : Math.min(...acknowledged) - 1
      const most = began + acknowledged.length + unknown
      if (n > most) this.break(`n is ${n} in ${id}, and at most ${most} can be explained`)
    }
  }

  async #auditSignIns(bystander: Process): Promise<void> {
    for (const { id, user, isInPlace, openedAt, cookie } of this.signIns) {
      const isReplaced = (this.attempts.get(id) ?? 0) > (isInPlace ? 1 : 0)
      if (this.mayHaveEnded.has(id) || isReplaced || this.mayBeRevoked(user, openedAt)) continue
      const { visit } = await bystander.request({ cookie })
      if (visit.kind !== 'loaded')
        this.break(`the cookie of an acknowledged sign-in is ${visit.kind}`)
      else if (visit.stored?.meta.user !== user) this.break('somebody else is signed in')
      else if (dataOf(visit.open()).private !== user) this.break('the data of a sign-in are lost')
    }
  }

  /** A sign-in may rest on a password that does not hold any more, if its request began before the revocation. */
  async #auditRevocations(bystander: Process): Promise<void> {
    for (const revocation of this.revocations) {
      const { user, by, begunAt, answeredAt } = revocation
      if (answeredAt === undefined) continue
      for (const signIn of this.signIns) {
        const isOlder = signIn.user === user && signIn.by !== by && signIn.openedAt < begunAt
        if (!isOlder) continue
        const { visit } = await bystander.request({ cookie: signIn.cookie })
        if (visit.kind === 'loaded') this.break(`a sign-in outlived the revocation of ${by}`)
      }
    }
  }

  /** A session that is gone must have been ended by somebody. */
  #excuse(id: string, what: string): void {
    const isRevoked = this.usersSessions.has(id) && this.revocations.length > 0
    if (!isRevoked && !this.mayHaveEnded.has(id)) this.break(`${what} is gone, and nobody ended it`)
  }
}

/** An acknowledged assignment. */
interface Write {
  readonly id: string
  readonly key: string
  readonly value: unknown
  readonly privilege: string | undefined
}

/** An acknowledged sign-in. */
interface SignIn {
  readonly id: string
  /** Whether the session is the one that it began with. */
  readonly isInPlace: boolean
  readonly by: string
  readonly user: User
  readonly cookie: string
  readonly openedAt: number
  readonly answeredAt: number
}

interface Revocation {
  readonly user: User
  readonly by: string
  readonly begunAt: number
  answeredAt?: number
}

/** The record of a session that somebody's secret opens: of one that was replaced, a stub stays for a minute. */
async function loadLive(
  store: SessionStore,
  id: string,
  now: number,
): Promise<SessionRecord | undefined> {
  const record = await store.load(id as StoreKey, now)
  return record === undefined || metaOf(record.payload).secretHash === '' ? undefined : record
}

function parse(payload: string): Data {
  return JSON.parse(payload.slice(payload.indexOf('\n') + 1)) as Data
}

function metaOf(payload: string): { secretHash: string; privilege: string } {
  const [secretHash, privilege] = JSON.parse(payload.slice(1, payload.indexOf('\n'))) as string[]
  return { secretHash: secretHash as string, privilege: privilege as string }
}
