import { strict as assert } from 'node:assert'
import type { SessionRecord, StoreKey } from '../core/store.js'
import { assertSameRecord, type Bench, type Group, IDLE, labelled, successor } from './bench.js'
import { type Answer, type Call, explain, isLinearizable, type Played } from './linearizable.js'
import { make } from './register.js'
import { eachStep, holdAt, killAt } from './stepping.js'

/** A call is held, or its process killed, before each of the commands that it sends to the engine. */
export const steps: Group = {
  name: 'steps',
  needs: ['intercept'],
  cases: {
    'while a load is held, any other call may go through': heldAgainstAll('load'),
    'while a create is held, any other call may go through': heldAgainstAll('create'),
    'while an update is held, any other call may go through': heldAgainstAll('update'),
    'while a touch is held, any other call may go through': heldAgainstAll('touch'),
    'while a delete is held, any other call may go through': heldAgainstAll('delete'),

    'a caller that is killed has changed all or nothing': async (bench) => {
      for (const method of ['create', 'update', 'touch', 'delete'] as const) {
        await labelled(method, () =>
          eachStep(async (index) => {
            const key = bench.key()
            const before = method === 'create' ? undefined : bench.record({ userId: 'ada' })
            if (before) await bench.store.create(key, before, bench.now)
            const call = callOf(bench, method, before)
            const killed = await killAt(bench, index, () => make(bench.store, key, call, bench.now))
            const left = await bench.store.load(key, bench.now)
            const happened: Played = {
              ...{ client: 0, call, now: bench.now, invoked: 0, completed: 1 },
              answer: method === 'create' || method === 'delete' ? true : { outcome: 'updated' },
            }
            const load: Played = { ...played({ method: 'load' }, left, bench.now), invoked: 2 }
            assert.ok(
              isLinearizable([load], before) || isLinearizable([happened, load], before),
              `Half a ${method} is left: ${explain([load], bench.now)}`,
            )
            return killed
          }),
        )
      }
    },

    'a write that arrives late never lands on a newer one': async (bench) => {
      await eachStep(async (index) => {
        const key = bench.key()
        const first = bench.record()
        await bench.store.create(key, first, bench.now)
        const late = successor(bench, first)
        const newer = successor(bench, first)
        let answer: Answer
        const held = await holdAt(
          bench,
          index,
          async () => {
            answer = await bench.store.update(key, late, first.version, bench.now)
          },
          (other) => other.update(key, newer, first.version, bench.now),
        )
        if (held) {
          const won =
            (answer as unknown as { outcome: string }).outcome === 'updated' ? late : newer
          assertSameRecord(await bench.store.load(key, bench.now), won)
        }
        return held
      })
    },
  },
}

type Method = Call['method']

/** `method` held at each of its commands, against each method, on a key that is absent, live and past its deadline. */
function heldAgainstAll(method: Method): (bench: Bench) => Promise<void> {
  return async function holdAgainstAll(bench) {
    for (const against of ['load', 'create', 'update', 'touch', 'delete'] as const) {
      for (const start of ['absent', 'live', 'dead'] as const) {
        await labelled(`against ${against}, ${start} at first`, () =>
          eachStep((index) => heldAgainst(bench, { method, against, start, index })),
        )
      }
    }
  }
}

async function heldAgainst(
  bench: Bench,
  scene: { method: Method; against: Method; start: 'absent' | 'live' | 'dead'; index: number },
): Promise<boolean> {
  const key: StoreKey = bench.key()
  const first = bench.record({ userId: 'ada' })
  if (scene.start !== 'absent') await bench.store.create(key, first, bench.now)
  const initial = scene.start === 'absent' ? undefined : first
  const now = scene.start === 'dead' ? first.expiresAt : bench.now
  const call = callOf(bench, scene.method, initial, now)
  const between = callOf(bench, scene.against, initial, now)
  let answer: Answer
  let betweenAnswer: Answer
  const held = await holdAt(
    bench,
    scene.index,
    async () => {
      answer = await make(bench.store, key, call, now)
    },
    async (other) => {
      betweenAnswer = await make(other, key, between, now)
    },
  )
  if (!held) return false
  const left = await bench.store.load(key, now)
  const history: Played[] = [
    { ...played(call, answer, now), completed: 3 },
    { ...played(between, betweenAnswer, now), client: 1, invoked: 1, completed: 2 },
    { ...played({ method: 'load' }, left, now), invoked: 4, completed: 5 },
  ]
  assert.ok(
    isLinearizable(history, initial),
    `No order of these calls gives these answers:\n${explain(history, now)}`,
  )
  return true
}

function callOf(
  bench: Bench,
  method: Method,
  current: SessionRecord | undefined,
  now: number = bench.now,
): Call {
  const expected = current?.version ?? bench.mark()
  const lastSeenAt = now + 5
  const expiresAt = lastSeenAt + IDLE
  if (method === 'touch') return { method, expected, lastSeenAt, expiresAt }
  const record = bench.record({ userId: 'ada', lastSeenAt: now, expiresAt: now + IDLE })
  if (method === 'create') return { method, record }
  if (method === 'update') return { method, expected, record }
  return { method }
}

function played(call: Call, answer: Answer, now: number): Played {
  return { client: 0, call, now, answer, invoked: 0, completed: 9 }
}
