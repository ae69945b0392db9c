import { isSessionError, storeError } from '../../core/errors.js'

/** What went wrong between the store and the engine, as one sentence with what to do about it. Hosts stand in the cause. */
export function failure(error: unknown, call: 'read' | 'write'): Error {
  if (isSessionError(error)) return error
  const code = codeOf(error)
  if (code !== undefined) {
    // These two come from any line of a script, and a script that ends early is not undone.
    const isHalfway = /^(ERR|NOPERM)$/.test(code) && /\bscript\b/i.test(messageOf(error))
    const executed = code === 'OOM' ? 'full' : isHalfway ? 'unknown' : 'no'
    return storeError(`Redis ${told(code, error)}`, { cause: error, executed })
  }
  if (/^The client is closed$/.test(messageOf(error))) return closedClient(error)
  const isUnsent = call === 'read' || UNSENT.test(messageOf(error))
  return storeError(
    `the connection to Redis failed${reasonOf(error)}${isUnsent ? '' : '; whether the change was made is unknown'}`,
    { cause: error, executed: isUnsent ? 'no' : 'unknown' },
  )
}

export function noConnection(cause: unknown): Error {
  const code = codeOf(cause)
  // The client was refused when it introduced itself, and tries again.
  if (code !== undefined) return storeError(`Redis ${told(code, cause)}`, { cause, executed: 'no' })
  return storeError(
    `there is no connection to Redis${reasonOf(cause)}; the client goes on trying. Is the server up, and its address right?`,
    { cause, executed: 'no' },
  )
}

export function closedClient(cause: unknown): Error {
  return storeError(
    'the Redis client is not open: call its connect() once at start, and close it after the last request only',
    { cause, executed: 'no' },
  )
}

export function closedStore(): Error {
  return storeError('the Redis store was closed', { executed: 'no' })
}

/** Whether the engine answered with an error (of this code): it executed nothing then. */
export function isRefusal(error: unknown, code: string | undefined = codeOf(error)): boolean {
  return code !== undefined && codeOf(error) === code
}

/** Whether the command was taken back before it was written, because its connection broke. */
export function wasTakenBack(error: unknown): boolean {
  return /^The command was aborted/.test(messageOf(error))
}

/**
 * The code that an error of the engine begins with. Redis 6 puts one that a script met inside:
 * `ERR Error running script (call to f_…): @user_script:7: -OOM command not allowed …`.
 */
function codeOf(error: unknown): string | undefined {
  const message = messageOf(error)
  const code = /^([A-Z][A-Z0-9_]+) /.exec(message)?.[1]
  if (code !== 'ERR') return code
  return /: -?([A-Z]{3,}) /.exec(message)?.[1] ?? code
}

function messageOf(error: unknown): string {
  return String((error as { message?: unknown } | undefined)?.message ?? '')
}

function told(code: string, error: unknown): string {
  if (/DB index is out of range|SELECT is not allowed/.test(messageOf(error))) {
    return 'has no database of the number that the client asks for: a server has 0 to 15 unless told otherwise, a cluster 0 only'
  }
  return REFUSALS[code] ?? 'refused a command: its answer stands in the cause'
}

/** Such as ` (ECONNREFUSED)`: never the message, which has the host in it. */
function reasonOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && /^[A-Z_]+$/.test(code) ? ` (${code})` : ''
}

/** What client libraries say of a command that they did not write to a connection, or that no node of a cluster took. */
const UNSENT =
  /^The client is (closed|offline)|^The command was aborted|^The queue is full|^Connection is closed\.$|enableOfflineQueue options is false|^Reached the max retries per request|^None of startup nodes is available|^None of the root nodes is available|^Too many Cluster redirections|^Timeout waiting for a client/

const REFUSALS: Readonly<Record<string, string>> = {
  OOM: 'has no room left (maxmemory is reached, and nothing may be evicted): raise maxmemory, or find out what else is stored there. Nothing was changed; it goes on by itself',
  READONLY:
    'is a read-only replica: connect to the primary (or through Sentinel or a cluster client, which find it)',
  WRONGTYPE:
    'keeps something else under a key of the sessions: give the sessions a prefix of their own with the option prefix',
  NOPERM:
    'does not let this user do what the sessions need: docs/stores/redis.md has the rule for ACL SETUSER',
  NOAUTH: 'asks for a password: give username and password to the client',
  WRONGPASS: 'does not accept this username and password: correct them at the client',
  MISCONF:
    'refuses writes because it cannot save to its disk: free space there, or look into its log',
  CLUSTERDOWN: 'is a cluster of which a part is down: look at CLUSTER INFO',
  MOVED:
    'is a node of a cluster, and this client knows only this node: make it with createCluster (node-redis) or new Redis.Cluster (ioredis)',
  ASK: 'is a node of a cluster, and this client knows only this node: make it with createCluster (node-redis) or new Redis.Cluster (ioredis)',
  CROSSSLOT: 'refused a command for keys of several slots: report this, it should not happen',
  LOADING: 'is loading its data after a start: wait until it is done',
  BUSY: 'is busy with a script that does not end: SCRIPT KILL ends it, if it has not written yet',
  MASTERDOWN: 'is a replica that has lost its primary: connect to the primary',
  NOREPLICAS:
    'refuses writes because too few replicas are connected (min-replicas-to-write): bring them back',
  TRYAGAIN: 'is moving this key to another node: it goes on by itself in a moment',
}
