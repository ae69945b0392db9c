import type { CoreOptions } from '../../src/core/options.js'
import { readRecord, type StoredSession } from '../../src/core/record.js'
import type { SessionStore, StoreKey } from '../../src/core/store.js'
import { memoryStore } from '../../src/stores/memory.js'
import { type GatedStore, gatedStore } from '../../src/testing.js'
import {
  createJar,
  createProcess,
  type Data,
  dataOf,
  type Jar,
  type Process,
  type Visitor,
} from './process.js'

/** Two processes with one store: in the slow one every call waits to be let go, in the fast one none does. */
export interface Scene {
  readonly store: SessionStore
  readonly slow: Process
  readonly fast: Process
  readonly gate: GatedStore
  /** A request of the slow process, its load done. */
  enter(jar: Jar): Promise<Visitor>
}

export function createScene(
  options: Partial<CoreOptions> = {},
  store: SessionStore = memoryStore(),
): Scene {
  const gate = gatedStore(store)
  const slow = createProcess(gate.store, options)
  return {
    store,
    slow,
    fast: createProcess(store, options),
    gate,
    async enter(jar) {
      const visitor = slow.request(jar)
      const load = await gate.next('load')
      await load.finish()
      return visitor
    },
  }
}

/** The cookie of a new session with these data, signed in where a user is named. */
export async function newSession(process: Process, data: Data, user?: string): Promise<string> {
  const jar = createJar()
  await process.handle(jar, async (session) => {
    if (user === undefined) Object.assign(session, data)
    else await session.signIn(user, { data: data })
  })
  return jar.cookie as string
}

export function idOf(cookie: string): StoreKey {
  return cookie.slice(0, cookie.indexOf('.')) as StoreKey
}

/** What stands in the store under the id of this cookie; a stub of a session that ended is none. */
export async function stored(
  store: SessionStore,
  cookie: string,
  now: number = Date.now(),
): Promise<StoredSession | undefined> {
  const id = idOf(cookie)
  const record = await store.load(id, now)
  const read = record === undefined ? undefined : readRecord(id, record)
  if (typeof read === 'string') throw new Error(`the record of ${id} is ${read}`)
  return read?.meta.secretHash === '' ? undefined : read
}

/** The data that stand in the store, as their reader would get them; `undefined` where there is no session. */
export async function storedData(
  store: SessionStore,
  cookie: string,
  now: number = Date.now(),
): Promise<Data | undefined> {
  const found = await stored(store, cookie, now)
  return found === undefined ? undefined : (JSON.parse(found.text) as Data)
}

/** What a new request with this cookie is told: its data and its user, or that it is anonymous. */
export function show(process: Process, cookie: string): Promise<Data> {
  return process.handle(createJar(cookie), (session, visit) =>
    visit.kind === 'loaded' ? { ...session, userId: session.info.userId } : { is: visit.kind },
  )
}

/** What a visitor with this cookie gets to see. */
export async function read(process: Process, cookie: string): Promise<Data> {
  const visitor = await process.request(createJar(cookie))
  const data = dataOf(visitor.session)
  await visitor.respond()
  return data
}
