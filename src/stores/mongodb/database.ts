/** What the store needs of a database handle of the official driver. */
export interface MongodbDatabase {
  readonly databaseName: string
  collection(name: string, options?: object): MongodbCollection
  command(command: object): Promise<object>
}

/** What the store needs of a collection of the official driver. */
export interface MongodbCollection {
  findOne(filter: object, options?: object): Promise<object | null>
  find(filter: object, options?: object): { toArray(): Promise<object[]> }
  updateOne(filter: object, update: object[], options?: object): Promise<MongodbUpdated>
  deleteOne(filter: object): Promise<{ readonly deletedCount: number }>
  findOneAndDelete(filter: object, options?: object): Promise<object | null>
  createIndexes(indexes: { key: Record<string, 1>; name: string }[]): Promise<unknown>
  indexes(): Promise<object[]>
}

export interface MongodbUpdated {
  readonly matchedCount: number
  readonly upsertedCount: number
}

/**
 * How the store's collections are used, whatever the client was set to. A write is acknowledged when the majority has
 * it in the journal: with less, a fail-over brings back what was signed out. It is read as the primary has it by then:
 * after an election, read concern 'majority' may answer from before the last acknowledged write (SERVER-53813).
 * `wtimeoutMS` ends the waiting of writes that nobody waits for any more, so that they do not fill the pool.
 */
export const COLLECTION: object = {
  writeConcern: { w: 'majority', journal: true, wtimeoutMS: 5000 },
  readConcern: { level: 'local' },
  readPreference: 'primary',
  raw: false,
  promoteValues: true,
}

/** Throws a `TypeError` for anything but a database handle; the handles it is mistaken for are told apart. */
export function assertDatabase(db: unknown): void {
  const found = whatIsWrong(db)
  if (found === undefined) return
  throw new TypeError(
    `mongodbStore: db must be a database of the official driver, such as client.db('shop'), not ${found}`,
  )
}

function whatIsWrong(db: unknown): string | undefined {
  if (typeof db === 'string')
    return 'a name or an URL: make a MongoClient with it, and pass its .db()'
  if (typeof db !== 'object' || db === null) return String(db)
  if (typeof (db as PromiseLike<unknown>).then === 'function') return 'a promise: await it first'
  const handle = db as Partial<Record<string, unknown>>
  // A connection of Mongoose has collections too, which keep every call back until it is connected.
  if (typeof handle.getClient === 'function') {
    return 'a connection of Mongoose: pass mongoose.connection.getClient().db() once it is connected'
  }
  if (typeof handle.connection === 'object' && typeof handle.model === 'function') {
    return 'Mongoose: pass mongoose.connection.getClient().db() once it is connected'
  }
  if (typeof handle.collectionName === 'string') {
    return 'a collection: pass its database, and its name as the option collection'
  }
  if (typeof handle.db === 'function') return 'a client: pass client.db()'
  if (typeof handle.collection === 'function' && typeof handle.command === 'function') {
    return undefined
  }
  return `an object without collection and command (${handle.constructor?.name ?? 'Object'})`
}

/** Whether the client may send a write again by itself, as it does by default. */
export function mayResend(db: MongodbDatabase): boolean {
  return clientOf(db)?.options?.retryWrites !== false
}

/** Does nothing where the client is connected. One that was closed on purpose stays closed. */
export async function connectClient(db: MongodbDatabase): Promise<void> {
  const client = clientOf(db)
  if (client?.s?.hasBeenClosed !== true) await client?.connect?.()
}

function clientOf(db: MongodbDatabase): Client | undefined {
  return (db as { client?: Client }).client
}

interface Client {
  connect?(): Promise<unknown>
  readonly options?: { readonly retryWrites?: unknown }
  readonly s?: { readonly hasBeenClosed?: unknown }
}
