import type { StoreKey } from '../../core/store.js'

export interface Change {
  readonly key: StoreKey
  readonly payload: Buffer
}

export interface TogetherOptions<One extends Change, Result> {
  alone(one: One): Promise<Result>
  /** All in one statement: the answers in their order, or `undefined` where none was executed and each has to go alone. */
  together(all: readonly One[]): Promise<readonly Result[] | undefined>
}

/** More would make a statement long, and hold up many for one that does not fit. */
const MOST = 16
const MOST_BYTES = 256 * 1024

/**
 * Changes of different records that come in the same turn of the event loop go out together, two, four, eight or sixteen
 * in a statement: of what a small change costs, the most is the trip. So few statements have to be prepared.
 */
export function createTogether<One extends Change, Result>(
  options: TogetherOptions<One, Result>,
): (one: One) => Promise<Result> {
  const waiting: Waiting<One, Result>[] = []

  function send(): void {
    for (const group of grouped(waiting.splice(0))) {
      if (group.length === 1) alone(group[0] as Waiting<One, Result>)
      else void together(group)
    }
  }

  function alone({ one, resolve, reject }: Waiting<One, Result>): void {
    options.alone(one).then(resolve, reject)
  }

  async function together(group: readonly Waiting<One, Result>[]): Promise<void> {
    try {
      const results = await options.together(group.map(({ one }) => one))
      if (results === undefined) group.forEach(alone)
      else for (const [index, { resolve }] of group.entries()) resolve(results[index] as Result)
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  return function change(one) {
    return new Promise((resolve, reject) => {
      // After the sockets that have something to read were read: their requests come along.
      if (waiting.length === 0) setImmediate(send)
      waiting.push({ one, resolve, reject })
    })
  }
}

interface Waiting<One, Result> {
  readonly one: One
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** No key twice in a group: the first of two would decide for both. */
function grouped<One extends Change, Result>(
  all: readonly Waiting<One, Result>[],
): readonly (readonly Waiting<One, Result>[])[] {
  const groups: { members: Waiting<One, Result>[]; keys: Set<StoreKey>; bytes: number }[] = []
  for (const waiting of all) {
    const { key, payload } = waiting.one
    let group = groups.find(
      ({ members, keys, bytes }) =>
        members.length < MOST && !keys.has(key) && bytes + payload.length <= MOST_BYTES,
    )
    if (group === undefined) {
      group = { members: [], keys: new Set(), bytes: 0 }
      groups.push(group)
    }
    group.members.push(waiting)
    group.keys.add(key)
    group.bytes += payload.length
  }
  return groups.flatMap(({ members }) => inPowersOfTwo(members))
}

function inPowersOfTwo<T>(members: readonly T[]): readonly (readonly T[])[] {
  const parts: T[][] = []
  for (let from = 0; from < members.length; from += parts.at(-1)?.length ?? 0) {
    const size = 2 ** Math.floor(Math.log2(members.length - from))
    parts.push(members.slice(from, from + size))
  }
  return parts
}
