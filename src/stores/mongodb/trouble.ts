import { isSessionError, storeError } from '../../core/errors.js'

/**
 * What the driver or the server said, as one sentence with what to do about it. Anything else is returned as it is.
 *
 * With `mayResend` the error can be that of a second attempt, and hide that the first one was executed: what is told of
 * a server that was never reached is certain only without it. What a server says when it executes is certain in both
 * cases, since it knows an attempt by its number and answers the second as the first.
 */
export function explain(error: unknown, place: string, mayResend: boolean): unknown {
  if (isSessionError(error)) return error
  const trouble = troubleOf(error)
  if (trouble === undefined) return error
  const [sentence, executed] = trouble
  return storeError(`${place} ${sentence}`, {
    cause: error,
    executed: executed === 'not reached' ? (mayResend ? 'unknown' : 'no') : executed,
  })
}

/** Whether a document with this id is there already. */
export function isDuplicate(error: unknown): boolean {
  return Number((error as { code?: unknown } | null)?.code) === 11000
}

type Trouble = readonly [sentence: string, executed: 'no' | 'unknown' | 'full' | 'not reached']

function troubleOf(error: unknown): Trouble | undefined {
  const { name, code, message } = (error ?? {}) as Partial<Record<string, unknown>>
  const told = BY_NAME[String(name)] ?? BY_CODE[String(code)]
  if (told !== undefined) return told
  return /space quota/.test(String(message)) ? BY_CODE[OUT_OF_DISK_SPACE] : undefined
}

const CLOSED = 'cannot be used: its MongoClient was closed. Close the client after sessions.close()'
const LOST: Trouble = ['lost its connection. It goes on by itself', 'unknown']
const NOT_PRIMARY: Trouble = [
  'has no primary at the moment: it goes on when the replica set has elected one. If it lasts, connect to the replica set and not to one member',
  'not reached',
]

const BY_NAME: Readonly<Record<string, Trouble>> = {
  // Thrown before anything is sent.
  MongoNotConnectedError: [CLOSED, 'no'],
  MongoClientClosedError: [CLOSED, 'unknown'],
  MongoTopologyClosedError: [CLOSED, 'unknown'],
  MongoServerClosedError: [CLOSED, 'unknown'],
  MongoServerSelectionError: [
    'cannot be reached: look whether MongoDB runs, and whether the URL of the client names it. It goes on by itself',
    'not reached',
  ],
  MongoWaitQueueTimeoutError: [
    'was given no connection in time: all of the pool are in use. Raise maxPoolSize of the client',
    'not reached',
  ],
  MongoPoolClosedError: [CLOSED, 'not reached'],
  // Also what is under way when the monitor of the driver finds the server silent.
  PoolClearedOnNetworkError: ['does not answer any more. It goes on by itself', 'unknown'],
  MongoPoolClearedError: ['lost its connections. It goes on by itself', 'not reached'],
  MongoNetworkError: LOST,
  MongoNetworkTimeoutError: ['did not answer within socketTimeoutMS of the client', 'unknown'],
  MongoWriteConcernError: [
    'has a change that the majority of the replica set did not confirm: look at its members with rs.status()',
    'unknown',
  ],
}

const OUT_OF_DISK_SPACE = 14031

/** Numbers: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
const BY_CODE: Readonly<Record<string, Trouble>> = {
  // Of Node: the driver does not wrap what a socket says that the other end has closed just now.
  EPIPE: LOST,
  ECONNRESET: LOST,
  13: [
    'may not be used by the user of this connection: grant the role readWrite on its database',
    'no',
  ],
  18: ['refused the credentials of this connection: look at user, password and authSource', 'no'],
  [OUT_OF_DISK_SPACE]: ['has no room left: free space on its disk. Nothing was changed', 'full'],
  10107: NOT_PRIMARY,
  13435: NOT_PRIMARY,
  13436: NOT_PRIMARY,
}
