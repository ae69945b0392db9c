import { type Random, seededRandom } from '../../../src/conformance/random.js'
import { pooledRandom } from '../../../src/core/random.js'
import type { SessionStore } from '../../../src/core/store.js'
import { memoryStore } from '../../../src/stores/memory.js'
import { type Core, core, createJar, createProcess, type Jar, type Process } from '../process.js'
import { Ledger } from './ledger.js'
import { type Plan, planRequest, runRequest } from './requests.js'
import { type Step, scheduledStore } from './scheduled-store.js'
import { settled, type VirtualTime } from './virtual-time.js'

export interface MixOptions {
  readonly core?: Core
  /** Whether the processes have a near cache. Default: in half of the runs. */
  readonly nearCache?: boolean
  /** A store that goes wrong, for the mix to find out. */
  readonly breakStore?: (store: SessionStore) => SessionStore
}

/** One run: what was broken, and the story that led to it. */
export interface MixResult {
  readonly broken: readonly string[]
  readonly story: readonly string[]
}

const BUDGET = 1000

/** One for all runs, because each would fill a pool of its own. */
const secrets = pooledRandom()

/**
 * Two or three processes with one store, and three requests of up to three operations each: a victim's, and those of an
 * attacker who has planted its cookie. Every call of the store and every answer is a point where another request may go
 * on; up to two of them go wrong.
 */
export async function runMix(
  seed: number,
  time: VirtualTime,
  { core: subject = core, breakStore = (store) => store, nearCache }: MixOptions = {},
): Promise<MixResult> {
  time.reset()
  const random = seededRandom(seed)
  const realRandom = Math.random
  Math.random = random.next
  try {
    return await play(random, time, { subject, nearCache, store: breakStore(memoryStore()) })
  } finally {
    Math.random = realRandom
  }
}

interface Setting {
  readonly subject: Core
  readonly store: SessionStore
  readonly nearCache: boolean | undefined
}

async function play(
  random: Random,
  time: VirtualTime,
  { subject, store, nearCache: isNear = random.next() < 0.5 }: Setting,
): Promise<MixResult> {
  const now = (): number => time.now
  const options = { clock: { now }, storeBudget: BUDGET, awaitTouch: random.next() < 0.3 }
  const steps: Step[] = []
  const late: Step[] = []
  const story: string[] = []
  const bystander = createProcess(store, options, subject, secrets)
  const nearCache = isNear ? NEAR_CACHE : undefined
  const { ledger, victim, attacker } = await prepare(bystander, random, now)
  // Long enough ago for every visit to count as activity.
  if (random.next() < 0.3) time.tick(5 * 60_000)
  const processes = Array.from({ length: 2 + random.below(2) }, () =>
    createProcess(scheduledStore(store, steps), { ...options, nearCache }, subject, secrets),
  )
  const plans = [1, 2, 3].map((index) =>
    planRequest(index, random, { processes, victim, attacker }),
  )
  const waiting = [...plans]
  let open = 0
  let faults = random.below(3)

  function start(plan: Plan): void {
    story.push(`${plan.name} in process ${processes.indexOf(plan.process)}`)
    const begunAt = now()
    open += 1
    void runRequest(plan, ledger, now).then(() => {
      open -= 1
      const revocations = plan.operations.filter(({ kind }) => kind === 'revokeByUser').length
      const took = now() - begunAt
      story.push(`${plan.name[0]} is answered ${now()}`)
      // A revocation has a budget of its own, and the time it takes gives the request's back.
      if (took > BUDGET * (1 + 2 * revocations) + 300) {
        ledger.break(`${plan.name} was answered after ${took} ms`)
      }
    })
  }

  function take(step: Step): void {
    steps.splice(steps.indexOf(step), 1)
    const fault = faults > 0 && random.next() < 0.15 ? random.pick(FAULTS) : undefined
    story.push(`${now()} ${step.method} ${step.stage}${fault === undefined ? '' : `: ${fault}`}`)
    if (fault === undefined) {
      step.go()
      return
    }
    faults -= 1
    ledger.hasTrouble = true
    if (fault === 'broken') step.fail()
    else step.vanish()
    if (fault === 'late' && step.stage === 'call') late.push(step)
  }

  function runLate(): void {
    const step = late.splice(random.below(late.length), 1)[0] as Step
    story.push(`${step.method} is executed late`)
    step.executeLate()
  }

  function passTime(): void {
    ledger.hasTrouble = true
    story.push(`time passes ${time.now}`)
    time.fireNext()
  }

  await settled()
  for (;;) {
    if (time.tick(1)) await settled()
    if (waiting.length === 0 && open === 0) break
    const choice = random.below(waiting.length + steps.length + late.length)
    if (time.timers > 0 && random.next() < 0.02) passTime()
    else if (choice < waiting.length) start(waiting.splice(choice, 1)[0] as Plan)
    else if (choice < waiting.length + steps.length) take(steps[choice - waiting.length] as Step)
    else if (late.length > 0) runLate()
    else if (time.timers > 0) passTime()
    else {
      ledger.break('a request is never answered')
      break
    }
    await settled()
  }

  // Nothing goes wrong any more; what is under way comes to its end.
  for (const { engine } of processes) engine.feed.close()
  for (;;) {
    if (time.tick(1)) await settled()
    const step = steps.shift()
    if (step !== undefined) step.go()
    else if (late.length > 0) runLate()
    else if (time.timers > 0) time.fireNext()
    else break
    await settled()
  }
  await ledger.audit(store, bystander, now())
  return { broken: ledger.broken, story }
}

const NEAR_CACHE = { maxStaleness: 2000, maxEntryAge: 30_000, maxEntries: 100, maxBytes: 1e6 }

const FAULTS = ['broken', 'never', 'late'] as const

/** A planted session that the victim uses too; in half of the runs the victim has signed in on it already. */
async function prepare(
  process: Process,
  random: Random,
  now: () => number,
): Promise<{ ledger: Ledger; victim: Jar; attacker: Jar }> {
  const attacker = createJar()
  await process.handle(attacker, (session) => {
    Object.assign(session, { n: 0, token: 't', evil: true })
  })
  const cookie = attacker.cookie as string
  const victim = createJar(cookie)
  const ledger = new Ledger(cookie.slice(0, cookie.indexOf('.')))
  if (random.next() < 0.5) return { ledger, victim, attacker }
  const keep = ['n', 'token']
  await process.handle(victim, (session) => session.signIn('u1', { keep, data: { private: 'u1' } }))
  const openedAt = now()
  ledger.attempt(ledger.firstId)
  ledger.signIns.push({
    id: ledger.firstId,
    user: 'u1',
    isInPlace: true,
    cookie: victim.cookie as string,
    by: 'before the run',
    openedAt,
    answeredAt: openedAt,
  })
  return { ledger, victim, attacker }
}
