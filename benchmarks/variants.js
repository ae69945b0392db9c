/** What is compared: each makes a middleware on a store that lives in `folder` or in memory. */
import { join } from 'node:path'
import makeSqliteStore from 'better-sqlite3-session-store'
import expressSession from 'express-session'
import Database from 'libsql'
import { session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { sqliteStore } from 'staykept/sqlite'

const secret = 'a secret of more than thirty-two characters'
const maxAge = 30 * 60_000

/** The names, in the order in which they take turns. */
export const variants = {
  'no session': () => ({ middleware: (_req, _res, next) => next(), signIn: signInNowhere }),
  // Room for every sign-in of a run: nothing is to be refused while it is timed.
  'staykept, memory': () => staykept(memoryStore({ maxBytes: 2 ** 30 })),
  'express-session, MemoryStore': () => incumbent(new expressSession.MemoryStore()),
  'staykept, sqlite': (folder) => staykept(sqliteStore({ database: open(folder) })),
  'express-session, better-sqlite3-session-store': (folder) => {
    const SqliteStore = makeSqliteStore(expressSession)
    return incumbent(new SqliteStore({ client: open(folder) }))
  },
}

function staykept(store) {
  return {
    middleware: session({ secret, store, cookie: { maxAge } }),
    signIn: (req, data, done) => req.session.signIn(data.user.id, { data }).then(done),
  }
}

/** As its documentation advises: the two options off, and `regenerate` at sign-in. */
function incumbent(store) {
  return {
    middleware: expressSession({
      secret,
      store,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge },
    }),
    signIn(req, data, done) {
      req.session.regenerate(() => {
        Object.assign(req.session, data)
        done()
      })
    },
  }
}

function signInNowhere(_req, _data, done) {
  queueMicrotask(done)
}

/** The same engine with the same settings for both. */
function open(folder) {
  const database = new Database(join(folder, 'sessions.db'))
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = NORMAL')
  return database
}
