import { createHash } from 'node:crypto'
import type { EndReason, StoreEvent, StoreKey } from '../../core/store.js'

/**
 * What a statement says of its own change, in its RETURNING clause: PostgreSQL delivers it when the change is committed,
 * and never where it was undone. `c <key> <version>` is a record that was stored, `e <key> [<reason>]` an end.
 */
export function tellSwap(channel: string, key: string, version: string, ends: string): string {
  return `pg_notify(${channel}::text, coalesce('e ' || ${key} || ' ' || ${ends}, 'c ' || ${key} || ' ' || ${version}))`
}

export function tellEnd(channel: string, key: string, reason: string): string {
  return `pg_notify(${channel}::text, 'e ' || ${key} || coalesce(' ' || ${reason}, ''))`
}

/** What a listening connection says of itself, through another one, to prove that it hears: `n <nonce>`. */
export function proofOf(nonce: string): string {
  return `n ${nonce}`
}

/** The event that a message tells of; `undefined` for a proof. What nobody knows may be anything: a `reset`. */
export function toEvent(message: string): StoreEvent | undefined {
  const [kind, key, last] = message.split(' ') as [string, StoreKey | undefined, string | undefined]
  if (kind === 'n') return undefined
  if (key === undefined) return { type: 'reset' }
  if (kind === 'c') return { type: 'changed', key, version: last }
  if (kind === 'e') return { type: 'ended', key, reason: last as EndReason | undefined }
  return { type: 'reset' }
}

/** The channel of a table: processes that share the table share it, however they found the schema. At most 63 bytes. */
export function channelOf(schema: string, table: string): string {
  const name = `staykept ${schema}.${table}`
  if (Buffer.byteLength(name) <= 63) return name
  return `staykept ${createHash('sha256').update(name).digest('hex').slice(0, 32)}`
}
