import { strict as assert } from 'node:assert'
import type { StoreKey } from '../core/store.js'
import { type AskedStore, type Bench, type Group, HOUR } from './bench.js'
import { endAll, sessionsOf } from './by-user.js'
import { eachStep, holdAt } from './stepping.js'

export const revocation: Group = {
  name: 'revocation',
  needs: ['revocationMark', 'deleteByUser'],
  cases: {
    'a user without one has none': async (bench) => {
      await sessionsOf(bench, 'ada', 1)
      assert.equal(await bench.store.revocationMark('ada', bench.now), undefined)
      assert.equal(await bench.store.revocationMark('__proto__', bench.now), undefined)
    },

    'ending all of a user leaves the mark, with sessions or without, and the last one counts':
      async (bench) => {
        await sessionsOf(bench, 'ada', 1)
        for (const value of ['zz', 'aa', '10', '9', bench.mark()]) {
          await endAll(bench.store, 'ada', bench.now, [], { value, expiresAt: bench.now + HOUR })
          assert.equal(await bench.store.revocationMark('ada', bench.now), value)
        }
      },

    'an older one that comes late does not take the place of a newer one': async (bench) => {
      const newer = { value: bench.mark(), expiresAt: bench.now + 2 * HOUR }
      const older = { value: bench.mark(), expiresAt: bench.now + HOUR }
      await endAll(bench.store, 'ada', bench.now, [], newer)
      await endAll(bench.store, 'ada', bench.now, [], older)
      assert.equal(await bench.store.revocationMark('ada', bench.now), newer.value)
    },

    'users have each their own': async (bench) => {
      const expiresAt = bench.now + HOUR
      const users = ['ada', 'Ada', 'grace', '__proto__', '1', '01', "a'b%_"]
      for (const user of users) {
        await endAll(bench.store, user, bench.now, [], { value: `mark of ${user}`, expiresAt })
      }
      for (const user of users) {
        assert.equal(await bench.store.revocationMark(user, bench.now), `mark of ${user}`)
      }
      assert.equal(await bench.store.revocationMark('nobody', bench.now), undefined)
    },

    'it is kept at least until its deadline': async (bench) => {
      const mark = { value: bench.mark(), expiresAt: bench.now + 100 * HOUR }
      await endAll(bench.store, 'ada', bench.now, [], mark)
      const last = mark.expiresAt - 1
      assert.equal(await bench.store.revocationMark('ada', last), mark.value)
    },

    'it is left even where every session is excepted': async (bench) => {
      const [session] = await sessionsOf(bench, 'ada', 1)
      assert.ok(session)
      const mark = { value: bench.mark(), expiresAt: bench.now + HOUR }
      await endAll(bench.store, 'ada', bench.now, [session.key], mark)
      assert.equal(await bench.store.revocationMark('ada', bench.now), mark.value)
    },

    'a create that tells the mark tells what is there, once, before it answers': async (bench) => {
      for (const value of [undefined, bench.mark()]) {
        if (value !== undefined)
          await endAll(bench.store, 'ada', bench.now, [], { value, expiresAt: bench.now + HOUR })
        assert.equal(await signIn(bench, bench.store, bench.key(), 'ada'), value)
      }
    },

    'a session made meanwhile is ended, or the mark that its sign-in reads next has changed':
      async (bench) => {
        for (let round = 0; round < 20; round += 1) {
          const user = `ada ${round}`
          await sessionsOf(bench, user, 1)
          const value = bench.mark()
          const key = bench.key()
          const ending = () =>
            endAll(bench.store, user, bench.now, [], { value, expiresAt: bench.now + HOUR })
          const first = round % 2 === 0
          const early = first ? signIn(bench, bench.store, key, user) : undefined
          const ended = ending()
          const seen = await (early ?? signIn(bench, bench.store, key, user))
          await ended
          if ((await bench.store.load(key, bench.now)) !== undefined) assert.equal(seen, value)
        }
      },
  },
}

/** The mark is stored before anything is looked up: a sign-in at any point in between is caught by one or the other. */
export const revocationSteps: Group = {
  name: 'revocation steps',
  needs: ['revocationMark', 'listByUser', 'deleteByUser', 'intercept'],
  cases: {
    'a sign-in between any two commands is ended or sees the mark': (bench) =>
      eachStep(async (index) => {
        const user = bench.mark()
        await sessionsOf(bench, user, 1)
        const value = bench.mark()
        const key = bench.key()
        let seen: string | undefined
        const held = await holdAt(
          bench,
          index,
          () => endAll(bench.store, user, bench.now, [], { value, expiresAt: bench.now + HOUR }),
          async (other) => {
            seen = await signIn(bench, other, key, user)
          },
        )
        if ((await bench.store.load(key, bench.now)) !== undefined && held)
          assert.equal(seen, value)
        return held
      }),

    'a revocation between any two commands of a sign-in ends it or is seen by it': (bench) =>
      eachStep(async (index) => {
        const user = bench.mark()
        await sessionsOf(bench, user, 1)
        const mark = { value: bench.mark(), expiresAt: bench.now + HOUR }
        const key = bench.key()
        let seen: string | undefined
        const held = await holdAt(
          bench,
          index,
          async () => {
            seen = await signIn(bench, bench.store, key, user)
          },
          (other) => endAll(other, user, bench.now, [], mark),
        )
        if ((await bench.store.load(key, bench.now)) !== undefined && held)
          assert.equal(seen, mark.value)
        return held
      }),
  },
}

/** Signs in as the core does, and answers the mark that it sees. */
async function signIn(
  bench: Bench,
  store: AskedStore,
  key: StoreKey,
  userId: string,
): Promise<string | undefined> {
  const told: (string | undefined)[] = []
  let hasAnswered = false
  await store.create(key, bench.record({ userId }), bench.now, (mark) => {
    assert.ok(!hasAnswered, 'The mark was told after the answer')
    told.push(mark)
  })
  hasAnswered = true
  assert.ok(told.length < 2, 'The mark was told more than once')
  return told.length === 1 ? told[0] : store.revocationMark(userId, bench.now)
}
