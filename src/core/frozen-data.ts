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

const MAP_MUTATORS = ['set', 'delete', 'clear']
const SET_MUTATORS = ['add', 'delete', 'clear']
const DATE_MUTATORS = Object.getOwnPropertyNames(Date.prototype).filter((name) =>
  name.startsWith('set'),
)
const NONE: readonly string[] = []

function mutatorsOf(value: object): readonly string[] {
  if (value instanceof Date) return DATE_MUTATORS
  if (value instanceof Map) return MAP_MUTATORS
  return value instanceof Set ? SET_MUTATORS : NONE
}
