import type { UserId } from './record.js'

/** What every engine can index: well-formed Unicode (RFC 3629 has no lone surrogates), and no U+0000. */
const USER_ID = /^[^\0\p{Surrogate}]{1,256}$/u

/** The user id that `method` was given, or a TypeError that says what to pass. */
export function checkUserId(userId: unknown, method: string): UserId {
  const isId =
    (typeof userId === 'string' && USER_ID.test(userId)) ||
    (typeof userId === 'number' && Number.isFinite(userId)) ||
    typeof userId === 'bigint'
  if (isId) return userId as UserId
  throw new TypeError(
    `${method} takes the user's id: a string of 1 to 256 characters, a number or a bigint. It got ${nameOf(userId)}. For an object id, pass String(user._id).`,
  )
}

/** The kind of a value, not the value: it may be somebody's. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (value === '') return 'an empty string'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'string'
    ? 'a string that no index takes'
    : `a value of type ${typeof value}`
}
