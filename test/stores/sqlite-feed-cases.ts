import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  SessionRecord,
  SessionStore,
  StoreEvent,
  StoreFeed,
  StoreKey,
} from '../../src/core/store.js'
import type { SqliteStoreOptions } from '../../src/stores/sqlite.js'
import type { AppHandle, Driver } from './sqlite-cases.js'

/** What is special about the feed of `sqliteStore`, for every driver, as in sqlite-cases.ts. */
export function sqliteFeedCases({
  test: register,
  connect,
  sqliteStore,
  answerBigInts,
}: Driver): void {
  const open = (options: SqliteStoreOptions) => sqliteStore(options) as unknown as AtOnce

  function test(title: string, run: (filename: string) => unknown): void {
    register(`the feed: ${title}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'staykept-sqlite-'))
      try {
        await run(join(folder, 'sessions.db'))
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  }

  test('there is no log until somebody watches', async (filename) => {
    const store = open({ filename })
    store.create(key('one'), record({ userId: 'ada' }), NOW)
    store.update(key('one'), record({ version: 'w', userId: 'ada' }), 'v', NOW, 'signIn')
    store.delete(key('one'), NOW, 'signOut')
    store.deleteByUser('ada', { except: [], mark: MARK, now: NOW })
    const app = connect(filename)
    assert.deepEqual(logOf(app), [])
    const { feed, events } = watch(store)
    await feed.check()
    assert.deepEqual(logOf(app), ['', '_delete', '_insert', '_update'])
    assert.deepEqual(events, [])
    feed.stop()
    app.close()
    store.close()
  })

  test('what its own store changes is told at once, in order, and once', async (filename) => {
    const store = open({ filename })
    const { feed, events } = watch(store)
    changeAll(store)
    assert.deepEqual(events, EVENTS)
    await feed.check()
    assert.deepEqual(events, EVENTS)
    feed.stop()
    store.close()
  })

  test('what another store changes is told by a check, and soon without one', async (filename) => {
    const other = open({ filename })
    other.create(key('before'), record(), NOW)
    const store = open({ filename })
    const { feed, events } = watch(store)
    changeAll(other)
    assert.deepEqual(events, [])
    await feed.check()
    assert.deepEqual(events, EVENTS)
    other.delete(key('before'), NOW, 'revoke')
    await until(() => events.length > EVENTS.length)
    assert.deepEqual(events.at(-1), { type: 'ended', key: 'before', reason: 'revoke' })
    feed.stop()
    other.close()
    store.close()
  })

  test('what knows no log is told as well: an older staykept, a shell', async (filename) => {
    const app = connect(filename)
    const store = open({ filename })
    store.create(key('one'), record(), NOW)
    store.create(key('two'), record(), NOW)
    // Prepared before there is a log.
    const swap = app.prepare("UPDATE staykept_sessions SET version = 'w' WHERE key = ?")
    const { feed, events } = watch(store)
    swap.run('one')
    app.exec("DELETE FROM staykept_sessions WHERE key = 'two'")
    await feed.check()
    assert.deepEqual(events, [
      { type: 'changed', key: 'one', version: 'w' },
      { type: 'ended', key: 'two', reason: undefined },
    ])
    feed.stop()
    app.close()
    store.close()
  })

  test('two stores on one handle hear each other', async (filename) => {
    const database = connect(filename)
    const [store, other] = [open({ database }), open({ database })]
    const { feed, events } = watch(store)
    changeAll(other)
    await feed.check()
    assert.deepEqual(events, EVENTS)
    feed.stop()
    database.close()
  })

  test('a touch, a prune and what was not changed are told to nobody', async (filename) => {
    const store = open({ filename })
    for (let i = 0; i < 50; i += 1) store.create(key(`k${i}`), record(), NOW)
    const { feed, events } = watch(store)
    store.touch(key('k1'), 'v', NOW + 1, NOW + 1000, NOW)
    store.update(key('k1'), record(), 'other', NOW, 'regenerate')
    store.delete(key('none'), NOW, 'signOut')
    assert.equal(store.deleteExpired(100, NOW + 1e9), 50)
    await feed.check()
    assert.deepEqual(events, [])
    store.create(key('one'), record(), NOW)
    store.delete(key('one'), NOW)
    assert.deepEqual(
      events.map(({ type }) => type),
      ['changed', 'ended'],
    )
    feed.stop()
    store.close()
  })

  test('the log is bounded, and who fell behind it hears a reset, and then goes on', async (filename) => {
    const store = open({ filename })
    const { feed, events } = watch(store)
    const app = connect(filename)
    app.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
      INSERT INTO staykept_sessions (key, version, last_seen_at, expires_at, absolute_expires_at, payload)
      SELECT 'k' || i, 'v', 0, ${NOW * 2}, ${NOW * 2}, '{}' FROM n`)
    const { length } = app.prepare('SELECT seq FROM staykept_sessions_log').all()
    assert.ok(length >= 4096 && length < 4096 + 256, `${length} entries`)
    await feed.check()
    assert.deepEqual(events, [{ type: 'reset' }])
    app.exec("DELETE FROM staykept_sessions WHERE key = 'k7'")
    await feed.check()
    assert.deepEqual(events.slice(1), [{ type: 'ended', key: 'k7', reason: undefined }])
    feed.stop()
    app.close()
    store.close()
  })

  test('a log that was taken away is made again, with a reset, and no change fails for it', async (filename) => {
    const store = open({ filename })
    const { feed, events } = watch(store)
    store.create(key('one'), record(), NOW)
    store.update(key('one'), record({ version: 'w' }), 'v', NOW, 'signIn')
    const app = connect(filename)
    for (const part of ['insert', 'update', 'delete']) {
      app.exec(`DROP TRIGGER staykept_sessions_log_${part}`)
    }
    app.exec('DROP TABLE staykept_sessions_log')
    assert.equal(store.delete(key('one'), NOW, 'signOut'), true)
    const before = events.length
    await feed.check()
    assert.deepEqual(
      events.slice(before).map(({ type }) => type),
      ['reset', 'reset'],
    )
    store.create(key('two'), record(), NOW)
    assert.deepEqual(events.at(-1), { type: 'changed', key: 'two', version: 'v' })
    feed.stop()
    app.close()
    store.close()
  })

  test('one that is opened while the file is locked stands later, with a reset', async (filename) => {
    const store = open({ filename })
    const app = connect(filename)
    app.exec('BEGIN IMMEDIATE')
    const { feed, events } = watch(store)
    const check = feed.check()
    setTimeout(() => app.exec('COMMIT'), 50)
    await check
    assert.deepEqual(events, [{ type: 'reset' }])
    store.create(key('one'), record(), NOW)
    assert.equal(events.length, 2)
    feed.stop()
    app.close()
    store.close()
  })

  test('a transaction of the application is waited for', async (filename) => {
    const database = connect(filename)
    const store = open({ database })
    const { feed, events } = watch(store)
    database.exec('BEGIN')
    const check = feed.check()
    const created = store.create(key('one'), record(), NOW)
    await new Promise((wake) => setTimeout(wake, 40))
    assert.deepEqual(events, [])
    database.exec('ROLLBACK')
    await check
    assert.equal(await created, true)
    assert.deepEqual(events, [{ type: 'changed', key: 'one', version: 'v' }])
    feed.stop()
    database.close()
  })

  test('a handle that was closed is told as a reset, and why', async (filename) => {
    const database = connect(filename)
    const { feed, events } = watch(open({ database }))
    database.close()
    await until(() => events.length > 0)
    assert.deepEqual(events, [{ type: 'reset' }])
    assert.throws(() => feed.check(), { code: 'ERR_SESSION_STORE', message: /was closed/ })
    feed.stop()
  })

  test('a handle that answers with bigint is as good', async (filename) => {
    const database = answerBigInts(filename)
    if (!database) return
    const store = open({ database })
    const { feed, events } = watch(store)
    changeAll(store)
    await feed.check()
    assert.deepEqual(events, EVENTS)
    feed.stop()
    database.close()
  })
}

/** A store whose answers are there at once. */
type AtOnce = {
  readonly [Method in Exclude<keyof SessionStore, 'name' | 'limits' | 'watch'>]-?: (
    ...args: Parameters<Required<SessionStore>[Method]>
  ) => Awaited<ReturnType<Required<SessionStore>[Method]>>
} & Pick<Required<SessionStore>, 'watch'>

const NOW = 2_000_000_000_000

function key(text: string): StoreKey {
  return text as StoreKey
}

function record(changes: Partial<SessionRecord> = {}): SessionRecord {
  const times = { lastSeenAt: NOW, expiresAt: NOW + 1_800_000, absoluteExpiresAt: NOW * 2 }
  return { version: 'v', payload: '{}', ...times, ...changes }
}

const MARK = { value: 'm', expiresAt: NOW + 1e6 }

function changeAll(store: AtOnce): void {
  store.create(key('a'), record({ userId: 'ada' }), NOW)
  store.update(key('a'), record({ version: 'w', userId: 'ada' }), 'v', NOW)
  store.update(key('a'), record({ version: 'x' }), 'w', NOW, 'regenerate')
  store.create(key('b'), record({ userId: 'ada' }), NOW)
  store.create(key('c'), record({ userId: 'ada' }), NOW)
  store.delete(key('a'), NOW, 'signOut')
  store.deleteByUser('ada', { except: [key('c')], mark: MARK, now: NOW })
  store.delete(key('c'), NOW)
}

const EVENTS = [
  { type: 'changed', key: 'a', version: 'v' },
  { type: 'changed', key: 'a', version: 'w' },
  { type: 'ended', key: 'a', reason: 'regenerate' },
  { type: 'changed', key: 'b', version: 'v' },
  { type: 'changed', key: 'c', version: 'v' },
  { type: 'ended', key: 'a', reason: 'signOut' },
  { type: 'ended', key: 'b', reason: 'revokeByUser' },
  { type: 'ended', key: 'c', reason: undefined },
]

function watch(store: AtOnce): { feed: StoreFeed; events: StoreEvent[] } {
  const events: StoreEvent[] = []
  return { feed: store.watch((event) => void events.push(event)), events }
}

/** What belongs to the log, without the beginning of its names. */
function logOf(app: AppHandle): string[] {
  const rows = app
    .prepare("SELECT name FROM sqlite_master WHERE name LIKE '%_log%' ORDER BY name")
    .all()
  return rows.map((row) => (row as { name: string }).name.replace('staykept_sessions_log', ''))
}

async function until(condition: () => boolean): Promise<void> {
  for (let left = 300; left > 0 && !condition(); left -= 1) {
    await new Promise((wake) => setTimeout(wake, 5))
  }
  assert.ok(condition())
}
