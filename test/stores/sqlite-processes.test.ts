import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import Libsql from 'libsql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionStore } from '../../src/core/store.js'
import { sqliteStore } from '../../src/stores/sqlite.js'
import { dist } from '../dist.js'
import { key, NOW, record } from './sqlite-cases.js'

let scratch: string
let folders = 0

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'staykept-sqlite-processes-'))
  chmodSync(scratch, 0o755)
})
afterAll(() => rmSync(scratch, { recursive: true }))

describe('several processes on one file', () => {
  test('two that make 2,000 conditional updates each on one session lose none', async () => {
    const filename = newFile()
    const store = sqliteStore({ filename })
    await store.create(key('counter'), record({ payload: '0' }), NOW)
    let made = 0
    let conflicts = 0
    // Without conflicts the two have not met. On a machine that is busy, one may be done before the other has its turn.
    for (let round = 0; round < 10 && conflicts === 0; round += 1) {
      const workers = await Promise.all([1, 2].map(() => worker('count', filename, 2000)))
      const told = workers.map(linesOf)
      await Promise.all(workers.map(({ stdout }) => once(stdout as Readable, 'data')))
      for (const { stdin } of workers) stdin?.end()
      made += 4000
      for (const line of (await Promise.all(told)).flat()) conflicts += Number(line.conflicts ?? 0)
      expect((await store.load(key('counter'), NOW))?.payload).toBe(String(made))
    }
    expect(conflicts).toBeGreaterThan(0)
    await store.close?.()
  }, 60_000)

  test('eight that make and open a new file in the same instant all can', async () => {
    for (let round = 0; round < 2; round += 1) {
      const filename = newFile()
      const at = Date.now() + 1200
      const workers = await Promise.all(
        Array.from({ length: 8 }, () => worker('start', filename, at)),
      )
      const told = await Promise.all(workers.map(linesOf))
      expect(told).toEqual(Array(8).fill([{ stored: true }]))
      expect(count(filename)).toBe(8)
    }
  }, 60_000)
})

describe('a process that is killed', () => {
  test('in the middle of writing leaves everything acknowledged, and nothing torn', async () => {
    const rounds = process.env.CI === 'true' ? 200 : 25
    const filename = newFile()
    await sqliteStore({ filename }).close?.()
    const expected = new Map<string, Expected>()
    let acknowledged = 0
    for (let round = 0; round < rounds; round += 1) {
      const child = await worker('write', filename)
      const kill = () => setTimeout(() => child.kill('SIGKILL'), (round * 7) % 41)
      child.stdout?.once('data', kill)
      for (const line of await linesOf(child)) {
        if (line.begin) {
          const { begin, version, userId } = line
          const old = expected.get(begin)
          expected.set(begin, {
            userId: String(userId),
            versions: [...(old?.versions ?? [null]), version ?? null],
          })
        } else if (typeof line.stored === 'string') {
          acknowledged += 1
          const { userId, versions } = expected.get(line.stored) as Expected
          expected.set(line.stored, { userId, versions: versions.slice(-1) })
        } else throw new Error(JSON.stringify(line))
      }
      const store = sqliteStore({ filename })
      await assertAll(store, expected)
      await store.close?.()
    }
    expect(acknowledged).toBeGreaterThan(rounds * 10)
    const database = new Libsql(filename)
    expect(database.prepare('PRAGMA integrity_check').get()).toMatchObject({
      integrity_check: 'ok',
    })
    database.close()
  }, 300_000)

  /** The versions under which the session may stand: the acknowledged one, and the one that was under way. */
  interface Expected {
    readonly userId: string
    readonly versions: readonly (string | null)[]
  }

  async function assertAll(store: SessionStore, expected: Map<string, Expected>): Promise<void> {
    for (const [name, { userId, versions }] of expected) {
      const found = await store.load(key(name), NOW)
      expect(versions, name).toContain(found?.version ?? null)
      const listed = await store.listByUser?.(userId, NOW)
      expect(
        listed?.map(({ record: { version } }) => version),
        name,
      ).toEqual(found ? [found.version] : [])
      expected.set(name, { userId, versions: [found?.version ?? null] })
    }
  }

  test('loses at most its last moments where the end of the -wal is cut off, and nothing before', async () => {
    const filename = newFile()
    const store = sqliteStore({ filename })
    for (let i = 0; i < 200; i += 1)
      await store.create(key(`k${i}`), record({ userId: 'ada' }), NOW)
    for (const cut of [1, 100, 4096, 4097, 40_000]) {
      const copy = newFile()
      copyFileSync(filename, copy)
      copyFileSync(`${filename}-wal`, `${copy}-wal`)
      truncateSync(`${copy}-wal`, statSync(`${copy}-wal`).size - cut)
      const survivor = sqliteStore({ filename: copy })
      const kept: boolean[] = []
      for (let i = 0; i < 200; i += 1)
        kept.push((await survivor.load(key(`k${i}`), NOW)) !== undefined)
      const first = kept.indexOf(false)
      // Each create is at least two pages of 4 KB: the row, and an index.
      expect(first).toBeGreaterThanOrEqual(199 - Math.ceil(cut / 8192))
      expect(kept.indexOf(true, first)).toBe(-1)
      expect(await survivor.create(key('late'), record(), NOW)).toBe(true)
      await survivor.close?.()
    }
    await store.close?.()
  })
})

test('100,000 sessions are all there after a restart, and the first answer takes less than 2 s', async () => {
  const filename = newFile()
  const store = sqliteStore({ filename })
  await store.create(key('k0'), record({ userId: 'user-0' }), NOW)
  const database = new Libsql(filename)
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
    INSERT INTO staykept_sessions (key, version, user_id, last_seen_at, expires_at, absolute_expires_at, payload)
    SELECT 'k' || i, 'v', 'user-' || i, last_seen_at, expires_at, absolute_expires_at, hex(zeroblob(150))
    FROM n, staykept_sessions WHERE key = 'k0'`)
  database.close()
  await store.close?.()
  const [line] = await linesOf(await worker('open', filename, 100_000))
  expect(line).toMatchObject({ found: 100_000 })
  console.log(`100,000 sessions: open in ${line?.took} ms, rss ${line?.rss} bytes`)
  // Twice the promise, for a machine that is busy with other tests.
  expect(line?.took).toBeLessThan(2 * 2000)
  expect(line?.rss).toBeLessThan(200_000_000)
}, 120_000)

describe('without the right to write', () => {
  const ways: readonly [string, number, number][] = [
    ['the file', 0o444, 0o777],
    ['its directory', 0o666, 0o555],
    ['either', 0o444, 0o555],
  ]
  test.each(ways)(
    'to %s, the error says what to change, and nothing is lost',
    async (_, file, folder) => {
      const filename = newFile()
      const store = sqliteStore({ filename })
      await store.create(key('k0'), record(), NOW)
      await store.close?.()
      for (const rest of ['-wal', '-shm']) rmSync(filename + rest, { force: true })
      chmodSync(filename, file)
      chmodSync(join(filename, '..'), folder)
      const [line] = await linesOf(await worker('open', filename, 1, 'nobody'))
      expect(line?.error).toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: expect.stringMatching(
          /sessions\.db cannot be (written: let this process write|opened: name a file)/,
        ),
      })
      chmodSync(join(filename, '..'), 0o777)
      chmodSync(filename, 0o666)
      const [again] = await linesOf(await worker('open', filename, 1))
      expect(again).toMatchObject({ found: 1 })
    },
  )
})

interface Line {
  readonly begin?: string
  readonly version?: string | null
  readonly userId?: string
  readonly stored?: string | boolean
  readonly conflicts?: number
  readonly took?: number
  readonly found?: number
  readonly rss?: number
  readonly error?: unknown
}

/** Starts sqlite-worker.mjs; as `nobody` it has no right to what belongs to others, even where the tests run as root. */
async function worker(
  task: string,
  filename: string,
  number = 0,
  as?: 'nobody',
): Promise<ChildProcess> {
  const script = join(import.meta.dirname, 'sqlite-worker.mjs')
  const env = { ...process.env, STAYKEPT_DIST: await dist() }
  const user = as && process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
  return spawn(process.execPath, [script, task, filename, String(number)], {
    env,
    ...user,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
}

/** What a worker said until it ended, the half line of a kill left out. */
async function linesOf(child: ChildProcess): Promise<Line[]> {
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await new Promise((resolve) => child.once('close', resolve))
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
}

function count(filename: string): number {
  const database = new Libsql(filename)
  const { n } = database.prepare('SELECT count(*) AS n FROM staykept_sessions').get() as {
    n: number
  }
  database.close()
  return n
}

function newFile(): string {
  const folder = join(scratch, String(++folders))
  mkdirSync(folder, { mode: 0o755 })
  return join(folder, 'sessions.db')
}
