import { diffFields, endChange, keepFields, type Pending, writeChange } from './changes.js'
import { decodeData, decodeField, splitData } from './codec.js'
import { type CreationPlan, createRecord, forget } from './creation.js'
import type { CookieSecret } from './identity.js'
import { ended } from './refusals.js'
import { RESERVED_KEYS } from './reserved-keys.js'
import type { RegenerateOptions } from './session.js'
import { describeSession } from './session-info.js'
import { rehostSessionObject, type SessionHost } from './session-object.js'
import type { EndReason, StoreKey } from './store.js'
import type { Visit } from './visit.js'

/**
 * Signs out: deletes the record, whatever became of it meanwhile, and clears the cookie. Where the store does not
 * confirm, the user's wish stands in this process and in the browser, and the store is asked until it does.
 */
export async function endSession(visit: Visit, reason: 'signOut' | 'destroy'): Promise<void> {
  const { engine, stored } = visit
  if (visit.kind === 'degraded') {
    visit.order = { kind: 'clear' }
    for (const { id, secretHash } of visit.unseen) engine.tombstones.add(id, reason, secretHash)
  }
  visit.assertWritable()
  // What is assigned from here on is a new session's, also before the store has answered.
  visit.startAnew()
  if (stored === undefined) return
  try {
    await visit.budget.spend(
      Promise.resolve(
        engine.callStore('delete', visit.budget.left(), (store) =>
          store.delete(stored.id, engine.now(), reason),
        ),
      ),
    )
  } catch (error) {
    engine.tombstones.add(stored.id, reason)
    throw error
  }
  engine.ends.announce(stored.id, reason)
}

/** A new session with a new id, empty but for what is kept. The old object stays readable (Passport merges from it). */
export async function regenerate(visit: Visit, options: RegenerateOptions): Promise<void> {
  const keep = checkKeep(options?.keep, 'regenerate')
  visit.assertWritable()
  if (visit.stored !== undefined) {
    await replaceSession(visit, { keep, data: '{}', reason: 'regenerate' })
    return
  }
  const kept = decodeData(keepFields(visit.presentText(), keep, '{}'))
  detachObject(visit)
  visit.startAnew()
  visit.open()
  visit.replaceData(kept)
}

export interface Replacement {
  readonly keep: readonly string[]
  /** Encoded. */
  readonly data: string
  readonly reason: EndReason
  /** What the core keeps about the new session: its user, for a sign-in. */
  readonly meta?: CreationPlan['meta']
  /** Whether the failure to end the old session may be passed over: it was not ours any more. */
  readonly isForgiven?: (error: unknown) => boolean
}

/**
 * Puts a new session in the place of the loaded one: create the new, end the old on the condition that it is still what
 * this request knew, and bring along what others wrote to kept keys meanwhile. A crash in between leaves the old one.
 */
export async function replaceSession(visit: Visit, replacement: Replacement): Promise<void> {
  const { engine, budget } = visit
  const { keep, data, reason, meta } = replacement
  const pending = visit.pending(visit.stored as NonNullable<Visit['stored']>)
  const text = keepFields(pending.text, keep, data)
  const isWorthStoring = text !== '{}' || meta?.user !== undefined
  if (isWorthStoring) visit.client.assertCanSetCookie()
  const secret = engine.random.secret() as CookieSecret
  const id = engine.random.id() as StoreKey
  const created = isWorthStoring ? await createRecord(visit, { id, secret, text, meta }) : undefined
  let lastText = pending.text
  try {
    await engine.commits.commit(
      endChange(pending, {
        reason,
        privilege: engine.random.mark(),
        now: engine.now(),
        seen: (last) => {
          lastText = last
        },
      }),
      budget,
    )
    engine.ends.announce(pending.base.id, reason)
  } catch (error) {
    if (replacement.isForgiven?.(error) !== true) {
      if (created !== undefined) forget(engine, created.id)
      throw error
    }
  }
  const later = assignmentsSince(visit, pending.text)
  detachObject(visit)
  visit.startAnew()
  if (created === undefined) {
    assign(visit, later)
    return
  }
  try {
    const latest: Pending = { base: created, text: keepFields(lastText, keep, data) }
    const isCurrent = latest.text === text
    const stored = isCurrent ? created : await engine.commits.commit(writeChange(latest), budget)
    visit.settleOn(stored, secret)
    assign(visit, later)
  } catch (error) {
    forget(engine, created.id)
    throw error
  }
}

/** What the handler did to its session while this was under way, because it did not wait: it belongs to the new one. */
function assignmentsSince(visit: Visit, sent: string): ReadonlyMap<string, string | undefined> {
  return diffFields(splitData(sent), splitData(visit.presentText()))
}

function assign(visit: Visit, fields: ReadonlyMap<string, string | undefined>): void {
  if (fields.size === 0) return
  const data = visit.open() as unknown as Record<string, unknown>
  for (const [key, value] of fields) {
    if (value === undefined) delete data[key]
    else data[key] = decodeField(value)
  }
}

export function checkKeep(keep: unknown, method: string): readonly string[] {
  if (keep === undefined) return []
  if (!Array.isArray(keep) || keep.some((key) => typeof key !== 'string')) {
    throw new TypeError(
      `keep is a list of keys, as in req.session.${method === 'signIn' ? 'signIn(userId, ' : `${method}(`}{ keep: ['cart'] })`,
    )
  }
  const reserved = keep.find((key) => RESERVED_KEYS.has(key as string))
  if (reserved !== undefined) {
    throw new TypeError(
      `keep names '${reserved}', which belongs to the session itself and is no data`,
    )
  }
  return keep as readonly string[]
}

/** The object that handlers hold keeps its data and its name; its methods say that it is over. */
function detachObject(visit: Visit): void {
  const { session, id } = visit
  if (session === undefined) return
  const info = describeSession(visit)
  const { cookie } = session
  const over = (): Promise<never> => Promise.reject(ended())
  const host: SessionHost = {
    id,
    info,
    cookie,
    signIn: over,
    end: over,
    update: over,
    take: over,
    regenerate: over,
    save: over,
    reload: over,
    touch: over,
    refuseKey: () => ended(),
    callbackThrew: (error) => visit.client.onLostError(error),
  }
  rehostSessionObject(session, host)
  visit.session = undefined
}
