import { beforeAll, describe, expect, test } from 'vitest'
import { ask, missing, start } from '../servers/postgres.js'
import { key, NOW, openStore } from './postgres/opening.js'

/** A million where it is asked for: `npm run test:large`. */
const SESSIONS = process.env.STAYKEPT_LARGE === '1' ? 1_000_000 : 100_000
/** The bounds are promises; on a machine that others use, twice as much. */
const SLACK = 2

describe.skipIf(missing() !== undefined)(`${SESSIONS.toLocaleString('en')} sessions`, () => {
  let port: number
  beforeAll(async () => {
    const server = await start()
    port = server.port
    await ask(port, 'CREATE EXTENSION pg_stat_statements')
    return () => server.close()
  }, 60_000)

  test('half of them are pruned with no statement over 100 ms, while nobody waits for a read; and a list of a user takes less than 5 ms', async () => {
    const store = openStore({ port })
    await store.load(key('k0'), NOW)
    // Every second one is long past its deadline; each user has five.
    await ask(
      port,
      `INSERT INTO staykept_sessions
      SELECT 'k' || i, 'v', 'user-' || i / 10, ${NOW}, ${NOW} + CASE WHEN i % 2 = 0 THEN 3600000 ELSE -3600000 END,
        ${NOW} + 7200000, repeat('x', 300) FROM generate_series(0, ${SESSIONS - 1}) AS i`,
    )
    await ask(port, 'ANALYZE staykept_sessions')
    await ask(port, 'SELECT pg_stat_statements_reset()')

    let isPruning = true
    const reading = readAll(() => isPruning)
    const began = performance.now()
    let removed = 0
    for (let empty = 0; empty < 5; ) {
      const count = await store.deleteExpired(1000, NOW)
      removed += count
      empty = count === 0 ? empty + 1 : 0
    }
    const took = performance.now() - began
    isPruning = false
    const reads = await reading
    const pruneMost = await slowest('WITH gone AS')

    const lists: number[] = []
    for (let turn = 0; turn < 200; turn += 1) {
      const sent = performance.now()
      const user = `user-${Math.floor((turn * SESSIONS) / 2000)}`
      expect(await store.listByUser(user, NOW)).toHaveLength(5)
      lists.push(performance.now() - sent)
    }
    const listMost = await slowest('SELECT key.* WHERE user_id')
    const say = (...cells: readonly unknown[]) => console.log(`| ${cells.join(' | ')} |`)
    say(SESSIONS, 'pruned', removed, 'in ms', took.toFixed(), 'slowest statement, ms', pruneMost)
    say('reads meanwhile', reads.length, 'p99 / slowest, ms', at(reads, 0.99), at(reads, 1))
    say('list by user, p50 / p99, ms', at(lists, 0.5), at(lists, 0.99), 'at the server', listMost)

    expect(removed).toBe(SESSIONS / 2)
    expect(await ask(port, 'SELECT count(*)::int AS left FROM staykept_sessions')).toEqual([
      { left: SESSIONS / 2 },
    ])
    expect(pruneMost).toBeLessThan(100 * SLACK)
    expect(reads.length).toBeGreaterThan(50)
    expect(at(reads, 0.99)).toBeLessThan(100 * SLACK)
    expect(at(lists, 0.5)).toBeLessThan(5 * SLACK)
  }, 900_000)

  /** Loads one live session after the other, and notes how long each takes. */
  async function readAll(goesOn: () => boolean): Promise<number[]> {
    const store = openStore({ port })
    const times: number[] = []
    for (let turn = 0; goesOn(); turn += 1) {
      const sent = performance.now()
      const found = await store.load(key(`k${(turn * 7919 * 2) % SESSIONS}`), NOW)
      expect(found?.version).toBe('v')
      times.push(performance.now() - sent)
    }
    return times
  }

  /** Milliseconds at the server. */
  async function slowest(statement: string): Promise<number> {
    const [row] = await ask(
      port,
      `SELECT max(max_exec_time) AS most FROM pg_stat_statements WHERE query ~ '^${statement}'`,
    )
    return Number(Number(row?.most).toFixed(1))
  }
})

function at(times: readonly number[], part: number): number {
  const sorted = [...times].sort((a, b) => a - b)
  return Number(
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1),
  )
}
