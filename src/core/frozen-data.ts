/**
 * Freezes decoded session data all the way down. Dates, Maps and Sets keep what they hold where `Object.freeze` does not
 * reach, so what would change them throws instead.
 */
export function freezeData<T extends object>(data: T): T {
  // No recursion: a foreign hand may have nested them deeper than the stack goes.
  const waiting: unknown[] = [data]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (typeof value !== 'object' || value === null) continue
    if (value instanceof Map) waiting.push(...value.keys(), ...value.values())
    else if (value instanceof Set) waiting.push(...value)
    else waiting.push(...Object.values(value))
    for (const name of mutatorsOf(value)) Object.defineProperty(value, name, REFUSAL)
    Object.freeze(value)
  }
  return data
}

const REFUSAL: PropertyDescriptor = {
  value() {
    throw new TypeError(
      'a snapshot of a session cannot be changed; assign to req.session, or use req.session.update()',
    )
  },
}

/** Those that only read are named: a later release of JavaScript may bring more of the others, as `getOrInsert`. */
const MAP_READERS = ['constructor', 'size', 'get', 'has', 'forEach', 'keys', 'values', 'entries']
const SET_READERS = [
  ...['constructor', 'size', 'has', 'forEach', 'keys', 'values', 'entries'],
  ...['union', 'intersection', 'difference', 'symmetricDifference'],
  ...['isSubsetOf', 'isSupersetOf', 'isDisjointFrom'],
]
const MAP_MUTATORS = namesOf(Map).filter((name) => !MAP_READERS.includes(name))
const SET_MUTATORS = namesOf(Set).filter((name) => !SET_READERS.includes(name))
const DATE_MUTATORS = namesOf(Date).filter((name) => name.startsWith('set'))
const NONE: readonly string[] = []

function mutatorsOf(value: object): readonly string[] {
  if (value instanceof Date) return DATE_MUTATORS
  if (value instanceof Map) return MAP_MUTATORS
  return value instanceof Set ? SET_MUTATORS : NONE
}

function namesOf({ prototype }: { readonly prototype: object }): readonly string[] {
  return Object.getOwnPropertyNames(prototype)
}
