import { assertConflict, assertOutcome, assertSameRecord, type Group, labelled } from './bench.js'

export const versions: Group = {
  name: 'versions',
  needs: [],
  cases: {
    'marks may come in any order: each update names the one before': async (bench) => {
      const key = bench.key()
      const marks = ['5', 'zzzz', '0', '9', '10', '-1', 'AAAA', 'aaaa', '~', bench.mark()]
      const last = await marks.reduce(
        async (before, version) => {
          const expected = await before
          const record = bench.record({ version })
          await labelled(`${version} after ${expected}`, async () => {
            assertOutcome(await bench.store.update(key, record, expected, bench.now), 'updated')
            assertSameRecord(await bench.store.load(key, bench.now), record)
          })
          return version
        },
        (async () => {
          await bench.store.create(key, bench.record({ version: 'first' }), bench.now)
          return 'first'
        })(),
      )
      const stale = await bench.store.update(key, bench.record(), 'first', bench.now)
      assertConflict(stale, (await bench.store.load(key, bench.now)) ?? bench.record())
      assertOutcome(await bench.store.update(key, bench.record(), last, bench.now), 'updated')
    },

    'a mark that is greater, less or only like the stored one is a conflict': async (bench) => {
      const pairs = [
        ['5', '4'],
        ['5', '6'],
        ['5', '05'],
        ['10', '9'],
        ['1000', '1e3'],
        ['1', '1.0'],
        ['0', '-0'],
        ['0x10', '16'],
        ['abc', 'ABC'],
        ['aBcDeF', 'AbCdEf'],
        ['abc', 'abcd'],
        ['abcd', 'abc'],
        ['abc', 'abc '],
        ['a_c', 'abc'],
        ['abc', 'a_c'],
        ['abc', '%'],
        ['null', ''],
        ['12345678901234567890', '12345678901234567891'],
        ['A'.repeat(32), 'A'.repeat(31)],
      ] as const
      for (const [stored, given] of pairs) {
        await labelled(`'${stored}' against '${given}'`, async () => {
          const key = bench.key()
          const record = bench.record({ version: stored })
          await bench.store.create(key, record, bench.now)
          const update = await bench.store.update(key, bench.record(), given, bench.now)
          assertConflict(update, record)
          const later = bench.now + 1
          const touch = await bench.store.touch(key, given, later, later + 9_000, bench.now)
          assertConflict(touch, record)
          assertSameRecord(await bench.store.load(key, bench.now), record)
        })
      }
    },

    'an old mark never fits again': async (bench) => {
      const key = bench.key()
      const old: string[] = []
      let current = bench.record()
      await bench.store.create(key, current, bench.now)
      for (let round = 0; round < 20; round += 1) {
        const next = bench.record()
        assertOutcome(await bench.store.update(key, next, current.version, bench.now), 'updated')
        old.push(current.version)
        current = next
        const stale = await bench.store.update(
          key,
          bench.record(),
          bench.random.pick(old),
          bench.now,
        )
        assertConflict(stale, current)
      }
    },

    'a conflict shows the record that stands there, payload and times intact': async (bench) => {
      const key = bench.key()
      const first = bench.record()
      await bench.store.create(key, first, bench.now)
      const second = bench.record({
        payload: '{"quote":"\\"é😀\\u0000"}',
        userId: 'ada',
        lastSeenAt: bench.now + 7,
        expiresAt: bench.now + 70_000,
        absoluteExpiresAt: bench.now + 700_000,
      })
      await bench.store.update(key, second, first.version, bench.now)
      const late = await bench.store.update(key, bench.record(), first.version, bench.now)
      assertConflict(late, second)
      const lateTouch = await bench.store.touch(
        key,
        first.version,
        bench.now + 9,
        bench.now + 90_000,
        bench.now,
      )
      assertConflict(lateTouch, second)
      assertSameRecord(await bench.store.load(key, bench.now), second)
    },
  },
}
