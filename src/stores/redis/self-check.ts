import type { PingResult, StoreConcern } from '../../core/store.js'
import type { Commands } from './commands.js'
import type { Connection, Primary } from './connection.js'
import { failure, isRefusal } from './refusals.js'

/** What is wrong with the set-up is looked up again after so long, and on every new connection. */
const KEPT_FOR = 60_000
/** One server of many that does not answer must not hold up the rest. */
const PATIENCE = 400

/** `ping` of the store: whether the engine answers, its clock, and what is wrong with its set-up. */
export function createPing(
  connection: Connection,
  commands: Commands,
  prefix: string,
): () => Promise<PingResult> {
  /** What was found out last, or is being found out. */
  let last: Look | undefined

  const anywhere: Primary['send'] = (command) => connection.send(prefix, command)

  async function look(primaries: readonly Primary[]): Promise<StoreConcern[]> {
    const questions = [permission(connection, prefix), ...primaries.map(setUp)]
    const found = await Promise.all(questions.map((question) => within(PATIENCE, question)))
    // The primaries of a cluster are set up alike, as a rule.
    return found.flat().filter(({ message }, index, all) => isFirst(message, index, all))
  }

  return async function ping() {
    await commands.connected()
    // A cluster client may connect to a node when it has a command for it: then one is made to.
    const known = connection.primaries()
    const primaries = known.length > 0 ? known : [{ id: '', send: anywhere }]
    const now = await firstClock(primaries)
    const ids = primaries.map(({ id }) => id).join()
    if (last?.ids !== ids || performance.now() - last.at > KEPT_FOR) {
      last = { ids, at: performance.now(), found: look(primaries) }
    }
    const concerns = await last.found
    return now === undefined ? { concerns } : { now, concerns }
  }
}

interface Look {
  /** On which connections. */
  readonly ids: string
  readonly at: number
  readonly found: Promise<StoreConcern[]>
}

/** Of a cluster one primary is enough: calls to the others succeed, whatever became of some. */
async function firstClock(primaries: readonly Primary[]): Promise<number | undefined> {
  try {
    return await Promise.any(primaries.map(clockOf))
  } catch (error) {
    throw failure((error as AggregateError).errors[0], 'read')
  }
}

async function clockOf({ send }: Primary): Promise<number | undefined> {
  try {
    const [seconds, microseconds] = (await send(['time'])) as [unknown, unknown]
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
  } catch (error) {
    if (isRefusal(error, 'NOPERM')) return undefined
    throw error
  }
}

/** What INFO tells of one server, if this user may ask. */
async function setUp({ send }: Primary): Promise<StoreConcern[]> {
  const text = await send(['info']).catch(() => '')
  const info = new Map<string, string>()
  for (const [, name, value] of String(text).matchAll(/^(\w+):(.*?)\r?$/gm)) {
    info.set(name as string, value as string)
  }
  const concerns: StoreConcern[] = []
  const version = info.get('redis_version') ?? '99'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2)) {
    concerns.push({
      code: 'WARN_SESSION_STORE_VERSION',
      message: `Redis ${version} is too old for sessions (no GETDEL, no ZADD GT): update it to 6.2 or later`,
    })
  }
  if (info.get('role') === 'slave') {
    concerns.push({
      code: 'WARN_SESSION_READ_ONLY',
      message:
        'Redis is a read-only replica, so no session can be stored: connect to its primary, or through Sentinel or a cluster client, which find it',
    })
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction' && info.get('maxmemory') !== '0') {
    concerns.push({
      code: 'WARN_SESSION_EVICTION',
      message: `maxmemory-policy of Redis is ${policy}, so it drops sessions that are alive when its memory is full: set it to noeviction, or give sessions a server of their own`,
    })
  }
  if (info.get('aof_enabled') === '0' && (await hasNoSavePoints(send))) {
    concerns.push({
      code: 'WARN_SESSION_NO_PERSISTENCE',
      message:
        'Redis keeps nothing on disk (appendonly no, no save points), so a restart ends every session: set appendonly yes, if that matters',
    })
  }
  return concerns
}

/** INFO does not tell, and services that run Redis for others often do not let anyone ask. */
async function hasNoSavePoints(send: Primary['send']): Promise<boolean> {
  const answer = await send(['config', 'get', 'save']).catch(() => undefined)
  // A list of names and values by RESP2, a map by RESP3.
  const save = Array.isArray(answer) ? answer[1] : (answer as { save?: unknown } | undefined)?.save
  return save === ''
}

/** Tries each command that the store and its scripts use, on a key that is not there, in a way that makes none. */
async function permission(connection: Connection, prefix: string): Promise<StoreConcern[]> {
  const key = `${prefix}check`
  const denied: string[] = []
  let isKeyDenied = false
  await Promise.all(
    COMMANDS.map(([name = '', ...args]) =>
      connection
        .send(key, [name, ...args.map((arg) => (arg === KEY ? key : arg))])
        .catch((error: unknown) => {
          if (!isRefusal(error, 'NOPERM')) return
          if (/\bkeys?\b/.test((error as Error).message)) isKeyDenied = true
          else denied.push(name)
        }),
    ),
  )
  if (denied.length === 0 && !isKeyDenied) return []
  const what = [
    ...(denied.length > 0 ? [`run ${denied.join(', ')}`] : []),
    ...(isKeyDenied ? [`use keys that begin with ${prefix}`] : []),
  ]
  return [
    {
      code: 'WARN_SESSION_PERMISSION',
      message: `this user of Redis may not ${what.join(' nor ')}, so sessions cannot be kept: docs/stores/redis.md has the rule for ACL SETUSER`,
    },
  ]
}

const KEY = 'KEY'

const COMMANDS: readonly (readonly string[])[] = [
  ['get', KEY],
  ['getdel', KEY],
  ['getrange', KEY, '0', '0'],
  ['strlen', KEY],
  ['set', KEY, '', 'XX', 'PX', '1'],
  ['setrange', KEY, '0', ''],
  ['pexpire', KEY, '1'],
  ['pttl', KEY],
  ['del', KEY],
  ['zadd', KEY, 'XX', '0', 'x'],
  ['zrangebyscore', KEY, '0', '0', 'LIMIT', '0', '1'],
  ['zrem', KEY, 'x'],
  ['zscan', KEY, '0'],
  ['eval', 'return 1', '1', KEY],
  ['evalsha', '0'.repeat(40), '1', KEY],
]

function within(milliseconds: number, answer: Promise<StoreConcern[]>): Promise<StoreConcern[]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds, [])
    answer.then((concerns) => {
      clearTimeout(timer)
      resolve(concerns)
    }, reject)
  })
}

function isFirst(message: string, index: number, all: readonly StoreConcern[]): boolean {
  return all.findIndex((other) => other.message === message) === index
}
