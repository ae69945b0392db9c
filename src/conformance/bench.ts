import { strict as assert } from 'node:assert'
import type { MaybePromise, SessionRecord, SessionStore, StoreKey } from '../core/store.js'
import type { EngineHooks } from './hooks.js'
import type { Random } from './random.js'

/** One promise of the contract, and the cases that hold a store to it. */
export interface Group {
  readonly name: string
  /** The group runs where the store has these methods and `open` gives these hooks. */
  readonly needs: readonly Need[]
  /** By title. Each gets an empty store of its own. */
  readonly cases: Readonly<Record<string, (bench: Bench) => Promise<void>>>
}

export type Need = OptionalMethod | keyof EngineHooks
type OptionalMethod =
  | 'listByUser'
  | 'deleteByUser'
  | 'revocationMark'
  | 'deleteExpired'
  | 'watch'
  | 'ping'
  | 'reconnect'
  | 'close'

/** What a case works with. */
export interface Bench {
  /** The store under test, answering by promise whatever it does itself. */
  readonly store: AskedStore
  /** The same store as it was opened. */
  readonly raw: SessionStore
  readonly engine: EngineHooks
  readonly random: Random
  /** The instant at which the case plays: far from the real clock, which is no store's business. */
  readonly now: number
  /** A key that was not used before. */
  key(): StoreKey
  /** A version mark that was not used before. */
  mark(): string
  /** A record alive at `now`, with a new version. */
  record(changes?: Partial<SessionRecord>): SessionRecord
  /** The same bench at another time. */
  at(now: number): Bench
  /** Opens one more store, lets `use` have it, and closes it. */
  withAnother(use: (store: AskedStore) => Promise<void>): Promise<void>
  /** Another handle on the same data, as another process would have it; the same store where `open` gives none. */
  other(): Promise<AskedStore>
}

/** A store all of whose methods answer by promise; one that it does not have rejects. */
export type AskedStore = {
  readonly [Method in AskedMethod]: (
    ...args: Parameters<Required<SessionStore>[Method]>
  ) => Promise<Awaited<ReturnType<Required<SessionStore>[Method]>>>
}
type AskedMethod =
  | 'load'
  | 'create'
  | 'update'
  | 'touch'
  | 'delete'
  | Exclude<OptionalMethod, 'watch' | 'close'>

export const MINUTE = 60_000
export const HOUR: number = 60 * MINUTE
/** How long a record of `bench.record()` lives unused. */
export const IDLE: number = 30 * MINUTE
/** How long a record of `bench.record()` can live at all. */
export const ABSOLUTE: number = 12 * HOUR

export function benchFor(
  parts: Pick<Bench, 'raw' | 'engine' | 'random' | 'withAnother'>,
  now = 2_000_000_000_000,
): Bench {
  const { raw, engine, random } = parts
  const store = asked(raw)
  const key = () => random.text(22) as StoreKey
  const mark = () => random.text(22)
  const at = (later: number) => benchFor(parts, later)

  function record(changes: Partial<SessionRecord> = {}): SessionRecord {
    return Object.freeze({
      version: mark(),
      payload: `{"n":"${random.text(8)}"}`,
      lastSeenAt: now,
      expiresAt: now + IDLE,
      absoluteExpiresAt: now + ABSOLUTE,
      ...changes,
    })
  }

  async function other(): Promise<AskedStore> {
    return engine.reopen === undefined ? store : asked(await engine.reopen())
  }

  return { ...parts, store, now, key, mark, record, at, other }
}

/** `store` with promises: a method that throws and one that rejects look the same. */
export function asked(store: SessionStore): AskedStore {
  const ask = (method: AskedMethod) =>
    async function answer(...args: never[]): Promise<unknown> {
      const call = store[method] as ((...args: never[]) => MaybePromise<unknown>) | undefined
      assert.ok(call, `The store has no ${method}()`)
      return call.apply(store, args)
    }
  return {
    load: ask('load'),
    create: ask('create'),
    update: ask('update'),
    touch: ask('touch'),
    delete: ask('delete'),
    listByUser: ask('listByUser'),
    deleteByUser: ask('deleteByUser'),
    revocationMark: ask('revocationMark'),
    deleteExpired: ask('deleteExpired'),
    ping: ask('ping'),
    reconnect: ask('reconnect'),
  } as AskedStore
}

/** `record` as the next write makes it: a new version, a new payload, and `changes`. */
export function successor(
  bench: Bench,
  record: SessionRecord,
  changes: Partial<SessionRecord> = {},
): SessionRecord {
  return Object.freeze({
    ...record,
    version: bench.mark(),
    payload: `{"n":"${bench.random.text(8)}"}`,
    ...changes,
  })
}

/** Both records are the same to the letter. A missing user is `undefined`, not `null` and not `''`. */
export function assertSameRecord(
  actual: SessionRecord | undefined,
  expected: SessionRecord | undefined,
): void {
  assert.deepEqual(actual && fields(actual), expected && fields(expected))
}

/** `{ outcome: 'conflict' }` with exactly this record. */
export function assertConflict(answer: unknown, expected: SessionRecord): void {
  const result = answer as { outcome?: unknown; record?: SessionRecord }
  assert.equal(result.outcome, 'conflict')
  assert.ok(result.record, 'A conflict comes with the record that stood there')
  assertSameRecord(result.record, expected)
}

export function assertOutcome(answer: { outcome: string }, expected: string): void {
  assert.equal(answer.outcome, expected)
}

/** Runs `run`; a failure in it says `label` first. For loops over many inputs. */
export async function labelled(label: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    throw withNote(error, `${label}: `, '')
  }
}

/** `error` with words around its message; some runners show the stack, so they go in there too. */
export function withNote(error: unknown, before: string, after: string): unknown {
  if (!(error instanceof Error)) return error
  const old = error.message
  error.message = `${before}${old}${after}`
  if (error.stack !== undefined) error.stack = error.stack.replace(old, () => error.message)
  return error
}

function fields(record: SessionRecord): SessionRecord {
  const { version, payload, userId, lastSeenAt, expiresAt, absoluteExpiresAt } = record
  return { version, payload, userId, lastSeenAt, expiresAt, absoluteExpiresAt }
}
