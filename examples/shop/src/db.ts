import Database from 'libsql'

/** What a database has to go through, in this order. Only ever add to the end: the file remembers how far it came. */
const MIGRATIONS = [
  `CREATE TABLE IF NOT EXISTS accounts (
     id         TEXT    PRIMARY KEY,
     email      TEXT    NOT NULL UNIQUE,
     name       TEXT    NOT NULL,
     password   TEXT    NOT NULL,
     demo       INTEGER NOT NULL DEFAULT 0,
     created_at INTEGER NOT NULL
   ) STRICT`,
  `ALTER TABLE accounts ADD COLUMN role TEXT NOT NULL DEFAULT 'customer';
   CREATE TABLE avatars (
     account TEXT PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
     tag     TEXT NOT NULL,
     type    TEXT NOT NULL,
     bytes   BLOB NOT NULL
   ) STRICT`,
  `CREATE TABLE orders (
     id        TEXT    PRIMARY KEY,
     account   TEXT    NOT NULL REFERENCES accounts (id),
     placed_at INTEGER NOT NULL,
     content   TEXT    NOT NULL
   ) STRICT;
   CREATE INDEX orders_by_account ON orders (account, placed_at);
   CREATE TABLE stock (
     slug  TEXT    PRIMARY KEY,
     count INTEGER NOT NULL CHECK (count >= 0)
   ) STRICT`,
]

/** Opens the shop's own data. Sessions live in a file of their own, kept by their store. */
export function openDatabase(filename: string): Database.Database {
  const db = new Database(filename)
  // The time to wait comes first: another process of the shop may be making the file in this moment.
  db.exec(`
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
  `)
  db.exec('BEGIN IMMEDIATE')
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as VersionRow
  for (const migration of MIGRATIONS.slice(version)) db.exec(migration)
  db.exec(`PRAGMA user_version = ${Math.max(version, MIGRATIONS.length)}`)
  db.exec('COMMIT')
  return db
}

interface VersionRow {
  readonly user_version: number
}
