import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type BetterSqlite3 from 'better-sqlite3'
import Libsql from 'libsql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testSessionStore } from '../../src/conformance.js'
import {
  type SqliteDatabase,
  type SqliteStoreOptions,
  sqliteStore,
} from '../../src/stores/sqlite.js'
import { dist } from '../dist.js'
import { node24, scratchPackage } from '../node24.js'
import { notRun } from '../not-run.js'
import { root, run } from '../run.js'
import { type AppHandle, cutFeed, sqliteCases } from './sqlite-cases.js'

let scratch: string
let smallDisk: string | undefined
let cannotMount = ''
let files = 0

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'staykept-sqlite-test-'))
  const disk = join(scratch, 'disk')
  mkdirSync(disk)
  const mount = run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'staykept', disk])
  const { code, stderr } = await mount.catch(({ message }) => ({ code: -1, stderr: message }))
  if (code === 0) smallDisk = disk
  else cannotMount = stderr
})

afterAll(async () => {
  // Lazily: libsql holds a closed file open until its statements are collected.
  if (smallDisk) await run('umount', ['-l', smallDisk])
  rmSync(scratch, { recursive: true })
})

describe('by filename', () => {
  testSessionStore({
    test,
    open() {
      const filename = newFile()
      const reopen = () => sqliteStore({ filename })
      return { store: reopen(), reopen, cutFeed: () => cutFeed(new Libsql(filename)) }
    },
  })
})

describe('by handle', () => {
  testSessionStore({
    test,
    open() {
      const database = new Libsql(newFile())
      return {
        store: sqliteStore({ database }),
        cutFeed: () => cutFeed(database),
        done() {
          database.close()
        },
      }
    },
  })
})

/** As node:sqlite answers before Node 22.16, whatever the driver could do. */
describe('by handle, with rows that can only be objects', () => {
  testSessionStore({
    test,
    open() {
      const libsql = new Libsql(newFile())
      const database: SqliteDatabase = {
        exec: (sql) => libsql.exec(sql),
        prepare(sql) {
          const statement = libsql.prepare(sql)
          return {
            run: (...values) => statement.run(values),
            get: (...values) => withoutMetadata(statement.get(values)),
            all: (...values) => statement.all(values).map(withoutMetadata),
          }
        },
      }
      return { store: sqliteStore({ database }), done: () => void libsql.close() }
    },
  })

  function withoutMetadata(row: unknown): unknown {
    if (row === undefined) return undefined
    expect(Array.isArray(row)).toBe(false)
    const { _metadata, ...columns } = row as Record<string, unknown>
    return columns
  }
})

describe('libsql', () => {
  sqliteCases({
    test,
    sqliteStore,
    connect: (filename) => new Libsql(filename) as unknown as AppHandle,
    answerBigInts(filename) {
      const database = new Libsql(filename) as Libsql.Database & { defaultSafeIntegers(): void }
      database.defaultSafeIntegers()
      return database as unknown as AppHandle
    },
    smallDisk: () => smallDisk,
  })

  test('a full disk can be had', (context) => {
    if (!smallDisk) notRun('sqliteStore on a full disk', cannotMount, context)
  })
})

describe('drivers that need Node 24', () => {
  for (const driver of ['node:sqlite', 'better-sqlite3']) {
    test(`${driver} keeps the contract and passes the special cases`, async (context) => {
      const cannot = (error: Error): never =>
        notRun(`sqliteStore with ${driver}`, error.message, context)
      const node = await node24().catch(cannot)
      let library = await dist()
      let cwd = scratch
      if (driver === 'better-sqlite3') {
        cwd = join(await scratchPackage(driver, '13').catch(cannot), '../..')
        library = join(await projectWith(), 'node_modules/staykept')
      }
      const script = join(import.meta.dirname, 'sqlite-node24.ts')
      const env = {
        ...process.env,
        DRIVER: driver,
        STAYKEPT_DIST: library,
        STAYKEPT_SMALL_DISK: smallDisk,
      }
      const { code, stdout, stderr } = await run(node, [script], { cwd, env })
      expect(code, stdout.slice(-6000) + stderr).toBe(0)
      expect(Number(/\bpass (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(100)
    }, 240_000)
  }
})

describe('without a driver of Node itself', () => {
  test('where none is installed, the error says what to install', async () => {
    const project = await projectWith()
    expect(await openIn(project)).toMatch(/^ERR_SESSION_STORE .*npm install libsql$/)
  })

  test('better-sqlite3 13 is not loaded by a Node that it would end', async () => {
    const project = await projectWith({ 'better-sqlite3': ['13.2.0', 'process.abort()'] })
    expect(await openIn(project)).toMatch(
      /^ERR_SESSION_STORE better-sqlite3 13\.2\.0 needs Node 22 and this is v20\..*: npm install libsql$/,
    )
  })

  test('better-sqlite3 12 is taken, and libsql before it', async () => {
    const throwing = (name: string) =>
      `module.exports = class { constructor() { throw new Error('${name} was asked') } }`
    const better = ['12.11.1', throwing('better-sqlite3')] as const
    const libsql = ['0.5.29', throwing('libsql')] as const
    expect(await openIn(await projectWith({ 'better-sqlite3': better }))).toBe(
      'undefined better-sqlite3 was asked',
    )
    expect(await openIn(await projectWith({ 'better-sqlite3': better, libsql }))).toBe(
      'undefined libsql was asked',
    )
  })

  test('a file is opened in WAL mode, and with the safety that is asked for', async () => {
    const real = JSON.stringify(join(root, 'node_modules/libsql'))
    const watched = `module.exports = class extends require(${real}) {
      constructor(filename) { super(filename); globalThis.opened = this }
    }`
    const project = await projectWith({ libsql: ['0.5.29', watched] })
    const settings = `
      const { journal_mode } = opened.prepare('PRAGMA journal_mode').get()
      console.log(journal_mode, opened.prepare('PRAGMA synchronous').get().synchronous)`
    expect(await openIn(project, '{}', settings)).toBe('wal 1')
    expect(await openIn(project, "{ synchronous: 'normal' }", settings)).toBe('wal 1')
    expect(await openIn(project, "{ synchronous: 'full' }", settings)).toBe('wal 2')
  })

  /** What Node says that has no driver built in, as Node 20 has not. */
  async function openIn(project: string, options = '{}', then = ''): Promise<string> {
    const source = `
      process.getBuiltinModule = () => undefined
      const { sqliteStore } = require('staykept/sqlite.cjs')
      try { sqliteStore({ filename: 'sessions.db', ...${options} }); ${then} }
      catch (error) { console.log(error.code, error.message) }`
    const { stdout, stderr } = await run(process.execPath, ['-e', source], { cwd: project })
    return (stdout + stderr).trim()
  }
})

describe('options', () => {
  const knex = Object.assign(() => {}, { raw() {}, schema: {} })
  const callbacks = { exec() {}, prepare() {}, parallelize() {} }
  const promises = { exec: async () => {}, prepare: () => ({ get: async () => ({ one: 1 }) }) }
  class Sequelize {}

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /takes an object: sqliteStore\(\{ filename: 'sessions\.db' \}\)/],
    ['a path', 'sessions.db', /takes an object: sqliteStore\(\{ filename/],
    ['no file', {}, /takes either a path, .*, or an open handle/],
    ['both', { filename: 'a.db', database: {} }, /takes either a path, .*, or an open handle/],
    ['path', { path: 'a.db' }, /has no option "path": it takes filename or database, table/],
    ['an empty filename', { filename: '' }, /needs a path as filename, such as 'sessions\.db'/],
    ['a URI', { filename: 'file:a.db?mode=ro' }, /needs a path as filename.*not 'file:a\.db/],
    ['a URL object', { filename: new URL('file:///a.db') }, /needs a path as filename/],
    ['a path as database', { database: 'a.db' }, /not a path; a path is given as filename: /],
    [
      'a class',
      { database: Sequelize },
      /database must be an open handle .*not a function or class/,
    ],
    ['sequelize', { database: new Sequelize() }, /without exec and prepare \(Sequelize\)/],
    [
      'knex',
      { database: knex },
      /database must be an open handle of node:sqlite, libsql or better/,
    ],
    ['sqlite3', { database: callbacks }, /not one that answers by callback or promise/],
    ['libsql/promise', { database: promises }, /not one that answers by callback or promise/],
    ['null', { database: null }, /database must be an open handle .*not null/],
    ['SQL', { filename: 'a.db', table: 'x"; DROP TABLE y--' }, /needs a name of 1 to 63 letters/],
    ['a long table', { filename: 'a.db', table: 'x'.repeat(64) }, /needs a name of 1 to 63/],
    ['no table', { filename: 'a.db', table: '' }, /needs a name of 1 to 63 letters/],
    ['sqlite_x', { filename: 'a.db', table: 'sqlite_x' }, /cannot begin with a digit or sqlite_/],
    ['OFF', { filename: 'a.db', synchronous: 'off' }, /needs 'normal' or 'full' as synchronous/],
    ['a word', { filename: 'a.db', busyTimeout: '1s' }, /needs milliseconds as busyTimeout/],
    ['below 0', { filename: 'a.db', busyTimeout: -1 }, /needs milliseconds as busyTimeout/],
  ])('%s is refused with what to write instead', (_, options, message) => {
    const refused = () => sqliteStore(options as SqliteStoreOptions)
    expect(refused).toThrow(TypeError)
    expect(refused).toThrow(message)
  })

  test('synchronous is for files that the store opens', () => {
    const database = new Libsql(':memory:')
    const options = { database, synchronous: 'full' } as unknown as SqliteStoreOptions
    expect(() => sqliteStore(options)).toThrow(/run PRAGMA synchronous on your handle/)
    database.close()
  })

  test('handles fit by their own types', () => {
    const fit = (database: BetterSqlite3.Database | Libsql.Database): SqliteDatabase => database
    expect(fit).toBeTypeOf('function')
  })
})

function newFile(): string {
  return join(scratch, `${++files}.db`)
}

/** A project in which staykept is installed, beside packages given by version and source. */
async function projectWith(packages: Record<string, readonly [string, string]> = {}) {
  const project = join(scratch, `project-${++files}`)
  cpSync(await dist(), join(project, 'node_modules/staykept'), { recursive: true })
  for (const [name, [version, source]] of Object.entries(packages)) {
    const folder = join(project, 'node_modules', name)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version }))
    writeFileSync(join(folder, 'index.js'), source)
  }
  return project
}
