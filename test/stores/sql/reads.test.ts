import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { StoreKey } from '../../../src/core/store.js'
import { createBatches } from '../../../src/stores/sql/batches.js'
import { assertName } from '../../../src/stores/sql/names.js'
import { createReads } from '../../../src/stores/sql/reads.js'
import type { Row } from '../../../src/stores/sql/rows.js'

test('the reads of one turn go out as one statement, and each gets its own row or none', async () => {
  const { read, sent, answer } = desk()
  const answers = Promise.all(['a', 'b', 'none', 'a'].map(read))
  await turn()
  expect(sent).toEqual([['a', 'b', 'none', 'a']])
  answer(0, [row('b'), row('a')])
  expect(await answers).toEqual([row('a'), row('b'), undefined, row('a')])
})

test('a read that comes after a statement was sent is never answered by it', async () => {
  const { read, sent, answer } = desk()
  const first = read('a')
  await turn()
  const second = read('a')
  answer(0, [row('a', 'old')])
  expect(await first).toEqual(row('a', 'old'))
  await turn()
  expect(sent).toEqual([['a'], ['a']])
  answer(1, [row('a', 'new')])
  expect(await second).toEqual(row('a', 'new'))
})

test('while two statements are under way the next reads wait, and then go together', async () => {
  const { read, sent, answer } = desk()
  for (const key of ['a', 'b']) {
    void read(key)
    await turn()
  }
  const late: unknown[] = []
  for (const key of ['c', 'd', 'e']) {
    late.push(read(key))
    await turn()
  }
  expect(sent).toEqual([['a'], ['b']])
  answer(1, [row('b')])
  await turn()
  await turn()
  expect(sent).toEqual([['a'], ['b'], ['c', 'd', 'e']])
  answer(2, [row('d')])
  expect(await Promise.all(late)).toEqual([undefined, row('d'), undefined])
})

test('a statement that fails fails its reads, and the ones after it go on', async () => {
  const { read, answer, fail } = desk()
  const lost = ['a', 'b'].map(read)
  await turn()
  fail(0, new Error('connection lost'))
  for (const one of lost) await expect(one).rejects.toThrow('connection lost')
  const next = read('a')
  await turn()
  answer(1, [row('a')])
  expect(await next).toEqual(row('a'))
})

test('a job that may not join a batch goes with the next, and keeps its place', async () => {
  const sent: (readonly string[])[] = []
  const ask = createBatches<string, string>({
    most: 3,
    joins: (batch, job) => !batch.includes(job),
    send: async (jobs) => {
      sent.push(jobs)
      return jobs.map((job) => `${job} in ${sent.length}`)
    },
  })
  const all = Promise.all(['a', 'a', 'b', 'a', 'c', 'd'].map(ask))
  expect(await all).toEqual(['a in 1', 'a in 2', 'b in 1', 'a in 3', 'c in 1', 'd in 2'])
  expect(sent).toEqual([['a', 'b', 'c'], ['a', 'd'], ['a']])
})

test('an answer that comes later holds up no other', async () => {
  const ask = createBatches<string, string>({
    most: 2,
    send: async (jobs) => jobs.map((job) => (job === 'late' ? new Promise(() => {}) : job)),
  })
  void ask('late')
  expect(await ask('early')).toBe('early')
  for (let time = 0; time < 5; time += 1) {
    void ask('late')
    expect(await ask('next')).toBe('next')
  }
})

test('no statement asks for more than 500 keys', async () => {
  const { read, sent, answer } = desk()
  const keys = Array.from({ length: 1201 }, (_, index) => `k${index}`)
  const all = Promise.all(keys.map(read))
  for (let index = 0; index < 3; index += 1) {
    await turn()
    await turn()
    answer(
      index,
      (sent[index] ?? []).map((key) => row(key)),
    )
  }
  expect(sent.map(({ length }) => length)).toEqual([500, 500, 201])
  expect((await all).map((found) => found?.[0])).toEqual(keys)
})

test.each(['', 'x"; drop table users; --', '1st', 'a-b', 'a.b', 'é', 'x'.repeat(64), 7, null])(
  '%j is refused as a name in a statement',
  (name) => {
    const refused = () => assertName('someStore', 'table', name, 63)
    expect(refused).toThrow(TypeError)
    expect(refused).toThrow(
      /^someStore needs a name of 1 to 63 letters, digits and _ as table, not/,
    )
  },
)

test.each(['a', '_', 'Sessions_2', 'x'.repeat(63)])('%j is taken as a name', (name) => {
  assertName('someStore', 'table', name, 63)
})

function row(key: string, version = 'v'): Row {
  return [key, version, null, 1, 2, 3, '{}']
}

/** Reads whose statements are answered by hand, in any order. */
function desk() {
  const sent: (readonly string[])[] = []
  const open: { resolve: (rows: readonly Row[]) => void; reject: (error: unknown) => void }[] = []
  const reads = createReads((keys) => {
    sent.push(keys)
    return new Promise((resolve, reject) => open.push({ resolve, reject }))
  })
  return {
    sent,
    read: (key: string) => reads(key as StoreKey),
    answer: (index: number, rows: readonly Row[]) => open[index]?.resolve(rows),
    fail: (index: number, error: unknown) => open[index]?.reject(error),
  }
}
