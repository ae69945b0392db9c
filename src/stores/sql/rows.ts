import type { SessionRecord, StoreKey } from '../../core/store.js'

/** A session as a row. Clients are asked for rows as arrays: names of columns may be rewritten by the application's settings. */
export type Row = readonly [
  key: string,
  version: string,
  userId: string | null,
  lastSeenAt: number,
  expiresAt: number,
  absoluteExpiresAt: number,
  payload: string,
]

export function toRow(key: StoreKey, record: SessionRecord): Row {
  const { version, userId, lastSeenAt, expiresAt, absoluteExpiresAt, payload } = record
  return [key, version, userId ?? null, lastSeenAt, expiresAt, absoluteExpiresAt, payload]
}

export function toRecord(row: Row): SessionRecord {
  const [, version, userId, lastSeenAt, expiresAt, absoluteExpiresAt, payload] = row
  const record = {
    version,
    payload,
    lastSeenAt: Number(lastSeenAt),
    expiresAt: Number(expiresAt),
    absoluteExpiresAt: Number(absoluteExpiresAt),
  }
  return userId === null ? record : { ...record, userId }
}

/** The record of a row that was found, if it is alive. */
export function aliveAt(now: number, row: Row | undefined): SessionRecord | undefined {
  return row !== undefined && Number(row[4]) > now ? toRecord(row) : undefined
}
