import { isPlain, isPlainArray, MAX_DEPTH } from './plain-values.js'
import type { StoredSession } from './record.js'

/**
 * The data of a record as they were decoded. Whether a request changed them is seen by comparing, which costs half of
 * encoding them; and most requests only read.
 */
export interface Snapshot {
  readonly stored: StoredSession
  readonly data: Keyed
}

/** A copy of an object that nobody gets to see: its keys, and copies of their values. */
interface Keyed {
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
}

/** Stands for what is not copied, such as a Date: nothing is the same as it. */
const OTHER: unique symbol = Symbol('other')

export function takeSnapshot(stored: StoredSession, data: object): Snapshot {
  return { stored, data: copyKeyed(data, 0) }
}

/**
 * The text of `stored` where `data` are surely what it holds: they have been encoded before, so there is nothing in them
 * to refuse. `undefined` where the encoder must have the last word.
 */
export function textIfUnchanged(
  snapshot: Snapshot | undefined,
  stored: StoredSession | undefined,
  data: object,
): string | undefined {
  if (snapshot === undefined || snapshot.stored !== stored) return undefined
  return isSameKeyed(data, snapshot.data) ? stored.text : undefined
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === MAX_DEPTH) return OTHER
  if (Array.isArray(value)) return copyList(value, depth + 1)
  return isPlain(value) ? copyKeyed(value, depth + 1) : OTHER
}

function copyList(list: readonly unknown[], depth: number): unknown[] {
  const copies = list.slice()
  for (let at = 0; at < copies.length; at++) copies[at] = copy(copies[at], depth)
  return copies
}

function copyKeyed(object: object, depth: number): Keyed {
  const keys = Object.keys(object)
  // The size is right, whatever stands in it so far.
  const values: unknown[] = keys.slice()
  for (let at = 0; at < keys.length; at++) values[at] = copy(object[keys[at] as never], depth)
  return { keys, values }
}

function isSame(value: unknown, copied: unknown): boolean {
  if (typeof value !== 'object' || value === null) return Object.is(value, copied)
  if (typeof copied !== 'object' || copied === null) return false
  if (Array.isArray(copied)) return Array.isArray(value) && isSameList(value, copied)
  return isPlain(value) && isSameKeyed(value, copied as Keyed)
}

function isSameList(list: readonly unknown[], copies: readonly unknown[]): boolean {
  if (list.length !== copies.length) return false
  for (let at = 0; at < list.length; at++) if (!isSame(list[at], copies[at])) return false
  return isPlainArray(list) && Object.keys(list).length === list.length
}

/** In the same order, too. */
function isSameKeyed(object: object, { keys, values }: Keyed): boolean {
  const own = Object.keys(object)
  if (own.length !== keys.length) return false
  for (let at = 0; at < own.length; at++) {
    const key = own[at]
    if (key !== keys[at] || !isSame(object[key as never], values[at])) return false
  }
  return true
}
