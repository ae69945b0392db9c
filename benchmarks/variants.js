/**
 * What is compared. A family is a kind of store: ours and, on the same engine with the same settings, what people use with
 * express-session. Each variant opens in a process of its own, on servers whose ports are in the environment.
 */
import { join } from 'node:path'
import expressSession from 'express-session'
import { session } from 'staykept'
import { feedAlive } from './feed-alive.js'

const secret = 'a secret of more than thirty-two characters'
const maxAge = 30 * 60_000
/** Where each read is from the near cache, no other variant may write. */
const NEAR_PREFIX = 'near:'
/** Connections of every pool of a database for SQL. */
const POOL = 10
const WITHOUT_TIMEOUT = { commandOptions: { timeout: undefined } }

export const NO_SESSION = 'no session'

/** Ours by their names, all others are compared with them. */
export const isOurs = (name) => name.startsWith('staykept')

const plainRedis = {
  'staykept, redis': async () => {
    const { redisStore } = await import('staykept/redis')
    return staykept(redisStore({ client: await openRedis() }))
  },
  'express-session, connect-redis': async () => connectRedis(await openRedis()),
}

/**
 * `server` is a file of test/servers. With `mustEndAll` nobody is timed who cannot end all sessions of a user. `workloads`:
 * those that say something there, unless others are asked for.
 */
export const families = {
  memory: {
    variants: {
      // Room for every sign-in of a run: nothing is to be refused while it is timed.
      'staykept, memory': async () => {
        const { memoryStore } = await import('staykept/memory')
        return staykept(memoryStore({ maxBytes: 2 ** 30, maxEntries: 2 ** 24 }))
      },
      'express-session, MemoryStore': () => incumbent(new expressSession.MemoryStore()),
    },
  },
  sqlite: {
    clients: ['libsql'],
    variants: {
      'staykept, sqlite': async (folder) => {
        const { sqliteStore } = await import('staykept/sqlite')
        return staykept(sqliteStore({ database: await openSqlite(folder) }))
      },
      'express-session, better-sqlite3-session-store': async (folder) => {
        const { default: makeStore } = await import('better-sqlite3-session-store')
        const SqliteStore = makeStore(expressSession)
        return incumbent(new SqliteStore({ client: await openSqlite(folder) }))
      },
    },
  },
  redis: {
    server: 'redis',
    clients: ['redis', 'connect-redis'],
    variants: {
      ...plainRedis,
      'the same, client without its timeout': async () =>
        connectRedis(await openRedis(WITHOUT_TIMEOUT)),
    },
  },
  'sign-in': {
    server: 'redis',
    clients: ['redis', 'connect-redis'],
    workloads: ['sign in'],
    // What a sign-in of ours does besides: nobody is compared who does less.
    mustEndAll: true,
    variants: {
      ...plainRedis,
      'connect-redis and a list by hand': async () => listed(await openRedis()),
      'by hand, client without its timeout': async () => listed(await openRedis(WITHOUT_TIMEOUT)),
    },
  },
  'near-cache': {
    server: 'redis',
    clients: ['redis', 'connect-redis'],
    workloads: ['read a key', 'read a key of 10 KB', 'change a key'],
    variants: {
      'staykept, redis, near cache': () => nearCache((req) => req.session),
      'staykept, redis, near cache, snapshot': () =>
        nearCache((req, sessions) => sessions.snapshot(req).data),
      ...plainRedis,
    },
  },
  postgres: {
    server: 'postgres',
    clients: ['pg', 'connect-pg-simple'],
    variants: {
      'staykept, postgres': async () => {
        const { postgresStore } = await import('staykept/postgres')
        return staykept(postgresStore({ pool: await openPostgres() }))
      },
      'express-session, connect-pg-simple': async () => {
        const { default: makeStore } = await import('connect-pg-simple')
        const PgStore = makeStore(expressSession)
        return incumbent(new PgStore({ pool: await openPostgres(), createTableIfMissing: true }))
      },
    },
  },
  mysql: {
    server: 'mariadb',
    clients: ['mysql2', 'express-mysql-session'],
    variants: {
      'staykept, mysql': async () => {
        const { mysqlStore } = await import('staykept/mysql')
        return staykept(mysqlStore({ pool: await openMysql() }))
      },
      'express-session, express-mysql-session': async () => {
        const { default: makeStore } = await import('express-mysql-session')
        const store = new (makeStore(expressSession))({}, await openMysql())
        await store.onReady()
        return incumbent(store)
      },
    },
  },
}

const all = Object.assign({}, ...Object.values(families).map(({ variants }) => variants))

/** A middleware on its store, and how one signs in with it. */
export function openVariant(name, folder) {
  if (name === NO_SESSION) {
    return { middleware: (_req, _res, next) => next(), signIn: signInNowhere, look: lookAtSession }
  }
  return all[name](folder)
}

let people = 0

/** A person of its own each time: nobody signs in a thousand times. */
function nextPerson(data) {
  people += 1
  return personAt(data)
}

function personAt(data) {
  return `${data.user.id}-${people}`
}

function staykept(store, options = {}) {
  const middleware = session({ secret, store, cookie: { maxAge }, ...options })
  return {
    middleware,
    look: lookAtSession,
    signIn(req, data, done) {
      req.session.signIn(nextPerson(data), { data }).then(done)
    },
    endAll: (data) => middleware.revokeByUser(personAt(data)),
  }
}

async function nearCache(look) {
  const { redisStore } = await import('staykept/redis')
  const store = redisStore({ client: await openRedis(), prefix: NEAR_PREFIX })
  const variant = staykept(store, { nearCache: true })
  const sessions = variant.middleware
  return { ...variant, look: (req) => look(req, sessions), isAlive: feedAlive(sessions) }
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
    look: lookAtSession,
    signIn(req, data, done) {
      req.session.regenerate((error) => {
        if (error) throw error
        Object.assign(req.session, data)
        done()
      })
    },
  }
}

/**
 * What it takes to end all sessions of a user with express-session, as ours do: the session stands in a list before it is
 * stored, and a mark that ends sign-ins under way is looked for afterwards.
 */
async function listed(client) {
  const variant = await connectRedis(client)
  const listOf = (person) => `sessions-of:${person}`
  const markOf = (person) => `ended:${person}`
  return {
    ...variant,
    signIn(req, data, done) {
      const began = Date.now()
      const person = nextPerson(data)
      variant.signIn(req, data, async () => {
        const entry = { score: began + maxAge, value: req.sessionID }
        await Promise.all([
          client.zAdd(listOf(person), entry),
          client.expire(listOf(person), maxAge / 1000),
          new Promise((saved) => req.session.save(saved)),
        ])
        const mark = await client.get(markOf(person))
        if (Number(mark) >= began) throw new Error('ended meanwhile')
        done()
      })
    },
    async endAll(data) {
      const person = personAt(data)
      await client.set(markOf(person), String(Date.now()), {
        expiration: { type: 'EX', value: 3600 },
      })
      const ids = await client.zRange(listOf(person), 0, -1)
      await client.del([listOf(person), ...ids.map((id) => `sess:${id}`)])
    },
  }
}

function lookAtSession(req) {
  return req.session
}

function signInNowhere(_req, _data, done) {
  queueMicrotask(done)
}

export async function openSqlite(folder) {
  const { default: Database } = await import('libsql')
  const database = new Database(join(folder, 'sessions.db'))
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = NORMAL')
  return database
}

export async function openRedis(options = {}) {
  const { createClient } = await import('redis')
  return createClient({ url: `redis://127.0.0.1:${process.env.REDIS_PORT}`, ...options }).connect()
}

async function connectRedis(client) {
  const { RedisStore } = await import('connect-redis')
  return incumbent(new RedisStore({ client }))
}

export async function openPostgres() {
  const { default: pg } = await import('pg')
  const port = Number(process.env.POSTGRES_PORT)
  return new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', max: POOL })
}

async function openMysql() {
  const { default: mysql } = await import('mysql2/promise')
  const port = Number(process.env.MYSQL_PORT)
  const login = { host: '127.0.0.1', port, user: 'administrator', password: 'administrator' }
  const connection = await mysql.createConnection(login)
  await connection.query('CREATE DATABASE IF NOT EXISTS s_benchmark')
  await connection.end()
  return mysql.createPool({ ...login, database: 's_benchmark', connectionLimit: POOL })
}
