import { decodeData, encodeData } from './codec.js'
import { isPlain, isPlainArray, MAX_DEPTH } from './plain-values.js'

/**
 * The data of a session as they were when they had `text`. Whether a request changed them is seen by comparing, which costs
 * half of encoding them; and most requests only read.
 */
export interface DataCopy {
  readonly text: string
  readonly data: CopiedData
}

/**
 * A copy of an object that nobody gets to see: its keys, and copies of their values. Where many requests read one record,
 * each is given its data from here.
 */
export interface CopiedData {
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
}

/** Stands for what is not copied: nothing is the same as it. */
const OTHER: unique symbol = Symbol('other')

/** A Date, Map or Set: it can change inside, so nothing is the same as it either. */
class Special {
  readonly make: (content: never) => object
  /** A copy of what it is made of. */
  readonly content: unknown

  constructor(make: (content: never) => object, content: unknown) {
    this.make = make
    this.content = content
  }
}

const makeDate = (time: number): Date => new Date(time)
const makeMap = (pairs: [unknown, unknown][]): Map<unknown, unknown> => new Map(pairs)
const makeSet = (items: unknown[]): Set<unknown> => new Set(items)

/** `text` is what `data` were decoded from, or encoded to. */
export function copyData(text: string, data: object): DataCopy {
  return { text, data: copyKeyed(data, 0) }
}

/** Data that the application handed over: encoded, and data of their own for a request to change as it likes. */
export interface AdoptedData {
  readonly copy: DataCopy
  readonly data: Record<string, unknown>
}

/** Throws for data that cannot be stored. */
export function adoptData(given: object): AdoptedData {
  const text = encodeData(given)
  const copy = copyData(text, given)
  const thawed = thawData(copy.data)
  if (thawed !== undefined) return { copy, data: thawed }
  const data = decodeData(text)
  return { copy: copyData(text, data), data }
}

/**
 * The copy itself where `data` are surely what it holds: they have been encoded before, so there is nothing in them
 * to refuse. Otherwise the encoder has the last word, and another copy is taken of what is different. Throws for data
 * that cannot be stored.
 */
export function renewCopy(copy: DataCopy | undefined, data: object): DataCopy {
  if (copy !== undefined && isSameKeyed(data, copy.data)) return copy
  // First: what goes round in circles is refused there, and would be copied for ever.
  const text = encodeData(data)
  return copy === undefined ? copyData(text, data) : { text, data: renewKeyed(data, copy.data) }
}

/**
 * Whether the texts of two copies surely say something different, whoever wrote the first: another plain value in the
 * same place, another number of items or of keys. `false` says nothing.
 */
export function surelyDiffer(before: DataCopy, after: DataCopy): boolean {
  return haveOtherTexts(before.data, after.data)
}

function haveOtherTexts(before: CopiedData, after: CopiedData): boolean {
  const { keys, values } = before
  // A key that holds `undefined` is not stored.
  if (keys.length !== after.keys.length) {
    return !values.includes(undefined) && !after.values.includes(undefined)
  }
  for (let at = 0; at < keys.length; at++) {
    if (keys[at] !== after.keys[at]) return false
    if (hasOtherText(values[at], after.values[at])) return true
  }
  return false
}

function hasOtherText(before: unknown, after: unknown): boolean {
  if (before === after) return false
  if (isPlainValue(before)) return isPlainValue(after) && !Object.is(before, after)
  if (!isCopy(before) || !isCopy(after) || Array.isArray(before) !== Array.isArray(after))
    return false
  if (!Array.isArray(before)) return haveOtherTexts(before as CopiedData, after as CopiedData)
  const items = after as unknown[]
  return before.length !== items.length || before.some((one, at) => hasOtherText(one, items[at]))
}

function isPlainValue(value: unknown): boolean {
  return (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    typeof value === 'number'
  )
}

function isCopy(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Special)
}

/** The data as they would be decoded. `undefined` where that is not all there. */
export function thawData(copied: CopiedData): Record<string, unknown> | undefined {
  try {
    return thawKeyed(copied)
  } catch (error) {
    if (error === OTHER) return undefined
    throw error
  }
}

function thaw(copied: unknown): unknown {
  if (typeof copied !== 'object' || copied === null) {
    if (copied === OTHER) throw OTHER
    return copied
  }
  if (Array.isArray(copied)) {
    const list = copied.slice()
    for (let at = 0; at < list.length; at++) list[at] = thaw(list[at])
    return list
  }
  if (!(copied instanceof Special)) return thawKeyed(copied as CopiedData)
  return copied.make(thaw(copied.content) as never)
}

function thawKeyed({ keys, values }: CopiedData): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (let at = 0; at < keys.length; at++) {
    const value = values[at]
    // A key that holds `undefined` is not stored.
    if (value === undefined) throw OTHER
    object[keys[at] as string] = thaw(value)
  }
  return object
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === MAX_DEPTH) return OTHER
  if (Array.isArray(value)) return copyList(value, depth + 1)
  if (isPlain(value)) return copyKeyed(value, depth + 1)
  if (value instanceof Date) return new Special(makeDate, value.getTime())
  if (value instanceof Map) return new Special(makeMap, copyList([...value], depth + 1))
  return value instanceof Set ? new Special(makeSet, copyList([...value], depth + 1)) : OTHER
}

function copyList(list: readonly unknown[], depth: number): unknown[] {
  // Not `slice`, which makes an array of the realm or class that the list is from.
  const copies: unknown[] = [...list]
  for (let at = 0; at < copies.length; at++) copies[at] = copy(copies[at], depth)
  return copies
}

function copyKeyed(object: object, depth: number): CopiedData {
  const keys = Object.keys(object)
  // The size is right, whatever stands in it so far.
  const values: unknown[] = keys.slice()
  for (let at = 0; at < keys.length; at++) values[at] = copy(object[keys[at] as never], depth)
  return { keys, values }
}

/** `copied` itself where the object is the same; otherwise a copy that shares with it what did not change. */
function renewKeyed(object: object, copied: CopiedData): CopiedData {
  const own = Object.keys(object)
  const { keys } = copied
  if (own.length !== keys.length) return copyKeyed(object, 0)
  let values: unknown[] | undefined
  for (let at = 0; at < own.length; at++) {
    const key = own[at]
    if (key !== keys[at]) return copyKeyed(object, 0)
    const value = object[key as never]
    if (isSame(value, copied.values[at])) continue
    values ??= copied.values.slice()
    values[at] = copy(value, 0)
  }
  return values === undefined ? copied : { keys, values }
}

function isSame(value: unknown, copied: unknown): boolean {
  if (typeof value !== 'object' || value === null) return Object.is(value, copied)
  if (typeof copied !== 'object' || copied === null) return false
  if (Array.isArray(copied)) return Array.isArray(value) && isSameList(value, copied)
  if (copied instanceof Special) return false
  return isPlain(value) && isSameKeyed(value, copied as CopiedData)
}

function isSameList(list: readonly unknown[], copies: readonly unknown[]): boolean {
  if (list.length !== copies.length) return false
  for (let at = 0; at < list.length; at++) if (!isSame(list[at], copies[at])) return false
  return isPlainArray(list) && Object.keys(list).length === list.length
}

/** In the same order, too. What an object inherits would be a key too many: then the encoder has the last word. */
function isSameKeyed(object: object, { keys, values }: CopiedData): boolean {
  let at = 0
  for (const key in object) {
    if (key !== keys[at] || !isSame(object[key as never], values[at])) return false
    at += 1
  }
  return at === keys.length
}
