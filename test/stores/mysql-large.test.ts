import { describe, onTestFinished, test } from 'vitest'
import { ask, missing, start } from '../servers/mariadb.js'
import { home, openStore } from './mysql/opening.js'
import { expectLittleWork, isLarge, SESSIONS, SESSIONS_OF_A_USER } from './sql/large.js'
import { NOW } from './sql/records.js'

/** The package mysql2 alone; where everything is asked for, the others as well. */
const clients = isLarge ? ['mysql2', 'mariadb'] : ['mysql2']
/** Faster statements are not written down, in milliseconds. */
const QUICK = 2

describe.skipIf(missing() !== undefined)(`${SESSIONS.toLocaleString('en')} sessions`, () => {
  test.each(clients)(
    'half of them are pruned with no statement over 100 ms, while nobody waits for a read; and a list of a user takes less than 5 ms: with %s',
    async (client) => {
      const { port, close } = await start({
        settings: {
          // What is measured is the work, not a disk that others use at the same time: no commit waits for it, and the
          // log has room for all the changes, or InnoDB stops everybody for writing pages out.
          'innodb-buffer-pool-size': '1G',
          'innodb-log-file-size': '1G',
          'innodb-flush-log-at-trx-commit': 0,
          'log-output': 'TABLE',
          'long-query-time': QUICK / 1000,
        },
      })
      onTestFinished(close)
      const login = await home(port)
      await ask(
        port,
        `INSERT INTO ${login.database}.staykept_sessions
          (session_key, version, user_id, last_seen_at, expires_at, absolute_expires_at, payload)
        SELECT CONCAT('k', seq), 'v', CONCAT('user-', seq DIV ${SESSIONS_OF_A_USER}), ${NOW},
          ${NOW} + IF(seq % 2 = 0, 3600000, -3600000), ${NOW} + 7200000, REPEAT('x', 300)
        FROM ${login.database}.seq_0_to_${SESSIONS - 1}`,
      )
      await ask(port, `ANALYZE TABLE ${login.database}.staykept_sessions`)
      await ask(port, 'SET GLOBAL slow_query_log = 1')
      await expectLittleWork({
        name: `MariaDB with ${client}`,
        openStore: () => openStore({ login, client }),
        async count() {
          const [row] = await ask(
            port,
            `SELECT COUNT(*) AS n FROM ${login.database}.staykept_sessions`,
          )
          return Number(row?.n)
        },
        slowest: () => slowest(port, '^(DELETE FROM|SELECT id FROM)'),
      })
    },
    900_000,
  )
})

/** Milliseconds, of those that were written down. */
async function slowest(port: number, statement: string): Promise<number[]> {
  const rows = await ask(
    port,
    `SELECT TIME_TO_SEC(query_time) * 1000 AS most FROM mysql.slow_log
    WHERE CONVERT(sql_text USING utf8mb4) RLIKE ? ORDER BY 1 DESC LIMIT 3`,
    [statement],
  )
  return rows.length > 0 ? rows.map(({ most }) => Number(most)) : [0]
}
