import {
  asked,
  type Bench,
  benchFor,
  type Group,
  type Need,
  withNote,
} from './conformance/bench.js'
import { byUser } from './conformance/by-user.js'
import { deadlines } from './conformance/deadlines.js'
import type { EngineHooks } from './conformance/hooks.js'
import { hygiene } from './conformance/hygiene.js'
import { indexSteps } from './conformance/index-steps.js'
import { lastSeen } from './conformance/last-seen.js'
import { outcomes } from './conformance/outcomes.js'
import { payloads } from './conformance/payloads.js'
import { prune, pruneSteps } from './conformance/prune.js'
import { processes, races } from './conformance/races.js'
import { anySeed, seededRandom } from './conformance/random.js'
import { records } from './conformance/records.js'
import { revocation, revocationSteps } from './conformance/revocation.js'
import { steps } from './conformance/steps.js'
import { touch } from './conformance/touch.js'
import { users } from './conformance/users.js'
import { versions } from './conformance/versions.js'
import { feedCuts, watch } from './conformance/watch.js'
import type { MaybePromise, SessionStore } from './core/store.js'

export type { Around, ChangingMethod, EngineHooks } from './conformance/hooks.js'

export interface ConformanceOptions {
  /** Registers one test: `test` of vitest or node:test, `it` of mocha. */
  readonly test: TestFunction
  /** Opens a store that is empty and shares nothing with another: called once for each test. The kit closes it. */
  readonly open: () => MaybePromise<SessionStore | OpenedStore>
  /** Plays a failed run again: the number that the failure names. Default: another one each time. */
  readonly seed?: number
}

/** A store together with what only its own test can do to its engine. */
export interface OpenedStore extends EngineHooks {
  readonly store: SessionStore
}

export type TestFunction = (title: string, run: () => Promise<void>) => unknown

/**
 * Registers the tests that every store of staykept passes: one call in the test file of a store.
 *
 * ```ts
 * testSessionStore({ test, open: () => memoryStore() })
 * ```
 *
 * There is nothing to switch off. A group of tests runs where the store has the methods it is about and `open` gives
 * the hooks it needs; the others are reported as skipped where the runner can say so, and the last test prints both.
 */
export function testSessionStore({ test, open, seed = anySeed() }: ConformanceOptions): void {
  if (typeof test !== 'function' || typeof open !== 'function') {
    throw new TypeError(
      'testSessionStore needs { test, open }: the `test` of your runner and a function that opens an empty store',
    )
  }
  const report: Report = { name: '', ran: new Set(), lacking: new Map() }
  for (const group of GROUPS) {
    for (const [title, run] of Object.entries(group.cases)) {
      // No parameter is declared, since runners read from them what a test wants: a callback, or fixtures.
      test(`${group.name}: ${title}`, async function runCase(this: unknown) {
        // biome-ignore lint/complexity/noArguments: the context of the runner, where it hands one in
        const contexts = [arguments[0], this]
        const lacking = await runOn(open, group, run, seed, report)
        if (lacking !== undefined) skip(contexts, lacking)
      })
    }
  }
  test('groups: those that ran are printed', async function printGroups() {
    console.log(summary(report, seed))
  })
}

interface Report {
  name: string
  readonly ran: Set<string>
  readonly lacking: Map<string, string>
}

const GROUPS: readonly Group[] = [
  records,
  versions,
  payloads,
  deadlines,
  touch,
  lastSeen,
  races,
  byUser,
  users,
  revocation,
  prune,
  watch,
  hygiene,
  processes,
  steps,
  indexSteps,
  revocationSteps,
  pruneSteps,
  outcomes,
  feedCuts,
]

/** Runs one case on a store of its own, or answers what it lacks for that. */
async function runOn(
  open: ConformanceOptions['open'],
  group: Group,
  run: (bench: Bench) => Promise<void>,
  seed: number,
  report: Report,
): Promise<string | undefined> {
  const random = seededRandom(seed)
  return withStore(open, async (raw, engine) => {
    report.name = raw.name
    const need = group.needs.find((name) => ({ ...raw, ...engine })[name] === undefined)
    if (need !== undefined) {
      const lacking = HOOKS.has(need) ? `open gives no ${need}` : `the store has no ${need}`
      report.lacking.set(group.name, lacking)
      return lacking
    }
    const withAnother: Bench['withAnother'] = (use) =>
      withStore(open, (another) => use(asked(another)))
    await run(benchFor({ raw, engine, random, withAnother })).catch((error: unknown) => {
      throw withNote(error, '', `\n\nTo play it again: testSessionStore({ …, seed: ${seed} })`)
    })
    report.ran.add(group.name)
    return undefined
  })
}

/** Opens a store for `use`, and closes it and every further handle on it that was asked for meanwhile. */
async function withStore<T>(
  open: ConformanceOptions['open'],
  use: (store: SessionStore, engine: EngineHooks) => Promise<T>,
): Promise<T> {
  const opened = await open()
  const hooks: EngineHooks = 'store' in opened ? opened : {}
  const store = 'store' in opened ? opened.store : opened
  const handles = [store]
  const engine = { ...hooks }
  if (hooks.reopen !== undefined) {
    engine.reopen = async function reopen() {
      const handle = (await hooks.reopen?.()) as SessionStore
      handles.push(handle)
      return handle
    }
  }
  try {
    return await use(store, engine)
  } finally {
    for (const handle of handles) await handle.close?.()
    await hooks.done?.()
  }
}

/** Says that a test had nothing to do: vitest and node:test hand in a context that can, mocha has one as `this`. */
function skip(contexts: readonly unknown[], reason: string): void {
  const runner = contexts.find(
    (context) => typeof (context as { skip?: unknown } | undefined)?.skip === 'function',
  )
  ;(runner as { skip(reason: string): void } | undefined)?.skip(reason)
}

function summary(report: Report, seed: number): string {
  const ran = [...report.ran].join(', ')
  const reasons = [...new Set(report.lacking.values())].map((reason) => {
    const groups = [...report.lacking.keys()].filter((name) => report.lacking.get(name) === reason)
    return `; ${reason}: without ${groups.join(', ')}`
  })
  return `staykept conformance of ${report.name}, seed ${seed}: ${ran}${reasons.join('')}`
}

const HOOKS: ReadonlySet<Need> = new Set<keyof EngineHooks>([
  'reopen',
  'intercept',
  'cutFeed',
  'cutReply',
  'executions',
])
