import { takeChange, updateChange } from './changes.js'
import { decodeForUpdate, encodeUpdated } from './codec.js'
import { readData, readRecord } from './record.js'
import { ended, refuseAsync, rotated } from './refusals.js'
import { RESERVED_KEYS } from './reserved-keys.js'
import type { Visit } from './visit.js'

type Data = Record<string, unknown>

/** `req.session.update(change)`: exact on the newest data, whoever else writes. */
export async function updateSession<T>(visit: Visit, change: (data: Data) => T): Promise<T> {
  if (typeof change !== 'function') {
    throw new TypeError('req.session.update() takes a function that changes the data it is given')
  }
  const guarded = (data: Data): T => {
    visit.isUpdating = true
    try {
      return change(data)
    } finally {
      visit.isUpdating = false
    }
  }
  visit.assertWritable()
  if (visit.stored === undefined) return updateNewSession(visit, guarded)
  const pending = visit.pending(visit.stored)
  const made = updateChange(pending, guarded)
  await visit.land(made, pending)
  return made.result as T
}

/** Nobody else knows a session that is not stored yet: its own data are the newest. */
async function updateNewSession<T>(visit: Visit, change: (data: Data) => T): Promise<T> {
  const data = decodeForUpdate(visit.presentText())
  const result = change(data)
  refuseAsync(result)
  encodeUpdated(data)
  visit.open()
  visit.replaceData(data)
  await visit.persist()
  return result
}

/** `req.session.take(key)`: the value, for at most one reader. */
export async function takeKey(visit: Visit, key: string): Promise<unknown> {
  if (typeof key !== 'string' || RESERVED_KEYS.has(key)) {
    throw new TypeError(
      `req.session.take() takes the name of a key of the session, not ${String(key)}`,
    )
  }
  visit.assertWritable()
  if (visit.stored === undefined) {
    const data = visit.open() as unknown as Data
    const value = Object.hasOwn(data, key) ? data[key] : undefined
    delete data[key]
    return value
  }
  const pending = visit.pending(visit.stored)
  const change = takeChange(pending, key)
  await visit.land(change, pending)
  return change.result
}

/** `req.session.reload()`: the newest record, if it is still the session that this request began with. */
export async function reloadSession(visit: Visit): Promise<void> {
  const { stored, engine, budget } = visit
  if (stored === undefined) throw visit.kind === 'superseded' ? rotated() : ended()
  const record = await budget.spend(
    Promise.resolve(
      engine.callStore('load', budget.left(), (store) => store.load(stored.id, engine.now())),
    ),
  )
  const current = record === undefined ? undefined : readRecord(stored.id, record)
  if (current === undefined || typeof current === 'string') throw ended()
  if (current.meta.privilege !== stored.meta.privilege) throw rotated()
  const data = readData(current)
  if (data === undefined) throw ended()
  visit.stored = current
  visit.pendingMaxAge = undefined
  visit.replaceData(data)
}
