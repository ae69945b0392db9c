import type { Random } from '../../../src/conformance/random.js'
import { type Data, dataOf, type Jar, type Process, type Visitor } from '../process.js'
import type { Ledger, User } from './ledger.js'

export const OPERATIONS = [
  'read',
  'write',
  'update',
  'take',
  'touch',
  'signIn',
  'signOut',
  'revokeByUser',
  'regenerate',
] as const

type Operation = (typeof OPERATIONS)[number]

/** One request of the mix: who sends it where, and what its handler does. */
export interface Plan {
  readonly name: string
  readonly isAttacker: boolean
  readonly process: Process
  readonly jar: Jar
  readonly operations: readonly { readonly kind: Operation; readonly user: User }[]
}

/** Cart keys are kept by every sign-in, and so is the counter. */
const KEEP = ['n', ...Array.from({ length: 9 }, (_, index) => `cart${index}`)]

export function planRequest(
  index: number,
  random: Random,
  world: { readonly processes: readonly Process[]; readonly victim: Jar; readonly attacker: Jar },
): Plan {
  const isAttacker = random.next() < 0.3
  const count = 1 + random.below(3)
  const operations = Array.from({ length: count }, () => {
    const kind = random.pick(OPERATIONS)
    const user: User = random.next() < 0.75 ? 'u1' : 'u2'
    // Who knows a password needs no attack, and nobody but the application revokes.
    return { kind: isAttacker && /^(signIn|revoke)/.test(kind) ? 'read' : kind, user } as const
  })
  return {
    name: `${index}${isAttacker ? ' (attacker)' : ''}: ${operations.map(({ kind }) => kind).join()}`,
    isAttacker,
    process: random.pick(world.processes),
    jar: isAttacker ? world.attacker : world.victim,
    operations,
  }
}

/** What one request has done that its answer will acknowledge. */
interface Draft {
  writes: { key: string; value: unknown }[]
  signIn: { id: string; user: User; isInPlace: boolean } | undefined
}

/** Sends the request and enters into the ledger what it was promised. Never rejects. */
export async function runRequest(plan: Plan, ledger: Ledger, now: () => number): Promise<void> {
  const openedAt = now()
  const { cookie } = plan.jar
  const whyNot = cookie === undefined ? undefined : ledger.whyShut(cookie)
  let visitor: Visitor
  try {
    visitor = await plan.process.request(plan.jar)
  } catch (error) {
    explain(error, plan, ledger, { openedAt })
    return
  }
  const { visit } = visitor
  if (visit.kind === 'loaded' && whyNot !== undefined) {
    ledger.break(`${plan.name} opened a session in spite of ${whyNot}`)
  }

  const draft: Draft = { writes: [], signIn: undefined }
  try {
    look(plan, ledger, visitor, 'its session')
    for (const [index, { kind, user }] of plan.operations.entries()) {
      const idBefore = visit.id
      try {
        await operate(kind, user, { plan, ledger, visitor, draft, index, now, openedAt })
      } catch (error) {
        if (kind === 'update' && codeOf(error) === 'ERR_SESSION_OUTCOME_UNKNOWN') {
          ledger.incrementsOf(idBefore).unknown += 1
        }
        // A sign-in that came too late for a revocation ends what it made.
        if (kind === 'signIn') ledger.mayHaveEnded.add(idBefore)
        throw error
      }
      look(plan, ledger, visitor, kind)
    }
    await visitor.respond()
    acknowledge(draft, { plan, ledger, visitor, cookie, openedAt, now })
  } catch (error) {
    explain(error, plan, ledger, { openedAt })
  }
}

interface Scene {
  readonly plan: Plan
  readonly ledger: Ledger
  readonly visitor: Visitor
  readonly draft: Draft
  readonly index: number
  readonly now: () => number
  readonly openedAt: number
}

async function operate(kind: Operation, user: User, scene: Scene): Promise<void> {
  const { plan, ledger, visitor, draft, index, now } = scene
  const { visit, session } = visitor
  const { id } = visit
  switch (kind) {
    case 'read':
      // The handler sees its session anyway; to read again is to reload.
      if (index === 0 || visit.stored === undefined) return
      await session.reload()
      draft.writes = []
      return
    case 'write': {
      const [key, value] = assignment(scene)
      session[key] = value
      draft.writes.push({ key, value })
      return
    }
    case 'update': {
      const n = await session.update((data: Data) => {
        if (plan.isAttacker) ledger.checkAttacker(data, 'update')
        data.n = ((data.n as number | undefined) ?? 0) + 1
        return data.n as number
      })
      ledger.incrementsOf(visit.id).acknowledged.push(n)
      return
    }
    case 'take': {
      const token = await session.take(plan.isAttacker && index > 0 ? 'private' : 'token')
      if (token === undefined) return
      if (plan.isAttacker && index > 0) ledger.break('the attacker took private')
      ledger.taken += 1
      if (ledger.taken > 1) ledger.break('the token was taken twice')
      return
    }
    case 'touch':
      return session.touch()
    case 'signIn': {
      ledger.attempt(id)
      const former = visit.stored?.meta.user
      if (former !== undefined && former !== user) ledger.mayHaveEnded.add(id)
      await session.signIn(user, { keep: KEEP, data: { private: user } })
      draft.writes = draft.writes.filter(({ key }) => KEEP.includes(key))
      draft.signIn = { id: visit.id, user, isInPlace: visit.id === id }
      ledger.usersSessions.add(visit.id)
      return
    }
    case 'signOut':
      ledger.mayHaveEnded.add(id)
      if (visit.kind === 'loaded') ledger.mustEnd.set(id, 'signOut')
      await session.signOut()
      ledger.ended.set(id, 'signOut')
      draft.writes = []
      draft.signIn = undefined
      return
    case 'regenerate': {
      ledger.mayHaveEnded.add(id)
      const wasStored = visit.stored !== undefined
      await session.regenerate({ keep: KEEP })
      if (wasStored) {
        ledger.ended.set(id, 'regenerate')
        ledger.successors.set(id, visit.id)
      }
      draft.writes = draft.writes.filter(({ key }) => KEEP.includes(key))
      draft.signIn = undefined
      return
    }
    case 'revokeByUser': {
      const begunAt = now()
      const revocation: Ledger['revocations'][number] = { user, begunAt, by: plan.name }
      ledger.revocations.push(revocation)
      await plan.process.manager.revokeByUser(user)
      revocation.answeredAt = now()
      ledger.endAllOf(user, begunAt)
      return
    }
  }
}

/** A key nobody else writes. What a signed-in user writes is private, what an attacker writes is evil. */
function assignment({ plan, visitor, index }: Scene): [string, unknown] {
  const place = `${plan.name[0]}${index}`
  const user = visitor.session.info.userId
  if (plan.isAttacker) return [`evil${place}`, true]
  if (index === 0) return [`cart${plan.name[0]}`, place]
  return user === undefined ? [`plain${place}`, place] : [`private_${place}`, user]
}

function look({ isAttacker }: Plan, ledger: Ledger, { session }: Visitor, where: string): void {
  const { userId } = session.info
  if (!isAttacker) {
    ledger.checkOwner(userId as string | undefined, dataOf(session), where)
    return
  }
  ledger.checkAttacker(dataOf(session), where)
  if (userId !== undefined) ledger.break(`the attacker is signed in as ${userId}: ${where}`)
}

function acknowledge(
  { writes, signIn }: Draft,
  scene: Pick<Scene, 'plan' | 'ledger' | 'visitor' | 'openedAt' | 'now'> & {
    readonly cookie: string | undefined
  },
): void {
  const { plan, ledger, visitor, cookie, openedAt, now } = scene
  const { visit } = visitor
  for (const { key, value } of writes) {
    ledger.writes.push({ id: visit.id, key, value, privilege: visit.stored?.meta.privilege })
  }
  if (signIn === undefined) return
  const answeredAt = now()
  const sent = visit.order.kind === 'set' ? visit.order.value : ''
  ledger.signIns.push({ ...signIn, by: plan.name, openedAt, answeredAt, cookie: sent })
  if (cookie !== undefined) ledger.worthless.set(cookie, `the sign-in of ${plan.name}`)
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? ''
}

/** A refusal must have a reason that this run gave. */
function explain(
  error: unknown,
  plan: Plan,
  ledger: Ledger,
  { openedAt }: { readonly openedAt: number },
): void {
  if (hasReason(codeOf(error), plan, ledger, openedAt)) return
  ledger.break(`${plan.name} was refused without reason: ${String(error)}`)
}

function hasReason(code: string, plan: Plan, ledger: Ledger, openedAt: number): boolean {
  switch (code) {
    case 'ERR_SESSION_STORE':
    case 'ERR_SESSION_OUTCOME_UNKNOWN':
    case 'ERR_SESSION_CONTENTION':
      return ledger.hasTrouble
    case 'ERR_SESSION_ENDED':
      return ledger.mayHaveEnded.size > 0 || ledger.revocations.length > 0
    case 'ERR_SESSION_ROTATED':
      return ledger.attempts.size > 0 || ledger.mayHaveEnded.size > 0
    case 'ERR_SESSION_REVOKED':
      return plan.operations.some(({ user }) => ledger.mayBeRevoked(user, openedAt))
    default:
      return false
  }
}
