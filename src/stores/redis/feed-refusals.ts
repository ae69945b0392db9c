import { storeError } from '../../core/errors.js'
import { isRefusal } from './refusals.js'
import { Refused, type Step } from './source.js'

/** Why there can be no feed here, with the mend; `undefined` for what goes by itself. */
export function whyNoFeed(error: unknown, channel: string): Error | undefined {
  if (!(error instanceof Refused)) return undefined
  const { step, cause } = error
  if (PASSING.some((code) => isRefusal(cause, code))) return undefined
  const isPermission = /NOPERM|can't run this command/.test(String((cause as Error).message))
  const mend = isPermission
    ? `allow this user ${PERMISSIONS[step]} and the channels ${channel} and __redis__:invalidate; docs/stores/redis.md has the rule for ACL SETUSER`
    : 'it takes Redis 6.2 or later, or Valkey, and no proxy in between that knows less than these'
  return storeError(`Redis tells this process of no change: it refused ${step}; ${mend}`, {
    cause,
    executed: 'no',
  })
}

/** A probe that was executed and not told. */
export function swallowed(milliseconds: number): Error {
  return storeError(
    `Redis tells this process of no change: one that was made as a test was not told within ${milliseconds} ms. What stands between them, such as a proxy, must let through what the server says unasked: connect to the server itself`,
    { executed: 'no' },
  )
}

const PERMISSIONS: Readonly<Record<Step, string>> = {
  'CLIENT TRACKING': '+client|id +client|tracking',
  'CLUSTER INFO': '+cluster|info',
  HELLO: '+hello +client',
  PUBLISH: '+publish',
  SUBSCRIBE: '+subscribe',
}

/** What a server says that will do its work in a while, or leave it to another. */
const PASSING = ['BUSY', 'CLUSTERDOWN', 'LOADING', 'MASTERDOWN', 'MISCONF', 'NOREPLICAS', 'OOM']
