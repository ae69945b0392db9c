import { storeError } from '../core/errors.js'
import type {
  DeleteByUserOptions,
  SessionRecord,
  SessionStore,
  StoreConcern,
  StoreKey,
  WriteResult,
} from '../core/store.js'
import {
  assertDatabase,
  COLLECTION,
  connectClient,
  type MongodbCollection,
  type MongodbDatabase,
  mayResend,
} from './mongodb/database.js'
import {
  alive,
  type MarkDocument,
  marked,
  type SessionDocument,
  stored,
  swapped,
  toRecord,
  touched,
} from './mongodb/documents.js'
import { createIndexKeeper } from './mongodb/indexes.js'
import { explain, isDuplicate } from './mongodb/trouble.js'

export type { MongodbCollection, MongodbDatabase } from './mongodb/database.js'

export interface MongodbStoreOptions {
  /** A database of the official driver, as `client.db('shop')` gives it. It is connected when it is first needed. */
  readonly db: MongodbDatabase
  /** The collection of the sessions; one more is named after it. Default `'staykept_sessions'`. */
  readonly collection?: string | undefined
}

/**
 * Keeps sessions in MongoDB, one document for each, through a database handle of the official driver. A change is one
 * conditional update, acknowledged by the majority of a replica set; a read is one `find` on the primary. The store
 * makes its indexes by itself, and MongoDB removes what has expired.
 *
 * Throws a `TypeError` for a wrong option. Closing the client is up to you.
 */
export function mongodbStore(options: MongodbStoreOptions): SessionStore {
  const { db, collection = 'staykept_sessions' } = checked(options)
  const sessions = db.collection(collection, COLLECTION)
  const marks = db.collection(`${collection}_marks`, COLLECTION)
  const place = `the collection ${collection} of MongoDB`
  const indexes = createIndexKeeper(sessions, marks, place)
  const canResend = mayResend(db)
  let isConnected = false

  /** A client that did not get through at first refuses all that comes later, until it is told to connect again. */
  async function connect(): Promise<void> {
    await connectClient(db)
    isConnected = true
  }

  /** The method that does `step`, with what goes wrong put into words. */
  function method<Args extends unknown[], T>(
    step: (...args: Args) => Promise<T>,
  ): (...args: Args) => Promise<T> {
    return async function answer(...args) {
      try {
        if (!isConnected) await connect()
        return await step(...args)
      } catch (error) {
        throw explain(error, place, canResend && isConnected)
      }
    }
  }

  async function find(key: StoreKey, now: number): Promise<SessionDocument | undefined> {
    // By the id and nothing else: the server has a short way for that, and a read may judge the deadline afterwards.
    return alive((await sessions.findOne({ _id: key })) as SessionDocument | null, now)
  }

  /**
   * A change that matches nothing says so, and the document is read to tell why. Versions are random: no later one can
   * be taken for the expected one. A document that fits by now (a process whose clock is behind has put its deadline
   * off) is changed after all, since nothing was yet.
   */
  async function write(
    key: StoreKey,
    expected: string,
    change: object[],
    now: number,
  ): Promise<WriteResult> {
    const condition = { _id: key, version: expected, expiresAt: { $gt: new Date(now) } }
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if ((await sessions.updateOne(condition, change)).matchedCount === 1) return UPDATED
      const found = await find(key, now)
      if (found === undefined) return MISSING
      if (found.version !== expected) return { outcome: 'conflict', record: toRecord(found) }
    }
    throw storeError(`${place} has a session whose deadline goes back and forth`, {
      executed: 'no',
    })
  }

  async function end(key: StoreKey, userId: string, now: number): Promise<StoreKey[]> {
    const condition = { _id: key, userId, expiresAt: { $gt: new Date(now) } }
    return (await sessions.deleteOne(condition)).deletedCount === 1 ? [key] : []
  }

  return {
    name: 'mongodb',
    limits: { maxPayloadBytes: MAX_DOCUMENT_BYTES - OTHER_FIELDS_BYTES },

    load: method(async (key: StoreKey, now: number) => {
      const found = await find(key, now)
      return found && toRecord(found)
    }),

    create: method((key: StoreKey, record: SessionRecord, now: number) => {
      indexes.prepare()
      const dead = { _id: key, expiresAt: { $lte: new Date(now) } }
      return replace(sessions, dead, stored(record, now))
    }),

    update: method((key: StoreKey, record: SessionRecord, expected: string, now: number) =>
      write(key, expected, swapped(record, now), now),
    ),

    touch: method(
      (key: StoreKey, expected: string, lastSeenAt: number, expiresAt: number, now: number) =>
        write(key, expected, touched(lastSeenAt, expiresAt, now), now),
    ),

    delete: method(async (key: StoreKey, now: number) => {
      const gone = await sessions.findOneAndDelete({ _id: key }, { projection: { expiresAt: 1 } })
      return alive(gone as SessionDocument | null, now) !== undefined
    }),

    listByUser: method(async (userId: string, now: number) => {
      indexes.prepare()
      const mine = { userId, expiresAt: { $gt: new Date(now) } }
      const found = (await sessions.find(mine).toArray()) as SessionDocument[]
      return found.map((document) => ({
        key: document._id as StoreKey,
        record: toRecord(document),
      }))
    }),

    deleteByUser: method(async (userId: string, { except, mark, now }: DeleteByUserOptions) => {
      indexes.prepare()
      const older = { _id: userId, expiresAt: { $lte: new Date(mark.expiresAt) } }
      await replace(marks, older, marked(mark, now))
      const mine = { userId, expiresAt: { $gt: new Date(now) }, _id: { $nin: except } }
      const found = sessions.find(mine, { projection: { _id: 1 } })
      const keys = (await found.toArray()).map((document) => (document as { _id: StoreKey })._id)
      const ended: StoreKey[] = []
      // One by one: what deletes many at once cannot say which.
      for (let next = 0; next < keys.length; next += AT_ONCE) {
        const some = keys.slice(next, next + AT_ONCE)
        const ends = some.map((key) => end(key, userId, now))
        // Nothing may be under way any more when this rejects.
        await Promise.allSettled(ends)
        ended.push(...(await Promise.all(ends)).flat())
      }
      return ended
    }),

    revocationMark: method(async (userId: string, now: number) => {
      return alive((await marks.findOne({ _id: userId })) as MarkDocument | null, now)?.mark
    }),

    ping: method(async () => {
      const asked = Promise.all([db.command({ hello: 1 }), indexes.concerns()])
      const [{ localTime, isWritablePrimary }, concerns] = (await asked) as [Hello, StoreConcern[]]
      return {
        now: localTime.getTime(),
        concerns: isWritablePrimary
          ? concerns
          : [{ code: READ_ONLY, message: `${place} ${NO_PRIMARY}` }],
      }
    }),
  }
}

interface Hello {
  readonly localTime: Date
  readonly isWritablePrimary: boolean
}

const READ_ONLY = 'WARN_SESSION_READ_ONLY'
const NO_PRIMARY =
  'is asked from a member that takes no changes: take directConnection out of the URL of the client, and name the replica set'

/** Puts a document where none is or `condition` fits the one that is, and answers whether it did. */
async function replace(
  collection: MongodbCollection,
  condition: object,
  change: object[],
): Promise<boolean> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const { matchedCount, upsertedCount } = await collection.updateOne(condition, change, {
        upsert: true,
      })
      return matchedCount + upsertedCount === 1
    } catch (error) {
      // Nothing fitted, so the server inserted, and there was one. It may have come in that instant: then it has to fit.
      if (!isDuplicate(error)) throw error
    }
  }
  return false
}

const UPDATED: WriteResult = Object.freeze({ outcome: 'updated' })
const MISSING: WriteResult = Object.freeze({ outcome: 'missing' })

const ATTEMPTS = 5
/** How many sessions of a user are ended side by side: a part of the client's pool, which has 100 connections. */
const AT_ONCE = 20

/** https://www.mongodb.com/docs/manual/reference/limits/#bson-documents */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
/** More than a key, a version, a user id, five times and their names take. */
const OTHER_FIELDS_BYTES = 8 * 1024

function checked(options: MongodbStoreOptions): MongodbStoreOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError("mongodbStore takes an object: mongodbStore({ db: client.db('shop') })")
  }
  const { db, collection, ...others } = options
  for (const name of Object.keys(others)) {
    throw new TypeError(`mongodbStore has no option "${name}": it takes db and collection`)
  }
  assertDatabase(db)
  if (collection !== undefined && !/^(?!system\.)[a-z_][\w.-]{0,63}$/i.test(String(collection))) {
    throw new TypeError(
      `mongodbStore needs a name of 1 to 64 letters, digits, _, - and . as collection, not '${String(collection)}'; it begins with a letter or _, and not with system.`,
    )
  }
  return options
}
