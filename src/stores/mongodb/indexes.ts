import type { StoreConcern } from '../../core/store.js'
import type { MongodbCollection } from './database.js'

/** Makes the indexes in the background: no session waits for them, and without them all that is lost is room and time. */
export interface IndexKeeper {
  /** Begins to make them where that was not done yet. */
  prepare(): void
  /** What keeps them from being made, as far as it can be told at once. */
  concerns(): Promise<StoreConcern[]>
}

export function createIndexKeeper(
  sessions: MongodbCollection,
  marks: MongodbCollection,
  place: string,
): IndexKeeper {
  let making: Promise<StoreConcern[]> | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let isDone = false

  async function make(): Promise<StoreConcern[]> {
    const outcomes = await Promise.all([
      ensure(sessions, [BY_REMOVAL, BY_USER]),
      ensure(marks, [BY_REMOVAL]),
    ])
    isDone = outcomes.every((outcome) => outcome === 'made')
    const trouble = outcomes.find((outcome) => outcome !== 'made' && outcome !== 'not answered')
    return trouble === undefined
      ? []
      : [{ code: 'WARN_SESSION_NEVER_REMOVED', message: `${place} ${UNMADE} (${trouble})` }]
  }

  function prepare(): void {
    if (isDone || performance.now() - triedAt < BETWEEN_ATTEMPTS) return
    triedAt = performance.now()
    making = make()
  }

  return {
    prepare,
    async concerns() {
      prepare()
      let timer: ReturnType<typeof setTimeout> | undefined
      // An index of a large collection takes a while to build, and the answer to a ping must not.
      const patience = new Promise<StoreConcern[]>((resolve) => {
        timer = setTimeout(resolve, PATIENCE, [])
      })
      const concerns = await Promise.race([making ?? [], patience])
      clearTimeout(timer)
      return concerns
    },
  }
}

interface Index {
  readonly key: Record<string, 1>
  readonly name: string
  readonly expireAfterSeconds?: number
  readonly sparse?: boolean
}

/** MongoDB removes a document when the time in this field is past, looking once a minute. */
const BY_REMOVAL: Index = {
  key: { removeAt: 1 },
  name: 'staykept_remove',
  expireAfterSeconds: 0,
}
const BY_USER: Index = { key: { userId: 1 }, name: 'staykept_user', sparse: true }

const UNMADE =
  'has no indexes, so expired sessions stay and lists by user are slow: grant the role readWrite on its database, or make them yourself as docs/stores/mongodb.md shows'
const BETWEEN_ATTEMPTS = 60_000
const PATIENCE = 250

/** Answers `'made'`, `'not answered'`, or what the server said. Made again, an index that is there costs the server nothing. */
async function ensure(collection: MongodbCollection, indexes: readonly Index[]): Promise<string> {
  try {
    await collection.createIndexes([...indexes])
    return 'made'
  } catch (error) {
    // Without the right to make them, or under other names, they may be there all the same.
    const there = await collection.indexes().catch(() => [])
    if (indexes.every((index) => there.some((one) => serves(one, index)))) return 'made'
    const { code, message } = error as { code?: unknown; message?: unknown }
    return typeof code === 'number' ? String(message) : 'not answered'
  }
}

function serves(there: object, wanted: Index): boolean {
  const { key, expireAfterSeconds } = there as Partial<Index>
  return (
    JSON.stringify(key) === JSON.stringify(wanted.key) &&
    (wanted.expireAfterSeconds === undefined || Number(expireAfterSeconds) === 0)
  )
}
