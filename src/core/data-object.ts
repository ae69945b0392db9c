import { decodeData, decodeField, encodeFields, splitData } from './codec.js'
import { RESERVED_KEYS } from './reserved-keys.js'

/** Gives an object other data; the object stays the same. */
export function replaceData(object: object, data: Record<string, unknown>): void {
  const present = object as Record<string, unknown>
  for (const key of Object.keys(present)) delete present[key]
  for (const key of Object.keys(data)) if (!RESERVED_KEYS.has(key)) present[key] = data[key]
}

export interface Rebasing {
  readonly sent: string
  readonly fresh: string
  /** What `fresh` says, where that is known; to be used once. */
  readonly decoded: Record<string, unknown> | undefined
}

/**
 * Brings an object up to `fresh`. What the application changed since `sent` was encoded stays, as a change on top of
 * it; values that nobody else changed keep their identity, so references into the session stay good. Answers the fresh
 * data where nothing else stands in it.
 */
export function rebaseData(
  object: object,
  { sent, fresh, decoded }: Rebasing,
): Record<string, unknown> | undefined {
  const present = object as Record<string, unknown>
  if (sent === '{}' && Object.keys(present).length === 0) {
    const data = decoded ?? decodeData(fresh)
    replaceData(present, data)
    return data
  }
  const presentFields = encodeFields(present)
  const sentFields = splitData(sent)
  const freshFields = splitData(fresh)
  for (const key of new Set([...presentFields.keys(), ...freshFields.keys()])) {
    const value = freshFields.get(key)
    const isOurs = presentFields.get(key) !== sentFields.get(key)
    if (isOurs || value === presentFields.get(key) || RESERVED_KEYS.has(key)) continue
    if (value === undefined) delete present[key]
    else present[key] = decodeField(value)
  }
  return undefined
}
