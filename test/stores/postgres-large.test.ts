import { describe, onTestFinished, test } from 'vitest'
import { ask, missing, start } from '../servers/postgres.js'
import { key, NOW, openStore } from './postgres/opening.js'
import { expectLittleWork, isLarge, SESSIONS, SESSIONS_OF_A_USER } from './sql/large.js'

describe.skipIf(missing() !== undefined)(`${SESSIONS.toLocaleString('en')} sessions`, () => {
  test('half of them are pruned with no statement over 100 ms, while nobody waits for a read; and a list of a user takes less than 5 ms', async () => {
    const { port, close } = await start({ settings: isLarge ? { fsync: 'on' } : {} })
    onTestFinished(close)
    await ask(port, 'CREATE EXTENSION pg_stat_statements')
    await openStore({ port }).load(key('k0'), NOW)
    await ask(
      port,
      `INSERT INTO staykept_sessions
      SELECT 'k' || i, 'v', 'user-' || i / ${SESSIONS_OF_A_USER}, ${NOW},
        ${NOW} + CASE WHEN i % 2 = 0 THEN 3600000 ELSE -3600000 END,
        ${NOW} + 7200000, repeat('x', 300) FROM generate_series(0, ${SESSIONS - 1}) AS i`,
    )
    await ask(port, 'ANALYZE staykept_sessions')
    await ask(port, 'SELECT pg_stat_statements_reset()')
    await expectLittleWork({
      name: 'PostgreSQL',
      openStore: () => openStore({ port }),
      async count() {
        return Number((await ask(port, 'SELECT count(*) FROM staykept_sessions'))[0]?.count)
      },
      slowest: () => slowest(port, 'WITH gone AS'),
    })
  }, 900_000)
})

async function slowest(port: number, statement: string): Promise<number[]> {
  const rows = await ask(
    port,
    `SELECT max_exec_time AS most FROM pg_stat_statements WHERE query ~ '^${statement}' ORDER BY 1 DESC`,
  )
  return rows.map(({ most }) => Number(most))
}
