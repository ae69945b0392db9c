import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SessionStore, StoreEvent } from '../../src/core/store.js'
import { sqliteStore } from '../../src/stores/sqlite.js'
import { dist } from '../dist.js'
import { run } from '../run.js'
import { type AppHandle, key, NOW, record } from './sqlite-cases.js'
import { sqliteFeedCases } from './sqlite-feed-cases.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'staykept-sqlite-feed-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

sqliteFeedCases({
  test,
  sqliteStore,
  connect: (filename) => new Libsql(filename) as unknown as AppHandle,
  answerBigInts(filename) {
    const database = new Libsql(filename) as Libsql.Database & { defaultSafeIntegers(): void }
    database.defaultSafeIntegers()
    return database as unknown as AppHandle
  },
  smallDisk: () => undefined,
})

test('what another process ends is told with its reason, each once, and soon', async () => {
  const filename = join(folder, 'ends.db')
  const store = sqliteStore({ filename }) as Required<SessionStore>
  const names = Array.from({ length: 100 }, (_, index) => `k${index}`)
  for (const name of names) await store.create(key(name), record({ userId: 'ada' }), NOW)
  const events: (StoreEvent & { readonly at: number })[] = []
  const feed = store.watch((event) => void events.push({ ...event, at: Date.now() }))
  const lines = await worker('end', filename, names.length)
  await feed.check()
  expect(events.map(({ at, ...event }) => event)).toEqual(
    names.map((name) => ({ type: 'ended', key: name, reason: 'signOut' })),
  )
  const delays = lines
    .map(({ at }, index) => (events[index]?.at ?? 0) - Number(at))
    .sort((a, b) => a - b)
  console.log(
    `another process heard of 100 ends after ${delays[50]} ms (p50), ${delays[98]} ms (p99)`,
  )
  expect(delays[98]).toBeLessThan(1000)
  feed.stop()
  await store.close()
})

test('an open feed keeps no process alive', async () => {
  expect(await worker('watch', join(folder, 'watch.db'), 0)).toEqual([{ watching: true }])
})

/** What sqlite-worker.mjs says until it ends by itself. */
async function worker(task: string, filename: string, number: number): Promise<Line[]> {
  const script = join(import.meta.dirname, 'sqlite-worker.mjs')
  const env = { ...process.env, STAYKEPT_DIST: await dist() }
  const { code, stdout, stderr } = await run(
    process.execPath,
    [script, task, filename, String(number)],
    { env, timeout: 20_000 },
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
}

interface Line {
  readonly watching?: boolean
  readonly at?: number
}
