import { createHash } from 'node:crypto'

/** A Lua script on one key: one atomic step of the engine. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/**
 * Reads the first bytes of the record under the key into `head` and answers where nothing can be swapped: `0` for
 * nothing alive, the value as it stands for another version, for what is no record, and for one of a newer format.
 * Everything is judged by the caller's `now`; the engine's clock is asked for nothing.
 */
const JUDGE = `
local key, expected, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local head = redis.call('GETRANGE', key, 0, 43 + #expected + #(ARGV[5] or '') + 1)
if head == '' then return 0 end
local function at(first) return tonumber(string.sub(head, first, first + 13)) end
local lastSeenAt, expiresAt, absoluteExpiresAt = at(2), at(16), at(30)
if string.sub(head, 1, 1) ~= '1' or not (lastSeenAt and expiresAt and absoluteExpiresAt) then
  return { redis.call('GET', key) }
end
if expiresAt <= now then return 0 end
if string.sub(head, 44, 44 + #expected) ~= expected .. '\\0' then return { redis.call('GET', key) } end
`

/**
 * A connection that tracks the key for a near cache loses it by its own write; a read after the write takes it up again
 * (protocol-review R1). Any read-only command does.
 */
const STAY_TRACKED = "redis.call('STRLEN', key)"

/**
 * Tells the feeds that a session has ended. A user who may not publish can end sessions all the same: then this fails, and
 * the step goes on. ARGV, from `first` on: the channel, the message.
 */
function tellEnd(first: number): string {
  return `redis.pcall('PUBLISH', ARGV[${first}], ARGV[${first + 1}])`
}

/** ARGV: now, keep for (ms), value. Answers 1, or 0 where a live record or something foreign stands there. */
export const CREATE: Script = script(`
local key, now = KEYS[1], tonumber(ARGV[1])
local head = redis.call('GETRANGE', key, 0, 42)
if head ~= '' then
  local expiresAt = tonumber(string.sub(head, 16, 29))
  if string.sub(head, 1, 1) ~= '1' or not expiresAt or expiresAt > now then return 0 end
end
redis.call('SET', key, ARGV[3], 'PX', ARGV[2])
${STAY_TRACKED}
return 1`)

/**
 * ARGV: expected version, now, keep for (ms), value, user, and 'listed' where the user's index is known to have the key
 * until the deadline of the new record, else ''; where the session ends with this, the channel and the message too.
 * Answers 1 for swapped, 0 for missing, the current value in an array for a conflict, and 2, with nothing changed, where
 * the index has to be written first.
 */
export const UPDATE: Script = script(`${JUDGE}
local value, user = ARGV[4], ARGV[5]
local function new(first) return tonumber(string.sub(value, first, first + 13)) end
if user ~= '' and ARGV[6] ~= 'listed' then
  local start = 45 + #expected
  if string.sub(head, start, start + #user) ~= user .. '\\0' or absoluteExpiresAt < new(30) then
    return 2
  end
end
local ahead, keep = lastSeenAt - new(2), tonumber(ARGV[3])
if ahead > 0 and new(16) > now then
  local deadline = math.min(new(16) + ahead, new(30))
  keep = keep + math.max(deadline - new(16), 0)
  value = '1' .. string.format('%014.0f%014.0f', lastSeenAt, deadline) .. string.sub(value, 30)
end
redis.call('SET', key, value, 'PX', string.format('%.0f', keep))
if ARGV[7] then ${tellEnd(7)} end
${STAY_TRACKED}
return 1`)

/** ARGV: expected version, now, keep for (ms), last-seen and deadline as they are stored. Answers as UPDATE. */
export const TOUCH: Script = script(`${JUDGE}
if tonumber(string.sub(ARGV[4], 1, 14)) > lastSeenAt then
  redis.call('SETRANGE', key, 1, ARGV[4])
  redis.call('PEXPIRE', key, ARGV[3])
end
${STAY_TRACKED}
return 1`)

/** ARGV: user, now, channel, message. Deletes the record if it is this user's. Answers 1 if it was alive, else 0. */
export const DELETE_OF_USER: Script = script(deleteOfUser('return 0'))

/**
 * Changes nothing, and yet is a write: replicas are asked who has the last one of a connection, and what was deleted
 * before may have gone over another.
 */
const TELL = "redis.call('SET', KEYS[1], '', 'PX', 1) redis.call('DEL', KEYS[1])"

/** As DELETE_OF_USER, and a write in every case. */
export const DELETE_OF_USER_AND_TELL: Script = script(deleteOfUser(`${TELL} return 0`))

function deleteOfUser(whereNothingIs: string): string {
  return `
local key, user = KEYS[1], ARGV[1]
local head = redis.call('GETRANGE', key, 0, 77 + #user)
if head == '' then ${whereNothingIs} end
local expiresAt = tonumber(string.sub(head, 16, 29))
if string.sub(head, 1, 1) ~= '1' or not expiresAt then return 0 end
local ends = string.find(head, '\\0', 44, true)
if not ends or string.sub(head, ends + 1, ends + 1 + #user) ~= user .. '\\0' then return 0 end
redis.call('DEL', key)
if expiresAt <= tonumber(ARGV[2]) then return 0 end
${tellEnd(3)}
return 1`
}

/**
 * ARGV: now, channel, message. Deletes what stands under the key and answers it. By GETDEL, which a replica refuses also
 * where nothing stands: it may not have come there yet.
 */
export const DELETE: Script = script(deleteWhole(''))

/** As DELETE, and a write in every case. */
export const DELETE_AND_TELL: Script = script(deleteWhole(`if not there then ${TELL} end`))

function deleteWhole(whereNothingIs: string): string {
  return `
local there = redis.call('GETDEL', KEYS[1])
${whereNothingIs}
local expiresAt = there and tonumber(string.sub(there, 16, 29))
if expiresAt and expiresAt > tonumber(ARGV[1]) then ${tellEnd(2)} end
return there`
}

/** ARGV: channel, message. What a feed sends to itself: a key that changes, and a message. */
export const PROBE: Script = script(`
redis.call('SET', KEYS[1], '', 'PX', 5000)
return redis.pcall('PUBLISH', ARGV[1], ARGV[2])`)

/**
 * ARGV: deadline, member, what may go, keep for (ms). Writes an entry of a user's index, or moves it to a later deadline,
 * and takes a few along whose sessions are past theirs. The index lives as long as its last entry.
 */
export const ENLIST: Script = script(`
local key, keep = KEYS[1], tonumber(ARGV[4])
redis.call('ZADD', key, 'GT', ARGV[1], ARGV[2])
local past = redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. ARGV[3], 'LIMIT', 0, 100)
if #past > 0 then redis.call('ZREM', key, unpack(past)) end
if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, ARGV[4]) end
return 1`)

/** ARGV: deadline as it is stored, value, keep for (ms). Of two marks the one that expires later stays. */
export const MARK: Script = script(`
local there = redis.call('GETRANGE', KEYS[1], 0, 13)
if there ~= '' and tonumber(there) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1`)

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
