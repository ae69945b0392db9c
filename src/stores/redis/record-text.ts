import { PRUNE_SLACK, type SessionRecord } from '../../core/store.js'

/**
 * A record as the one string that stands under its key: a format digit, three times of fixed width, then version and
 * user each ended by U+0000, then the payload. A script judges version and deadline by the first bytes and never copies
 * the payload, and a touch overwrites two times in place.
 *
 *     1 lastSeenAt(14) expiresAt(14) absoluteExpiresAt(14) version 0 user 0 payload
 *
 * A higher digit is the format of a newer release: absent for this one, never overwritten.
 */
const FORMAT = 1
const TIME_WIDTH = 14
const LAST_SEEN_AT = 1
const EXPIRES_AT: number = LAST_SEEN_AT + TIME_WIDTH
const ABSOLUTE_EXPIRES_AT: number = EXPIRES_AT + TIME_WIDTH
const VERSION: number = ABSOLUTE_EXPIRES_AT + TIME_WIDTH

/** The year 5138. What is later ends as late as that; 14 digits keep a Lua number exact. */
const LATEST = 99_999_999_999_999

export function encodeRecord(record: SessionRecord): string {
  const { version, payload, userId = '', lastSeenAt, expiresAt, absoluteExpiresAt } = record
  const times = encodeTime(lastSeenAt) + encodeTime(expiresAt) + encodeTime(absoluteExpiresAt)
  return `${FORMAT}${times}${version}\0${userId}\0${payload}`
}

/**
 * The record that a stored value says. One that cannot be read becomes a record whose payload nobody can read either,
 * alive at `now`: so the core tells of it instead of taking it for a session that ended.
 */
export function decodeRecord(value: string, now: number): SessionRecord {
  const userStart = value.indexOf('\0', VERSION) + 1
  const payloadStart = value.indexOf('\0', userStart) + 1
  const isSound = userStart > 0 && payloadStart > 0 && HEAD.test(value)
  if (!isSound) return unreadable(value, now)
  const userId = value.slice(userStart, payloadStart - 1)
  return {
    version: value.slice(VERSION, userStart - 1),
    payload: value.slice(payloadStart),
    lastSeenAt: Number(value.slice(LAST_SEEN_AT, EXPIRES_AT)),
    expiresAt: Number(value.slice(EXPIRES_AT, ABSOLUTE_EXPIRES_AT)),
    absoluteExpiresAt: Number(value.slice(ABSOLUTE_EXPIRES_AT, VERSION)),
    userId: userId === '' ? undefined : userId,
  }
}

const HEAD = /^1\d{42}/

function unreadable(value: string, now: number): SessionRecord {
  return {
    version: '',
    // The core knows a payload of a newer format by its number.
    payload: /^[2-9]\d{42}/.test(value) ? String(Number.MAX_SAFE_INTEGER) : '',
    lastSeenAt: now,
    expiresAt: LATEST,
    absoluteExpiresAt: LATEST,
  }
}

export function encodeTime(time: number): string {
  return String(Math.min(Math.max(Math.trunc(time), 0), LATEST)).padStart(TIME_WIDTH, '0')
}

/**
 * How long the engine keeps what ends at `deadline`, in milliseconds from now on: garbage collection only, so longer
 * than needed, by ten minutes or a tenth. Deadlines are judged by the `now` of the caller.
 */
export function keepFor(deadline: number, now: number): string {
  const left = Math.max(Math.min(deadline, LATEST) - now, 0)
  return String(Math.ceil(left + Math.max(PRUNE_SLACK, left / 10)))
}
