import { strict as assert } from 'node:assert'
import type { KeyedRecord, SessionRecord, StoreKey } from '../core/store.js'
import { type AskedStore, type Bench, type Group, successor } from './bench.js'
import { endAll, sessionsOf } from './by-user.js'
import { eachStep, holdAt, killAt } from './stepping.js'

/** Between the index of a user and the records: no order of commands may lose a live session out of sight. */
export const indexSteps: Group = {
  name: 'by-user steps',
  needs: ['listByUser', 'deleteByUser', 'intercept'],
  cases: {
    'a create that is killed leaves no live session out of the list': async (bench) => {
      await eachStep(async (index) => {
        const key = bench.key()
        const record = bench.record({ userId: bench.mark() })
        const create = () => bench.store.create(key, record, bench.now)
        const killed = await killAt(bench, index, create)
        await assertEndable(bench, key, record)
        return killed
      })
    },

    'a sign-in that is killed leaves no live session out of the list': async (bench) => {
      await eachStep(async (index) => {
        const key = bench.key()
        const anonymous = bench.record()
        await bench.store.create(key, anonymous, bench.now)
        const record = successor(bench, anonymous, { userId: bench.mark() })
        const signIn = () => bench.store.update(key, record, anonymous.version, bench.now)
        const killed = await killAt(bench, index, signIn)
        await assertEndable(bench, key, record)
        return killed
      })
    },

    'a delete or an end that is killed leaves no live session out of the list': async (bench) => {
      for (const ending of ENDINGS) {
        await eachStep(async (index) => {
          const userId = bench.mark()
          const sessions = await sessionsOf(bench, userId, 2)
          const killed = await killAt(bench, index, () => ending(bench, userId, sessions))
          for (const { key, record } of sessions) await assertListedIfAlive(bench, key, record)
          for (const { key, record } of sessions) await assertEndable(bench, key, record)
          return killed
        })
      }
    },

    'listing and ending in the middle of a create hide nothing from the next': async (bench) => {
      for (const meanwhile of LOOKS) {
        await eachStep(async (index) => {
          const key = bench.key()
          const record = bench.record({ userId: bench.mark() })
          const create = () => bench.store.create(key, record, bench.now)
          const held = await holdAt(bench, index, create, (other) =>
            meanwhile(other, bench, record),
          )
          await assertEndable(bench, key, record)
          return held
        })
      }
    },

    'listing and ending in the middle of a sign-in hide nothing from the next': async (bench) => {
      for (const meanwhile of LOOKS) {
        await eachStep(async (index) => {
          const key = bench.key()
          const anonymous = bench.record()
          await bench.store.create(key, anonymous, bench.now)
          const record = successor(bench, anonymous, { userId: bench.mark() })
          const signIn = () => bench.store.update(key, record, anonymous.version, bench.now)
          const held = await holdAt(bench, index, signIn, (other) =>
            meanwhile(other, bench, record),
          )
          await assertEndable(bench, key, record)
          return held
        })
      }
    },

    'a session that comes in the middle of a list or an end can be ended next': async (bench) => {
      for (const look of LOOKS) {
        await eachStep(async (index) => {
          const key = bench.key()
          const record = bench.record({ userId: bench.mark() })
          await sessionsOf(bench, record.userId ?? '', 2)
          const held = await holdAt(
            bench,
            index,
            () => look(bench.store, bench, record),
            (other) => other.create(key, record, bench.now),
          )
          await assertEndable(bench, key, record)
          return held
        })
      }
    },

    'a session that is written to while all are ended is ended all the same': async (bench) => {
      for (const write of ['update', 'touch'] as const) {
        await eachStep(async (index) => {
          const userId = bench.mark()
          const [session] = await sessionsOf(bench, userId, 1)
          assert.ok(session)
          const { key, record } = session
          const later = bench.now + 1
          const held = await holdAt(
            bench,
            index,
            () => endAll(bench.store, userId, bench.now),
            (other) =>
              write === 'update'
                ? other.update(key, successor(bench, record), record.version, bench.now)
                : other.touch(key, record.version, later, record.expiresAt + 1, bench.now),
          )
          assert.equal(await bench.store.load(key, bench.now), undefined)
          return held
        })
      }
    },

    'a session that stays alive is in a list that is held at any point': async (bench) => {
      await eachStep(async (index) => {
        const userId = bench.mark()
        const [steady, going] = await sessionsOf(bench, userId, 2)
        assert.ok(steady && going)
        let keys: StoreKey[] = []
        const held = await holdAt(
          bench,
          index,
          async () => {
            keys = (await bench.store.listByUser(userId, bench.now)).map(({ key }) => key)
          },
          async (other) => {
            await other.delete(going.key, bench.now)
            await other.create(bench.key(), bench.record({ userId }), bench.now)
            await other.update(
              steady.key,
              successor(bench, steady.record),
              steady.record.version,
              bench.now,
            )
          },
        )
        assert.ok(keys.includes(steady.key))
        return held
      })
    },
  },
}

type Look = (store: AskedStore, bench: Bench, record: SessionRecord) => Promise<unknown>

const LOOKS: readonly Look[] = [
  (store, bench, record) => store.listByUser(record.userId ?? '', bench.now),
  (store, bench, record) => endAll(store, record.userId ?? '', bench.now),
]

/** Ways for the first of some sessions of a user to end. */
const ENDINGS: readonly ((
  bench: Bench,
  userId: string,
  sessions: readonly KeyedRecord[],
) => Promise<unknown>)[] = [
  (bench, _userId, sessions) => bench.store.delete(sessions[0]?.key as StoreKey, bench.now),
  (bench, userId) => endAll(bench.store, userId, bench.now),
]

/** If the session is alive as its user's, then the list shows it, and ending all of the user ends it. */
async function assertEndable(bench: Bench, key: StoreKey, record: SessionRecord): Promise<void> {
  const userId = record.userId ?? ''
  const alive = await assertListedIfAlive(bench, key, record)
  const ended = await endAll(bench.store, userId, bench.now)
  assert.equal(ended.includes(key), alive)
  const left = await bench.store.load(key, bench.now)
  assert.notEqual(left?.userId, userId, 'A session survives that all of its user were ended')
}

async function assertListedIfAlive(
  bench: Bench,
  key: StoreKey,
  record: SessionRecord,
): Promise<boolean> {
  const userId = record.userId ?? ''
  const alive = (await bench.store.load(key, bench.now))?.userId === userId
  const listed = await bench.store.listByUser(userId, bench.now)
  const shown = listed.some((session) => session.key === key)
  assert.equal(shown, alive, alive ? 'A live session is not listed' : 'A dead session is listed')
  return alive
}
