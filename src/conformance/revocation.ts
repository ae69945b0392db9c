import { strict as assert } from 'node:assert'
import { type Group, HOUR } from './bench.js'
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

    'a session made meanwhile is ended, or the mark that its sign-in reads next has changed':
      async (bench) => {
        for (let round = 0; round < 20; round += 1) {
          const user = `ada ${round}`
          await sessionsOf(bench, user, 1)
          const value = bench.mark()
          const signIn = async () => {
            const [session] = await sessionsOf(bench, user, 1)
            return { session, seen: await bench.store.revocationMark(user, bench.now) }
          }
          const ending = () =>
            endAll(bench.store, user, bench.now, [], { value, expiresAt: bench.now + HOUR })
          const first = round % 2 === 0
          const early = first ? signIn() : undefined
          const ended = ending()
          const { session, seen } = await (early ?? signIn())
          await ended
          assert.ok(session)
          if ((await bench.store.load(session.key, bench.now)) !== undefined) {
            assert.equal(seen, value)
          }
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
            await other.create(key, bench.record({ userId: user }), bench.now)
            seen = await other.revocationMark(user, bench.now)
          },
        )
        if ((await bench.store.load(key, bench.now)) !== undefined && held)
          assert.equal(seen, value)
        return held
      }),
  },
}
