import { strict as assert } from 'node:assert'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionRecord, SessionStore, StoreKey } from '../../src/core/store.js'
import type {
  SqliteDatabase,
  sqliteStore as SqliteStore,
  SqliteStoreOptions,
} from '../../src/stores/sqlite.js'

/**
 * What is special about `sqliteStore`, for every driver: vitest runs it with libsql, sqlite-node24.ts with the others.
 * So it imports nothing but types from the project, and asserts with node:assert.
 */
export interface Driver {
  readonly test: (title: string, run: () => unknown) => unknown
  readonly sqliteStore: typeof SqliteStore
  /** A handle of the driver, as an application opens it. */
  readonly connect: (filename: string) => AppHandle
  /** The handle answers with bigint from now on, or is `undefined` where the driver cannot. */
  readonly answerBigInts: (filename: string) => AppHandle | undefined
  /** A folder on a disk of a few megabytes, where there is one; asked for when a test runs. */
  readonly smallDisk: () => string | undefined
}

export type AppHandle = SqliteDatabase & { close(): unknown }

/** Takes a part of the log of changes away, without a word to the store. */
export function cutFeed(database: SqliteDatabase): void {
  for (const part of ['update', 'delete']) {
    database.exec(`DROP TRIGGER IF EXISTS staykept_sessions_log_${part}`)
  }
}

export function sqliteCases(driver: Driver): void {
  const { connect } = driver
  const open = (options: SqliteStoreOptions) => driver.sqliteStore(options) as unknown as AtOnce

  function test(title: string, run: (folder: string) => unknown): void {
    driver.test(title, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'staykept-sqlite-'))
      try {
        await run(folder)
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  }

  test('a file is made with its directories, and only its owner can read it', (folder) => {
    const filename = join(folder, 'a/b/sessions.db')
    const store = open({ filename })
    assert.equal(store.create(key('one'), record(), NOW), true)
    const files = readdirSync(join(folder, 'a/b'))
    assert.ok(files.includes('sessions.db-wal'))
    for (const file of files) assert.equal(statSync(join(folder, 'a/b', file)).mode & 0o777, 0o600)
    store.close()
  })

  test('what was stored is there after closing and opening again, in the file itself', (folder) => {
    const filename = join(folder, 'sessions.db')
    const first = open({ filename })
    first.create(key('one'), record({ userId: 'ada' }), NOW)
    first.close()
    if (existsSync(`${filename}-wal`)) assert.equal(statSync(`${filename}-wal`).size, 0)
    const second = open({ filename })
    assert.deepEqual(second.load(key('one'), NOW), record({ userId: 'ada' }))
    second.close()
  })

  test(':memory: keeps sessions and makes no file', (folder) => {
    const before = readdirSync(process.cwd())
    const store = open({ filename: ':memory:' })
    store.create(key('one'), record(), NOW)
    assert.deepEqual(store.load(key('one'), NOW), record())
    store.close()
    assert.deepEqual(readdirSync(process.cwd()), before)
    assert.deepEqual(readdirSync(folder), [])
  })

  test('a method answers at once, without a promise', (folder) => {
    const store = open({ filename: join(folder, 'sessions.db') })
    assert.equal(store.create(key('one'), record({ userId: 'ada' }), NOW), true)
    assert.deepEqual(store.update(key('one'), record({ version: 'w' }), 'v', NOW), UPDATED)
    assert.deepEqual(store.touch(key('one'), 'w', NOW + 1, NOW + 9, NOW), UPDATED)
    assert.equal((store.load(key('one'), NOW) as SessionRecord).expiresAt, NOW + 9)
    assert.deepEqual(store.listByUser('ada', NOW), [])
    assert.deepEqual(store.deleteByUser('ada', { except: [], mark: MARK, now: NOW }), [])
    assert.equal(store.revocationMark('ada', NOW), 'm')
    assert.equal(store.deleteExpired(10, NOW), 0)
    assert.ok(Math.abs(((store.ping() as { now: number }).now ?? 0) - Date.now()) < 1000)
    assert.equal(store.delete(key('one'), NOW), true)
    store.close()
  })

  test('a payload and a user id with a NUL come back whole', (folder) => {
    const store = open({ filename: join(folder, 'sessions.db') })
    const odd = record({ payload: 'a\0b\0', userId: 'ad\0a' })
    store.create(key('one'), odd, NOW)
    store.create(key('two'), record({ userId: 'ad' }), NOW)
    assert.deepEqual(store.load(key('one'), NOW), odd)
    assert.deepEqual(store.listByUser('ad\0a', NOW), [{ key: 'one', record: odd }])
    const next = { ...odd, version: 'w', payload: '\0' }
    assert.deepEqual(store.update(key('one'), next, 'v', NOW), UPDATED)
    assert.deepEqual(store.load(key('one'), NOW), next)
    store.close()
  })

  test('two tables in one file do not know each other, whatever they are called', (folder) => {
    const filename = join(folder, 'app.db')
    const [first, second] = ['select', 'Order'].map((table) => open({ filename, table }))
    first?.create(key('one'), record(), NOW)
    assert.equal(second?.load(key('one'), NOW), undefined)
    assert.equal(second?.create(key('one'), record({ version: 'other' }), NOW), true)
    assert.deepEqual(first?.load(key('one'), NOW), record())
    first.close()
    second.close()
    const again = open({ filename, table: 'ORDER' })
    assert.deepEqual(again.load(key('one'), NOW), record({ version: 'other' }))
    again.close()
  })

  test('a prune goes through a table of any size, in batches, and leaves who is alive', (folder) => {
    const filename = join(folder, 'sessions.db')
    const store = open({ filename })
    const app = connect(filename)
    app.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 23000)
      INSERT INTO staykept_sessions (key, version, last_seen_at, expires_at, absolute_expires_at, payload)
      SELECT 'k' || i, 'v', 0, CASE WHEN i % 2 THEN ${NOW} ELSE ${NOW * 2} END, ${NOW * 2}, '{}' FROM n`)
    app.close()
    const at = NOW + 3_600_000
    let removed = 0
    let calls = 0
    for (; removed < 11_500 && calls < 60; calls += 1) {
      const count = store.deleteExpired(1000, at) as number
      assert.ok(count <= 1000)
      removed += count
    }
    assert.equal(removed, 11_500)
    assert.equal(store.deleteExpired(1000, at), 0)
    assert.ok(store.load(key('k23000'), at))
    assert.equal(store.load(key('k22999'), NOW - 1), undefined)
    store.close()
  })

  test('a prune that began in the middle of the table goes on from its start', (folder) => {
    const store = open({ filename: join(folder, 'sessions.db') })
    store.create(key('late'), record({ expiresAt: NOW + 5_000_000 }), NOW)
    for (let i = 0; i < 4; i += 1) store.create(key(`k${i}`), record(), NOW)
    assert.equal(store.deleteExpired(2, NOW + 3_600_000), 2)
    assert.equal(store.deleteExpired(9, NOW + 7_200_000), 3)
    store.close()
  })

  test('a prune takes the marks that are no longer needed', (folder) => {
    const filename = join(folder, 'sessions.db')
    const store = open({ filename })
    store.deleteByUser('ada', { except: [], mark: MARK, now: NOW })
    const app = connect(filename)
    const count = () => app.prepare('SELECT count(*) AS n FROM staykept_sessions_marks').get()
    assert.equal((count() as { n: number }).n, 1)
    store.deleteExpired(10, MARK.expiresAt)
    assert.equal((count() as { n: number }).n, 1)
    store.deleteExpired(10, MARK.expiresAt + 3_600_000)
    assert.equal((count() as { n: number }).n, 0)
    app.close()
    store.close()
  })

  test('a write to a locked file waits without blocking, and a read does not wait', async (folder) => {
    const filename = join(folder, 'sessions.db')
    const store = open({ filename, busyTimeout: 5000 })
    store.create(key('one'), record(), NOW)
    const other = connect(filename)
    other.exec('BEGIN IMMEDIATE')
    let ticks = 0
    const ticking = setInterval(() => {
      ticks += 1
    }, 5)
    const started = performance.now()
    const writes = [
      store.update(key('one'), record({ version: 'w' }), 'v', NOW),
      store.create(key('two'), record({ userId: 'ada' }), NOW),
      store.deleteByUser?.('nobody', { except: [], mark: MARK, now: NOW }),
    ]
    assert.ok(performance.now() - started < 250, 'The calls blocked')
    assert.deepEqual(store.load(key('one'), NOW), record())
    await new Promise((wake) => setTimeout(wake, 200))
    other.exec('COMMIT')
    assert.deepEqual(await Promise.all(writes), [UPDATED, true, []])
    clearInterval(ticking)
    assert.ok(ticks > 2, `${ticks} ticks in 200 ms`)
    assert.deepEqual(store.load(key('one'), NOW), record({ version: 'w' }))
    assert.equal(store.revocationMark?.('nobody', NOW), 'm')
    other.close()
    store.close()
  })

  test('what is acknowledged after a lock is in the file, whatever else waited', async (folder) => {
    const filename = join(folder, 'sessions.db')
    const store = open({ filename, busyTimeout: 5000 })
    const other = connect(filename)
    const versionOf = other.prepare('SELECT version FROM staykept_sessions WHERE key = ?')
    for (let round = 0; round < 10; round += 1) {
      other.exec('BEGIN IMMEDIATE')
      const writes = Array.from({ length: 6 }, (_, index) =>
        index === 3
          ? store.deleteByUser('nobody', { except: [], mark: MARK, now: NOW })
          : store.create(key(`k${round}-${index}`), record({ version: `w${index}` }), NOW),
      )
      await new Promise((wake) => setTimeout(wake, 20))
      other.exec('COMMIT')
      const seen = await Promise.all(
        writes.map(async (write, index) => {
          await write
          return (versionOf.get(`k${round}-${index}`) as { version: string } | undefined)?.version
        }),
      )
      assert.deepEqual(seen, ['w0', 'w1', 'w2', undefined, 'w4', 'w5'])
    }
    other.close()
    store.close()
  })

  test('a file that stays locked is an error after busyTimeout, and nothing was stored', async (folder) => {
    const filename = join(folder, 'sessions.db')
    const store = open({ filename, busyTimeout: 60 })
    store.create(key('one'), record(), NOW)
    const other = connect(filename)
    other.exec('BEGIN IMMEDIATE')
    const started = performance.now()
    await assert.rejects(
      Promise.resolve(store.update(key('one'), record({ version: 'w' }), 'v', NOW)),
      { code: 'ERR_SESSION_STORE', message: /sessions\.db is locked: .*busyTimeout/ },
    )
    assert.ok(performance.now() - started < 5000)
    other.exec('COMMIT')
    assert.deepEqual(store.load(key('one'), NOW), record())
    assert.deepEqual(store.update(key('one'), record({ version: 'w' }), 'v', NOW), UPDATED)
    other.close()
    store.close()
  })

  test('a file that is not a database is refused and left as it is', (folder) => {
    const filename = join(folder, 'notes.txt')
    writeFileSync(filename, 'Dear diary. '.repeat(1000))
    const refused = { code: 'ERR_SESSION_STORE', message: /notes\.txt is not a SQLite database: / }
    assert.throws(() => open({ filename }), refused)
    assert.equal(readFileSync(filename, 'utf8'), 'Dear diary. '.repeat(1000))
    assert.deepEqual(readdirSync(folder), ['notes.txt'])
  })

  test('a directory and a path through a file are refused', (folder) => {
    writeFileSync(join(folder, 'file'), '')
    for (const filename of [folder, join(folder, 'file/sessions.db')]) {
      assert.throws(() => open({ filename }), {
        code: 'ERR_SESSION_STORE',
        message: /cannot be opened: name a file in a directory/,
      })
    }
  })

  test('a table of another application is refused and left as it is', (folder) => {
    const filename = join(folder, 'app.db')
    const app = connect(filename)
    app.exec("CREATE TABLE users (id, name); INSERT INTO users VALUES (1, 'ada')")
    app.exec('CREATE TABLE users_meta (key, more)')
    const before = readFileSync(filename)
    for (const database of [undefined, app]) {
      for (const table of ['users', 'USERS']) {
        assert.throws(() => open(database ? { database, table } : { filename, table }), {
          code: 'ERR_SESSION_STORE',
          message: /the table users in .* was not made by staykept: choose another name/i,
        })
      }
    }
    assert.deepEqual(readFileSync(filename), before)
    // Beside it there is room.
    const store = open({ filename })
    assert.equal(store.create(key('one'), record(), NOW), true)
    assert.equal((app.prepare('SELECT name FROM users').get() as { name: string }).name, 'ada')
    store.close()
    app.close()
  })

  test('the tables of a newer staykept are refused and left as they are', (folder) => {
    const filename = join(folder, 'sessions.db')
    const store = open({ filename })
    store.create(key('one'), record(), NOW)
    store.close()
    const app = connect(filename)
    app.exec('UPDATE staykept_sessions_meta SET value = 2')
    assert.throws(() => open({ filename }), {
      code: 'ERR_SESSION_STORE',
      message: /sessions\.db was written by a newer staykept \(schema 2, .*update staykept/,
    })
    app.exec('UPDATE staykept_sessions_meta SET value = 1')
    app.close()
    const again = open({ filename })
    assert.deepEqual(again.load(key('one'), NOW), record())
    again.close()
  })

  test('a damaged file is told at the call that meets the damage', (folder) => {
    const filename = join(folder, 'sessions.db')
    const store = open({ filename })
    for (let i = 0; i < 500; i += 1) store.create(key(`k${i}`), record({ userId: 'ada' }), NOW)
    store.close()
    const bytes = readFileSync(filename)
    bytes.fill(0xa5, 8192)
    rmSync(`${filename}-wal`, { force: true })
    writeFileSync(filename, bytes)
    assert.throws(
      () => {
        const again = open({ filename })
        for (let i = 0; i < 500; i += 1) again.load(key(`k${i}`), NOW)
      },
      { code: 'ERR_SESSION_STORE', message: /sessions\.db is damaged: restore it/ },
    )
  })

  test('after close every call is refused, and closing again is fine', (folder) => {
    const store = open({ filename: join(folder, 'sessions.db') })
    store.close()
    store.close()
    const refused = { code: 'ERR_SESSION_STORE', message: /sessions\.db was closed/ }
    assert.throws(() => store.load(key('one'), NOW), refused)
    assert.throws(() => store.create(key('one'), record(), NOW), refused)
    assert.throws(() => store.ping?.(), refused)
  })

  test('a handle keeps its settings, and stays open when the store is closed', (folder) => {
    const database = connect(join(folder, 'app.db'))
    database.exec('PRAGMA busy_timeout = 1234')
    const store = open({ database })
    store.create(key('one'), record(), NOW)
    assert.deepEqual(store.load(key('one'), NOW), record())
    store.close()
    const { timeout } = database.prepare('PRAGMA busy_timeout').get() as { timeout: number }
    assert.equal(timeout, 1234)
    const mode = database.prepare('PRAGMA journal_mode').get() as { journal_mode: string }
    assert.equal(mode.journal_mode, 'delete')
    database.close()
  })

  test('a transaction of the application does not take sessions down with it', async (folder) => {
    const database = connect(join(folder, 'app.db'))
    const store = open({ database })
    store.create(key('one'), record(), NOW)
    database.exec('BEGIN')
    const created = store.create(key('two'), record(), NOW)
    const loaded = store.load(key('one'), NOW)
    await new Promise((wake) => setTimeout(wake, 30))
    database.exec('ROLLBACK')
    assert.equal(await created, true)
    assert.deepEqual(await loaded, record())
    assert.deepEqual(store.load(key('two'), NOW), record())
    database.close()
  })

  test('a handle that its owner has closed is told', (folder) => {
    const database = connect(join(folder, 'app.db'))
    const store = open({ database })
    database.close()
    const refused = { code: 'ERR_SESSION_STORE', message: 'the database was closed' }
    assert.throws(() => store.load(key('one'), NOW), refused)
    assert.throws(() => open({ database }), {
      name: 'TypeError',
      message: /database must be an open handle .*, not a closed one; /,
    })
  })

  test('a handle that answers with bigint is as good', (folder) => {
    const database = driver.answerBigInts(join(folder, 'app.db'))
    if (!database) return
    const store = open({ database })
    store.create(key('one'), record({ userId: 'ada' }), NOW)
    assert.deepEqual(store.load(key('one'), NOW), record({ userId: 'ada' }))
    assert.deepEqual(store.update(key('one'), record({ version: 'w' }), 'v', NOW), UPDATED)
    assert.equal(store.deleteExpired(10, NOW * 2), 1)
    assert.equal(store.delete(key('one'), NOW), false)
    assert.ok(Number.isInteger((store.ping() as { now: number }).now))
    database.close()
  })

  test('a full disk refuses writes and keeps what is stored; with room again it goes on', () => {
    const smallDisk = driver.smallDisk()
    if (smallDisk === undefined) return
    const filename = join(smallDisk, 'sessions.db')
    const ballast = join(smallDisk, 'ballast')
    writeFileSync(ballast, Buffer.alloc(1_000_000))
    const store = open({ filename })
    const stored: StoreKey[] = []
    const big = record({ payload: 'x'.repeat(20_000), userId: 'ada' })
    const refused = { code: 'ERR_SESSION_STORE_FULL', message: /has no room left: free space/ }
    assert.throws(() => {
      for (let i = 0; i < 1000; i += 1) {
        store.create(key(`k${i}`), big, NOW)
        stored.push(key(`k${i}`))
      }
    }, refused)
    assert.ok(stored.length > 10)
    for (const each of stored) assert.deepEqual(store.load(each, NOW), big)
    assert.equal(store.load(key(`k${stored.length}`), NOW), undefined)
    assert.throws(() => store.create(key('late'), big, NOW), refused)
    rmSync(ballast)
    assert.equal(store.create(key('late'), big, NOW), true)
    store.close()
    const app = connect(filename)
    const check = app.prepare('PRAGMA integrity_check').get() as { integrity_check: string }
    assert.equal(check.integrity_check, 'ok')
    const { n } = app.prepare('SELECT count(*) AS n FROM staykept_sessions').get() as { n: number }
    assert.equal(n, stored.length + 1)
    app.close()
    for (const file of readdirSync(smallDisk)) rmSync(join(smallDisk, file))
  })

  test('a disk that is full at the start is told', () => {
    const smallDisk = driver.smallDisk()
    if (smallDisk === undefined) return
    const ballast = join(smallDisk, 'ballast')
    assert.throws(() => writeFileSync(ballast, Buffer.alloc(64_000_000)), { code: 'ENOSPC' })
    assert.throws(() => open({ filename: join(smallDisk, 'sessions.db') }), {
      code: 'ERR_SESSION_STORE_FULL',
      message: /sessions\.db has no room left: free space/,
    })
    for (const file of readdirSync(smallDisk)) rmSync(join(smallDisk, file))
  })
}

export const NOW = 2_000_000_000_000
const MARK = { value: 'm', expiresAt: NOW + 60_000 }
const UPDATED = { outcome: 'updated' }

export function key(text: string): StoreKey {
  return text as StoreKey
}

export function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    version: 'v',
    payload: '{}',
    lastSeenAt: NOW,
    expiresAt: NOW + 1_800_000,
    absoluteExpiresAt: NOW + 43_200_000,
    ...changes,
  }
}

/** A store whose answers are there at once: a promise in their place would show. */
type AtOnce = {
  readonly [Method in Exclude<keyof SessionStore, 'name' | 'limits' | 'watch'>]-?: (
    ...args: Parameters<Required<SessionStore>[Method]>
  ) => Awaited<ReturnType<Required<SessionStore>[Method]>>
}
