import type { MaybePromise, SessionRecord, SessionStore, StoreKey } from '../core/store.js'
import type { StoreCall } from './store-methods.js'

/** What was written, with what stood there before, so that it can be undone. */
export interface Journal {
  /** How many writes there were. */
  readonly position: number
  /** Executes a call and notes what it overwrites. At once, where the store answers at once. */
  execute(call: StoreCall): unknown
  /** Undoes the latest writes, newest first, until there were only `position`. */
  undoTo(position: number): Promise<void>
}

export function newJournal(inner: SessionStore): Journal {
  const writes: (readonly Before[])[] = []

  /** What a call is about to overwrite. A clock at zero shows every record that lies there, dead ones too. */
  function before(call: StoreCall): MaybePromise<readonly Before[]> {
    if (call.method === 'deleteByUser') {
      return inner.listByUser?.(call.args[0] as string, 0) ?? []
    }
    const key = call.args[0] as StoreKey
    const record = inner.load(key, 0)
    return isPromise(record) ? record.then((found) => [{ key, record: found }]) : [{ key, record }]
  }

  function executeNoted(call: StoreCall, overwritten: readonly Before[]): unknown {
    const answer = call.execute() as MaybePromise<unknown>
    if (!isPromise(answer)) {
      if (hasWritten(answer)) writes.push(overwritten)
      return answer
    }
    return answer.then((value) => {
      if (hasWritten(value)) writes.push(overwritten)
      return value
    })
  }

  return {
    get position() {
      return writes.length
    },
    execute(call) {
      if (!WRITING.has(call.method)) return call.execute()
      const overwritten = before(call)
      if (!isPromise(overwritten)) return executeNoted(call, overwritten)
      return overwritten.then((known) => executeNoted(call, known))
    },
    async undoTo(position) {
      while (writes.length > position) {
        for (const { key, record } of writes.pop() ?? []) {
          await inner.delete(key, 0)
          if (record !== undefined) await inner.create(key, record, 0)
        }
      }
    },
  }
}

interface Before {
  readonly key: StoreKey
  readonly record: SessionRecord | undefined
}

const WRITING: ReadonlySet<string> = new Set([
  'create',
  'update',
  'touch',
  'delete',
  'deleteByUser',
])

function hasWritten(answer: unknown): boolean {
  if (Array.isArray(answer)) return answer.length > 0
  return answer === true || (answer as { outcome?: string }).outcome === 'updated'
}

function isPromise<T>(value: MaybePromise<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function'
}
