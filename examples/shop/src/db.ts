import Database from 'libsql'

/** Opens the shop's own data. Sessions live in a file of their own, kept by their store. */
export function openDatabase(filename: string): Database.Database {
  const db = new Database(filename)
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA busy_timeout = 5000;

    CREATE TABLE IF NOT EXISTS accounts (
      id         TEXT    PRIMARY KEY,
      email      TEXT    NOT NULL UNIQUE,
      name       TEXT    NOT NULL,
      password   TEXT    NOT NULL,
      demo       INTEGER NOT NULL DEFAULT 0,
      created_at INTEGER NOT NULL
    ) STRICT;
  `)
  return db
}
