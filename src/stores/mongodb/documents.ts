import { PRUNE_SLACK, type SessionRecord } from '../../core/store.js'

/** A session as MongoDB keeps it. */
export interface SessionDocument {
  readonly _id: string
  readonly version: string
  readonly payload: string
  /** Absent while nobody is signed in, so that the index by user can leave it out. */
  readonly userId?: string
  readonly lastSeenAt: Date
  readonly expiresAt: Date
  readonly absoluteExpiresAt: Date
  /** When MongoDB may remove it, by its own clock. */
  readonly removeAt: Date
}

/** The revocation mark of the user who is its id. */
export interface MarkDocument {
  readonly _id: string
  readonly mark: string
  readonly expiresAt: Date
  readonly removeAt: Date
}

/** The document, unless its deadline is past. */
export function alive<T extends { readonly expiresAt: Date }>(
  document: T | null,
  now: number,
): T | undefined {
  return document !== null && document.expiresAt.getTime() > now ? document : undefined
}

export function toRecord(document: SessionDocument): SessionRecord {
  const { version, payload, userId } = document
  const record = {
    version,
    payload,
    lastSeenAt: document.lastSeenAt.getTime(),
    expiresAt: document.expiresAt.getTime(),
    absoluteExpiresAt: document.absoluteExpiresAt.getTime(),
  }
  return userId === undefined ? record : { ...record, userId }
}

/** The change that makes a document hold `record` as it is. */
export function stored(record: SessionRecord, now: number): object[] {
  return change(record, new Date(record.lastSeenAt), new Date(record.expiresAt), now)
}

/** The same, but a last-seen that was moved on meanwhile stays, and the deadline moves along. */
export function swapped(record: SessionRecord, now: number): object[] {
  // What has ended already must not be moved along.
  if (record.expiresAt <= now) return stored(record, now)
  const lastSeenAt = new Date(record.lastSeenAt)
  const expiresAt = new Date(record.expiresAt)
  const ahead = { $subtract: ['$lastSeenAt', lastSeenAt] }
  const along = { $min: [{ $add: [expiresAt, ahead] }, new Date(record.absoluteExpiresAt)] }
  return change(
    record,
    { $max: ['$lastSeenAt', lastSeenAt] },
    { $cond: [{ $gt: ['$lastSeenAt', lastSeenAt] }, along, expiresAt] },
    now,
  )
}

/** The change that moves last-seen on, and the deadline with it; never back. */
export function touched(lastSeenAt: number, expiresAt: number, now: number): object[] {
  const seen = new Date(lastSeenAt)
  const moved = {
    lastSeenAt: { $max: ['$lastSeenAt', seen] },
    expiresAt: { $cond: [{ $lt: ['$lastSeenAt', seen] }, new Date(expiresAt), '$expiresAt'] },
  }
  return [{ $set: moved }, removeAfter(now)]
}

export function marked(mark: { value: string; expiresAt: number }, now: number): object[] {
  const fields = { mark: { $literal: mark.value }, expiresAt: new Date(mark.expiresAt) }
  return [{ $set: fields }, removeAfter(now)]
}

function change(
  record: SessionRecord,
  lastSeenAt: object,
  expiresAt: object,
  now: number,
): object[] {
  const { version, payload, userId } = record
  const fields = {
    // In a pipeline a text that begins with $ would be the name of a field.
    version: { $literal: version },
    payload: { $literal: payload },
    lastSeenAt,
    expiresAt,
    absoluteExpiresAt: new Date(record.absoluteExpiresAt),
  }
  return userId === undefined
    ? [{ $set: fields }, { $unset: 'userId' }, removeAfter(now)]
    : [{ $set: { ...fields, userId: { $literal: userId } } }, removeAfter(now)]
}

/**
 * The time that is left, counted from the server's clock, and the slack on top: what MongoDB removes does not depend on
 * the clock of the process that stored it.
 */
function removeAfter(now: number): object {
  const left = { $subtract: ['$expiresAt', new Date(now)] }
  return { $set: { removeAt: { $add: ['$$NOW', left, PRUNE_SLACK] } } }
}
