import { strict as assert } from 'node:assert'
import {
  assertConflict,
  assertOutcome,
  assertSameRecord,
  type Bench,
  type Group,
  labelled,
  successor,
} from './bench.js'

export const payloads: Group = {
  name: 'payloads',
  needs: [],
  cases: {
    'a payload comes back to the letter, created, updated and in a conflict': async (bench) => {
      for (const payload of TEXTS) {
        await labelled(JSON.stringify(payload), () => roundTrip(bench, payload))
      }
    },

    'a payload of one byte and of every length around a power of two is kept': async (bench) => {
      for (const length of [1, 2, 255, 256, 257, 4_095, 4_096, 65_535, 65_536]) {
        await labelled(`${length} bytes`, () => roundTrip(bench, filled(length, 'x')))
      }
    },

    'a payload as long as the limit is kept': async (bench) => {
      const limit = largest(bench)
      for (const length of [limit - 1, limit]) {
        await labelled(`${length} bytes`, async () => {
          await roundTrip(bench, filled(length, 'x'))
          await roundTrip(bench, filled(length, '😀'))
        })
      }
    },

    'an update makes a payload longer and shorter': async (bench) => {
      const key = bench.key()
      let current = bench.record({ payload: filled(20_000, 'é') })
      await bench.store.create(key, current, bench.now)
      for (const length of [1, 50_000, 10, 49_999]) {
        const next = successor(bench, current, { payload: filled(length, 'é') })
        const answer = await bench.store.update(key, next, current.version, bench.now)
        assertOutcome(answer, 'updated')
        assertSameRecord(await bench.store.load(key, bench.now), next)
        current = next
      }
    },
  },
}

async function roundTrip(bench: Bench, payload: string): Promise<void> {
  const key = bench.key()
  const first = bench.record({ payload, userId: 'ada' })
  assert.equal(await bench.store.create(key, first, bench.now), true)
  assertSameText((await bench.store.load(key, bench.now))?.payload, payload)
  const second = successor(bench, first, { payload: '{}' })
  assertOutcome(await bench.store.update(key, second, first.version, bench.now), 'updated')
  const third = successor(bench, second, { payload })
  assertOutcome(await bench.store.update(key, third, second.version, bench.now), 'updated')
  assertSameText((await bench.store.load(key, bench.now))?.payload, payload)
  const conflict = await bench.store.update(key, second, first.version, bench.now)
  assert.equal(conflict.outcome, 'conflict')
  if (payload.length < 1_000) assertConflict(conflict, third)
  else if (conflict.outcome === 'conflict') assertSameText(conflict.record.payload, payload)
}

/** As `assert.equal`, but a difference in a long text is told by its place and not by printing both. */
function assertSameText(actual: string | undefined, expected: string): void {
  if (actual === expected) return
  if (actual === undefined || expected.length < 1_000) assert.equal(actual, expected)
  const text = String(actual)
  let at = 0
  while (at < expected.length && text[at] === expected[at]) at += 1
  assert.fail(
    `The payload differs from character ${at} on; lengths ${text.length}, ${expected.length}`,
  )
}

/** `bytes` bytes of UTF-8: `unit` as often as it fits, and ASCII for the rest. */
function filled(bytes: number, unit: string): string {
  const size = Buffer.byteLength(unit)
  return unit.repeat(Math.floor(bytes / size)) + 'x'.repeat(bytes % size)
}

/** What the store declares, up to 1 MiB; without a limit, what the core stores by default. */
function largest(bench: Bench): number {
  return Math.min(bench.raw.limits?.maxPayloadBytes ?? 262_144, 1_048_576)
}

const TEXTS: readonly string[] = [
  '{}',
  '{"n":1}',
  '{"n":1.0,"m":1e3,"big":12345678901234567890}',
  '{ "b": 1, "a": 2, "a": 3 }',
  '{"text":"ASCII \\u0000 \\u0001 \\u001f \\ud83d\\ude00 \\\\ \\/"}',
  '{"text":"é e\u0301 ß ſ İ ı Å Å"}',
  '{"text":"😀 👩‍👩‍👧‍👦 𝒳 \u{10ffff}"}',
  '{"text":"\u2028 \u2029 \u00a0 \ufeff \u200b \u202e \ufffd \uffff"}',
  '\ufeff{"text":"byte order mark first"}',
  ' {"space":"before and after"} ',
  '{"quotes":"\' \\" ` $1 $& %s ? :name @p1 {{x}} ; -- /* */"}',
  '{"lines":"\r\n\t"}',
  'not JSON at all: %_\\',
  'null',
  '0',
  '007',
  '1e3',
  'true',
]
