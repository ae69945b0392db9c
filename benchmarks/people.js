/** Who sends the requests of a workload. */
import { asker, check, checkEndAll, checkHit, signedIn } from './checks.js'
import { NO_SESSION, openVariant } from './variants.js'
import { dataOf, forged, LARGE_DATA, workloads } from './workloads.js'

const USERS = 500
const LARGE_USERS = 100

/** Opens a variant and, once it has passed the checks, signs everybody in. */
export async function openWithPeople(name, folder) {
  const variant = await openVariant(name, folder)
  const hasSession = name !== NO_SESSION
  if (hasSession) await check(variant)
  if (hasSession && process.env.BENCH_END_ALL) await checkEndAll(variant)
  const ask = asker(variant.middleware)
  const many = async (count, data) => {
    const cookies = []
    while (cookies.length < count) {
      // Nobody signs in without a session layer, but a browser sends some cookie all the same.
      cookies.push(hasSession ? await signedIn(ask, variant.signIn, data) : `sid=${'x'.repeat(89)}`)
    }
    return cookies
  }
  const users = await many(USERS)
  if (variant.isAlive !== undefined) {
    await variant.isAlive
    await checkHit(variant, users[0])
  }
  const cookies = {
    user: users,
    'large user': await many(LARGE_USERS, LARGE_DATA),
    forger: users.map(forged),
    stranger: [undefined],
  }
  return {
    ...variant,
    cookies,
    /** Runs the handler of a workload. `reply` sends a text. */
    handle(workload, req, reply) {
      const { handle, visitor } = workloads[workload]
      if (!hasSession) req.session = dataOf(visitor)
      handle(req, reply, variant)
    },
  }
}
