import type { Random } from './random.js'

/**
 * The marks that `revokeByUser` leaves, so that it also ends sign-ins that were under way: a request that began before
 * the mark was made may have checked a password that does not hold any more.
 *
 * A mark is `<time>.<random>.<session ids that were excepted>`. Its time is that of the process that revoked, by the
 * store's clock where that is known; marks of this very process are compared by their order instead, to the letter.
 */
export interface Revocations {
  /** The place of a request in the order of this process. */
  nextOrder(): number
  issue(now: number, except: readonly string[]): string
  /** Whether `mark` ends a sign-in of `visit`. */
  applies(mark: string, visit: { openedAt: number; order: number; id: string }): boolean
}

const REMEMBERED = 1000

export function createRevocations(random: Random): Revocations {
  const issued = new Map<string, number>()
  let order = 0

  return {
    nextOrder() {
      order += 1
      return order
    },
    issue(now, except) {
      const mark = `${now}.${random.mark()}.${except.join('.')}`
      order += 1
      issued.set(mark, order)
      if (issued.size > REMEMBERED) issued.delete(issued.keys().next().value as string)
      return mark
    },
    applies(mark, visit) {
      const [time, , ...except] = mark.split('.')
      if (except.includes(visit.id)) return false
      const issuedAt = issued.get(mark)
      return issuedAt === undefined ? Number(time) >= visit.openedAt : issuedAt > visit.order
    },
  }
}
