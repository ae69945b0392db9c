import { strict as assert } from 'node:assert'
import { assertSameRecord, type Group, labelled } from './bench.js'
import { assertListed, endAll, sessionsOf } from './by-user.js'

export const users: Group = {
  name: 'user ids',
  needs: ['listByUser', 'deleteByUser'],
  cases: {
    'a user id of any characters is kept and found': async (bench) => {
      for (const userId of USER_IDS) {
        await labelled(JSON.stringify(userId), async () => {
          const mine = await sessionsOf(bench, userId, 1)
          const [session] = mine
          assert.ok(session)
          assertSameRecord(await bench.store.load(session.key, bench.now), session.record)
          await assertListed(bench, userId, mine)
        })
      }
    },

    'no two user ids are taken for one another': async (bench) => {
      const sessions = await Promise.all(USER_IDS.map((userId) => sessionsOf(bench, userId, 1)))
      for (const [index, userId] of USER_IDS.entries()) {
        await labelled(JSON.stringify(userId), () =>
          assertListed(bench, userId, sessions[index] ?? []),
        )
      }
      for (const [index, userId] of USER_IDS.entries()) {
        await labelled(JSON.stringify(userId), async () => {
          const ended = await endAll(bench.store, userId, bench.now)
          assert.deepEqual(
            ended,
            sessions[index]?.map(({ key }) => key),
          )
        })
      }
    },

    'a user id that was never used has no sessions': async (bench) => {
      await sessionsOf(bench, 'ada', 1)
      for (const userId of ['__proto__', 'toString', 'ad', 'adaa', 'ada:', '*', '%']) {
        await labelled(JSON.stringify(userId), async () => {
          assert.deepEqual(await bench.store.listByUser(userId, bench.now), [])
          assert.deepEqual(await endAll(bench.store, userId, bench.now), [])
        })
      }
    },
  },
}

/** Each would be mistaken for another by a store that compares, escapes or converts in some wrong way. */
const USER_IDS: readonly string[] = [
  '1',
  '01',
  '1.0',
  '1e0',
  ' 1',
  '1 ',
  '0',
  'null',
  'undefined',
  'true',
  '12345678901234567890',
  '12345678901234567891',
  'ada',
  'Ada',
  'ADA',
  'ada:1',
  'ada/1',
  'ada*',
  'ad?',
  'ad_',
  'ad%',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  "Robert'); DROP TABLE sessions;--",
  '"quoted"',
  'back\\slash',
  '{tag}',
  '[1]',
  '$where',
  'a.b',
  'tab\tnew\nline',
  'é',
  'e\u0301',
  'E',
  'ß',
  'ss',
  'İstanbul',
  'istanbul',
  '😀',
  '😁',
  '李小龍',
  'عبد',
  'x'.repeat(255),
  'x'.repeat(256),
  'é'.repeat(256),
  '😀'.repeat(128),
]
