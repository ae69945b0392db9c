import { decodeData } from './codec.js'
import type { DecodedData } from './decoded-data.js'
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
  /** Where the near cache keeps it: the data for all who read it. */
  readonly decoded?: DecodedData | undefined
}

/**
 * The format of a payload: its number, the meta data as one line of JSON (a list), the data as another. An unknown higher
 * number is a session of a newer release: absent for this one, and never deleted.
 */
const FORMAT = 1
const OPENING = `${FORMAT}[`

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
  if (!payload.startsWith(OPENING)) {
    return Number.parseInt(payload, 10) > FORMAT ? 'newer' : 'corrupt'
  }
  const lineEnd = payload.indexOf('\n')
  if (lineEnd < 0) return 'corrupt'
  const meta = readMeta(payload.slice(OPENING.length - 1, lineEnd))
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
export function readData({ text, decoded }: StoredSession): Record<string, unknown> | undefined {
  try {
    return decoded === undefined ? decodeData(text) : decoded.thaw()
  } catch {
    return undefined
  }
}

/** By position, because every session pays for names. `null` for what is absent. */
type CompactMeta = readonly [
  secretHash: string,
  privilege: string,
  createdAt: number,
  signedInAt: number | null,
  user: string | number | readonly [bigint: string] | null,
  /** `false` for a cookie that ends with the browser. */
  maxAge: number | false | null,
  previous: readonly (readonly [secretHash: string, at: number])[] | null,
  device: readonly [userAgent: string | null, ip: string | null] | null,
]

function compact(meta: SessionMeta): CompactMeta {
  const { previous, device, user, maxAge } = meta
  return [
    meta.secretHash,
    meta.privilege,
    meta.createdAt,
    meta.signedInAt ?? null,
    typeof user === 'bigint' ? [String(user)] : (user ?? null),
    maxAge === null ? false : (maxAge ?? null),
    previous?.map(({ secretHash, at }) => [secretHash, at] as const) ?? null,
    device === undefined ? null : [device.userAgent ?? null, device.ip ?? null],
  ]
}

function readMeta(line: string): SessionMeta | undefined {
  let fields: CompactMeta
  try {
    fields = JSON.parse(line) as CompactMeta
  } catch {
    return undefined
  }
  if (!Array.isArray(fields) || fields.length !== 8) return undefined
  const [secretHash, privilege, createdAt, signedInAt, user, maxAge, previous, device] =
    fields as CompactMeta
  const isSound =
    typeof secretHash === 'string' &&
    typeof privilege === 'string' &&
    isTime(createdAt) &&
    (signedInAt === null || isTime(signedInAt)) &&
    (user === null || typeof user === 'string' || typeof user === 'number' || isBigIntText(user)) &&
    (maxAge === null || maxAge === false || isTime(maxAge)) &&
    (previous === null || (Array.isArray(previous) && previous.every(isPrevious))) &&
    (device === null || Array.isArray(device))
  if (!isSound) return undefined
  return {
    secretHash,
    privilege,
    createdAt,
    signedInAt: signedInAt ?? undefined,
    user: typeof user === 'object' ? (user === null ? undefined : BigInt(user[0])) : user,
    maxAge: maxAge === false ? null : (maxAge ?? undefined),
    previous: previous?.map(([secretHash, at]) => ({ secretHash, at })),
    device:
      device === null
        ? undefined
        : { userAgent: textOrNothing(device[0]), ip: textOrNothing(device[1]) },
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
