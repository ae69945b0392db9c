import { decodeData } from './codec.js'
import type { SessionRecord, StoreKey } from './store.js'

/** What a user is called in `signIn`: kept with its type, indexed by its text. */
export type UserId = string | number | bigint

/** What the core itself keeps about a session, beside its data. */
export interface SessionMeta {
  /** SHA-256 of the secret in the cookie; new at every rotation. */
  readonly secretHash: string
  /** A random mark, new whenever the rights of the session change. A request that loaded another one is fenced off. */
  readonly privilege: string
  readonly createdAt: number
  readonly signedInAt?: number | undefined
  readonly user?: UserId | undefined
  /** An idle timeout of its own; `null` for a cookie that ends with the browser. Absent: as configured. */
  readonly maxAge?: number | null | undefined
  /** The secrets before the last rotations, the latest first, so that a late request with one is recognised. */
  readonly previous?: readonly PreviousSecret[] | undefined
  /** The device that signed in, with the option `devices`. */
  readonly device?: Device | undefined
}

export interface PreviousSecret {
  readonly secretHash: string
  /** When it was rotated away. */
  readonly at: number
}

export interface Device {
  readonly userAgent?: string | undefined
  readonly ip?: string | undefined
}

/** A record that was read: the base on which a request works. Frozen in spirit; shared between requests. */
export interface StoredSession {
  readonly id: StoreKey
  readonly version: string
  readonly meta: SessionMeta
  /** The encoded data. */
  readonly text: string
  readonly lastSeenAt: number
  readonly expiresAt: number
  readonly absoluteExpiresAt: number
}

/**
 * The format of a payload: its number, the meta data as one line of JSON, the data as another. An unknown higher
 * number is a session of a newer release: absent for this one, and never deleted.
 */
const FORMAT = 1

export function encodePayload(meta: SessionMeta, text: string): string {
  return `${FORMAT}${JSON.stringify(compact(meta))}\n${text}`
}

/** Throws nothing: a record that cannot be read is an answer, not an accident. */
export function readRecord(
  id: StoreKey,
  record: SessionRecord,
): StoredSession | 'corrupt' | 'newer' {
  const payload: unknown = record?.payload
  if (typeof payload !== 'string' || typeof record.version !== 'string') return 'corrupt'
  const format = Number.parseInt(payload, 10)
  if (format > FORMAT) return 'newer'
  const lineEnd = payload.indexOf('\n')
  if (format !== FORMAT || lineEnd < 0) return 'corrupt'
  const meta = readMeta(payload.slice(String(FORMAT).length, lineEnd))
  if (meta === undefined || !isTime(record.lastSeenAt) || !isTime(record.expiresAt))
    return 'corrupt'
  return {
    id,
    version: record.version,
    meta,
    text: payload.slice(lineEnd + 1),
    lastSeenAt: record.lastSeenAt,
    expiresAt: record.expiresAt,
    absoluteExpiresAt: record.absoluteExpiresAt,
  }
}

/** The data of a record that was read; `undefined` where they are corrupt, which shows only when they are decoded. */
export function readData({ text }: StoredSession): Record<string, unknown> | undefined {
  try {
    return decodeData(text)
  } catch {
    return undefined
  }
}

/** Short names, because every session pays for them. */
interface CompactMeta {
  s: string
  p: string
  c: number
  a?: number | undefined
  u?: string | number | [string] | undefined
  m?: number | null | undefined
  o?: (readonly [string, number])[] | undefined
  d?: [string | null, string | null] | undefined
}

function compact(meta: SessionMeta): CompactMeta {
  const { previous, device, user } = meta
  return {
    s: meta.secretHash,
    p: meta.privilege,
    c: meta.createdAt,
    a: meta.signedInAt,
    u: typeof user === 'bigint' ? [String(user)] : user,
    m: meta.maxAge,
    o: previous?.map(({ secretHash, at }) => [secretHash, at] as const),
    d: device && [device.userAgent ?? null, device.ip ?? null],
  }
}

function readMeta(line: string): SessionMeta | undefined {
  let meta: CompactMeta
  try {
    meta = JSON.parse(line) as CompactMeta
  } catch {
    return undefined
  }
  if (meta === null || typeof meta !== 'object') return undefined
  const { s, p, c, a, u, m, o, d } = meta
  const isSound =
    typeof s === 'string' &&
    typeof p === 'string' &&
    isTime(c) &&
    (a === undefined || isTime(a)) &&
    (u === undefined || typeof u === 'string' || typeof u === 'number' || isBigIntText(u)) &&
    (m === undefined || m === null || isTime(m)) &&
    (o === undefined || (Array.isArray(o) && o.every(isPrevious))) &&
    (d === undefined || Array.isArray(d))
  if (!isSound) return undefined
  return {
    secretHash: s,
    privilege: p,
    createdAt: c,
    signedInAt: a,
    user: Array.isArray(u) ? BigInt(u[0]) : u,
    maxAge: m,
    previous: o?.map(([secretHash, at]) => ({ secretHash, at })),
    device: d && { userAgent: textOrNothing(d[0]), ip: textOrNothing(d[1]) },
  }
}

function isPrevious(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === 'string' && isTime(value[1])
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isBigIntText(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === 'string' && /^-?\d+$/.test(value[0])
}

function textOrNothing(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
