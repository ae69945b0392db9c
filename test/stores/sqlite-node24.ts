/**
 * Run by Node 24, which reads TypeScript itself: the conformance kit and the special cases of `sqliteStore` with a
 * driver that Node 20 does not have. Environment: `STAYKEPT_DIST`, `STAYKEPT_SMALL_DISK`, and `DRIVER` with
 * `node:sqlite` or `better-sqlite3`; the latter is looked up from the working directory.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { testSessionStore as TestSessionStore } from '../../src/conformance.js'
import type { sqliteStore as SqliteStore } from '../../src/stores/sqlite.js'
import type {
  AppHandle,
  cutFeed as CutFeed,
  Driver,
  sqliteCases as SqliteCases,
} from './sqlite-cases.js'
import type { sqliteFeedCases as SqliteFeedCases } from './sqlite-feed-cases.js'

const { STAYKEPT_DIST = '', STAYKEPT_SMALL_DISK, DRIVER = '' } = process.env
const require = createRequire(`${process.cwd()}/`)
if (DRIVER === 'better-sqlite3') {
  // Hides what would be found before it: node:sqlite, and libsql beside this script.
  process.getBuiltinModule = () => undefined as never
  process.argv[1] = process.cwd()
}
const { sqliteStore } = require(`${STAYKEPT_DIST}/sqlite.cjs`) as {
  sqliteStore: typeof SqliteStore
}
const { testSessionStore } = require(`${STAYKEPT_DIST}/conformance.cjs`) as {
  testSessionStore: typeof TestSessionStore
}
const { cutFeed, sqliteCases } = (await import(
  new URL('./sqlite-cases.ts', import.meta.url).href
)) as { cutFeed: typeof CutFeed; sqliteCases: typeof SqliteCases }

const { sqliteFeedCases } = (await import(
  new URL('./sqlite-feed-cases.ts', import.meta.url).href
)) as { sqliteFeedCases: typeof SqliteFeedCases }

type Constructor = new (filename: string, options?: object) => AppHandle
const Database: Constructor =
  DRIVER === 'node:sqlite'
    ? (require('node:sqlite') as { DatabaseSync: Constructor }).DatabaseSync
    : (require('better-sqlite3') as Constructor)

testSessionStore({
  test,
  open() {
    const folder = mkdtempSync(join(tmpdir(), 'staykept-sqlite-'))
    const filename = join(folder, 'sessions.db')
    const open = () => sqliteStore({ filename })
    return {
      store: open(),
      reopen: open,
      cutFeed: () => cutFeed(new Database(filename)),
      done: () => rmSync(folder, { recursive: true }),
    }
  },
})

const driver: Driver = {
  test(title, run) {
    void test(title, async () => void (await run()))
  },
  sqliteStore,
  connect: (filename) => new Database(filename),
  answerBigInts(filename) {
    const database = new Database(filename, { readBigInts: true })
    ;(database as { defaultSafeIntegers?(): void }).defaultSafeIntegers?.()
    return database
  },
  smallDisk: () => STAYKEPT_SMALL_DISK,
}

sqliteCases(driver)
sqliteFeedCases(driver)
