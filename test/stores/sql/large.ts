import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { SessionStore } from '../../../src/core/store.js'
import { quantile, row } from '../../faults/load.js'
import { key, NOW } from './records.js'

/** Whether everything is asked for: `npm run test:large`. */
export const isLarge = process.env.STAYKEPT_LARGE === '1'
export const SESSIONS = isLarge ? 1_000_000 : 100_000
/** Of each user; every second is long past its deadline. */
export const SESSIONS_OF_A_USER = 10
/** The bounds are promises; on a machine that others use, twice as much. */
const SLACK = 2
/** How many statements, of thousands, may have met something else on such a machine. */
const OUTLIERS = isLarge ? 2 : 0

/** A database with `SESSIONS` in it: `k0`, `k1`, … with the version `v`, of `user-0`, `user-1`, … */
export interface LargeDatabase {
  readonly name: string
  openStore(): Required<SessionStore>
  /** How many rows there are. */
  count(): Promise<number>
  /** The longest statements of a prune so far, in milliseconds at the server, the longest first: as many as it knows. */
  slowest(): Promise<readonly number[]>
}

/** Prunes the half that is due while others read, then lists users. */
export async function expectLittleWork(database: LargeDatabase): Promise<void> {
  const store = database.openStore()
  let isPruning = true
  const reading = readAll(database.openStore(), () => isPruning)
  const began = performance.now()
  let removed = 0
  for (let empty = 0; empty < 5; ) {
    const count = await store.deleteExpired(1000, NOW)
    removed += count
    empty = count === 0 ? empty + 1 : 0
    // So does the application's own pruning.
    await sleep(20)
  }
  const took = performance.now() - began
  isPruning = false
  const reads = await reading

  const lists: number[] = []
  for (let turn = 0; turn < 200; turn += 1) {
    const user = `user-${Math.floor((turn * SESSIONS) / SESSIONS_OF_A_USER / 200)}`
    const sent = performance.now()
    expect(await store.listByUser(user, NOW)).toHaveLength(SESSIONS_OF_A_USER / 2)
    lists.push(performance.now() - sent)
  }
  const prune = await database.slowest()
  const id = `${database.name}, ${SESSIONS.toLocaleString('en')} sessions`
  row(id, 'pruned', removed, 'in ms', took, 'slowest statements, ms', ...prune)
  row(id, 'reads meanwhile', reads.length, 'p99 / slowest, ms', ...of(reads, 0.99, 1))
  row(id, 'list by user, p50 / p99, ms', ...of(lists, 0.5, 0.99))

  expect(removed).toBe(SESSIONS / 2)
  expect(await database.count()).toBe(SESSIONS / 2)
  expect(prune[Math.min(OUTLIERS, prune.length - 1)]).toBeLessThan(100 * SLACK)
  expect(reads.length).toBeGreaterThan(50)
  expect(quantile(reads, 0.99)).toBeLessThan(100 * SLACK)
  expect(quantile(lists, 0.5)).toBeLessThan(5 * SLACK)
}

/** Loads one live session after the other, and notes how long each takes. */
async function readAll(
  store: Required<SessionStore>,
  goesOn: () => boolean,
): Promise<readonly number[]> {
  const times: number[] = []
  for (let turn = 0; goesOn(); turn += 1) {
    const sent = performance.now()
    const found = await store.load(key(`k${(turn * 7919 * 2) % SESSIONS}`), NOW)
    expect(found?.version).toBe('v')
    times.push(performance.now() - sent)
  }
  return times
}

function of(times: readonly number[], ...parts: readonly number[]): number[] {
  return parts.map((part) => quantile(times, part))
}
