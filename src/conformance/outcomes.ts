import { strict as assert } from 'node:assert'
import type { SessionRecord, StoreKey } from '../core/store.js'
import { type Bench, type Group, IDLE, successor } from './bench.js'
import type { ChangingMethod } from './hooks.js'

/** The connection breaks after the engine has executed a change and before its reply. */
export const outcomes: Group = {
  name: 'lost replies',
  needs: ['cutReply', 'executions'],
  cases: {
    'a create whose reply is lost rejects, was sent once, and stands': (bench) =>
      replyLost(bench, 'create', (key, next) => bench.store.create(key, next, bench.now)),

    'an update whose reply is lost rejects, was sent once, and stands': (bench) =>
      replyLost(bench, 'update', (key, next, first) =>
        bench.store.update(key, next, first.version, bench.now),
      ),

    'a touch whose reply is lost rejects, was sent once, and stands': (bench) =>
      replyLost(bench, 'touch', (key, _next, first) =>
        bench.store.touch(key, first.version, bench.now + 5, bench.now + 5 + IDLE, bench.now),
      ),

    'a delete whose reply is lost rejects, was sent once, and stands': (bench) =>
      replyLost(bench, 'delete', (key) => bench.store.delete(key, bench.now)),
  },
}

async function replyLost(
  bench: Bench,
  method: ChangingMethod,
  change: (key: StoreKey, next: SessionRecord, first: SessionRecord) => Promise<unknown>,
): Promise<void> {
  const { engine } = bench
  const key = bench.key()
  const first = bench.record()
  const next = successor(bench, first)
  if (method !== 'create') await bench.store.create(key, first, bench.now)
  const before = (await engine.executions?.(method)) ?? 0
  await engine.cutReply?.(method)

  const error = await change(key, next, first).then(
    () => assert.fail(`The ${method} answered, though its reply was lost`),
    (reason: unknown) => reason as { code?: string; generatedMessage?: boolean },
  )
  if (error instanceof assert.AssertionError) throw error
  assert.ok(
    error?.code !== 'ERR_SESSION_STORE' && error?.code !== 'ERR_SESSION_STORE_FULL',
    `The ${method} was executed, and its error says that it was not`,
  )

  // Long enough for a client that queues and sends again after it has reconnected.
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(await engine.executions?.(method), before + 1, `The ${method} was sent again`)
  const left = await bench.store.load(key, bench.now)
  if (method === 'delete') assert.equal(left, undefined)
  else if (method === 'touch') assert.equal(left?.lastSeenAt, bench.now + 5)
  else assert.equal(left?.version, next.version)
}
