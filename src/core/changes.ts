import {
  decodeField,
  decodeForUpdate,
  encodeUpdated,
  type Fields,
  joinFields,
  saysTheSame,
  splitData,
} from './codec.js'
import type { Device, PreviousSecret, SessionMeta, StoredSession, UserId } from './record.js'
import { refuseAsync } from './refusals.js'
import type { EndReason } from './store.js'
import { SUPERSEDED_FOR } from './timing.js'

/** A session on its way to the store. */
export interface Draft {
  readonly meta: SessionMeta
  readonly text: string
  /** The session ends with this write. */
  readonly ends?: EndReason
}

/**
 * One thing that a request wants to happen to a session. A change is applied to whatever record is current, again on
 * every try, so it must not depend on how often it runs.
 */
export interface Change {
  /** The record that the request has seen. */
  readonly base: StoredSession
  /** The same draft where the change has no effect on it. Throws where it cannot be made. */
  apply(draft: Draft): Draft
  /** Keys that others changed since the base and that this change overwrote, as of the last `apply`. */
  overwritten?: readonly string[]
}

/** What a request did to its session by plain assignment, since `base`. */
export interface Pending {
  readonly base: StoredSession
  /** The encoded data as the request has it now. */
  readonly text: string
  /** A new idle timeout of its own. */
  readonly maxAge?: number | null | undefined
  readonly device?: Device | undefined
}

/** The keys that differ between two encoded sessions; `undefined` for a key that is gone. */
export function diffFields(base: Fields, present: Fields): Map<string, string | undefined> {
  const changed = new Map<string, string | undefined>()
  for (const [key, value] of present) if (base.get(key) !== value) changed.set(key, value)
  for (const key of base.keys()) if (!present.has(key)) changed.set(key, undefined)
  return changed
}

/** Plain assignments: replayed key by key where another request stored something meanwhile. */
export function writeChange(pending: Pending): Change {
  const change: Change = {
    base: pending.base,
    apply(draft) {
      const { text, overwritten } = replay(pending, draft.text)
      change.overwritten = overwritten
      const meta = withPendingMeta(draft.meta, pending)
      return text === draft.text && meta === draft.meta ? draft : { meta, text }
    },
  }
  return change
}

/** `update(fn)`: a function of the newest data. What it returned last is in `result`. */
export function updateChange<T>(
  pending: Pending,
  fn: (data: Record<string, unknown>) => T,
): Change & { result: T | undefined } {
  const change = {
    base: pending.base,
    result: undefined as T | undefined,
    overwritten: [] as readonly string[],
    apply(draft: Draft): Draft {
      const { text, overwritten } = replay(pending, draft.text)
      change.overwritten = overwritten
      const data = decodeForUpdate(text)
      const result = fn(data)
      refuseAsync(result)
      change.result = result
      const meta = withPendingMeta(draft.meta, pending)
      return { meta, text: sameText(draft.text, encodeUpdated(data)) }
    },
  }
  return change
}

/** `take(key)`: the value leaves the session with the reader, so no other reader finds it. */
export function takeChange(pending: Pending, key: string): Change & { result: unknown } {
  const change = {
    base: pending.base,
    result: undefined as unknown,
    overwritten: [] as readonly string[],
    apply(draft: Draft): Draft {
      const { text, overwritten } = replay(pending, draft.text)
      change.overwritten = overwritten
      const fields = splitData(text)
      change.result = decodeField(fields.get(key))
      const meta = withPendingMeta(draft.meta, pending)
      return { meta, text: fields.delete(key) ? joinFields(fields) : text }
    },
  }
  return change
}

/** What the core keeps of a sign-in. */
export interface SignedIn {
  readonly user: UserId
  readonly signedInAt: number
  readonly maxAge: number | null | undefined
  readonly device: Device | undefined
}

export interface SignInPlan {
  readonly signedIn: SignedIn
  readonly keep: readonly string[]
  /** Encoded. */
  readonly data: string
  readonly secretHash: string
  readonly privilege: string
}

/**
 * A sign-in on the same session: a new secret, a new privilege, and the data built anew from what is current by
 * allow-list. Never a diff: that would keep what was planted under keys this request never saw.
 */
export function signInChange(pending: Pending, plan: SignInPlan): Change {
  const { user, signedInAt, maxAge, device } = plan.signedIn
  return {
    base: pending.base,
    apply(draft) {
      const { meta } = draft
      return {
        meta: {
          secretHash: plan.secretHash,
          privilege: plan.privilege,
          createdAt: meta.createdAt,
          signedInAt,
          user,
          maxAge: maxAge === undefined ? (pending.maxAge ?? meta.maxAge) : maxAge,
          previous: retire(meta, signedInAt),
          device,
        },
        text: keepFields(replay(pending, draft.text).text, plan.keep, plan.data),
      }
    },
  }
}

export interface EndPlan {
  readonly reason: EndReason
  readonly privilege: string
  readonly now: number
  /** Is told what the last word in the session was. */
  readonly seen: (text: string) => void
}

/**
 * Ends the session if it is still the one that the request saw. What stays for a minute is a stub that nobody's secret
 * opens: it tells a late request that its cookie was replaced, so that its response does not replace the new one.
 */
export function endChange(pending: Pending, plan: EndPlan): Change {
  return {
    base: pending.base,
    apply({ meta, text }) {
      plan.seen(replay(pending, text).text)
      const { createdAt } = meta
      const previous = retire(meta, plan.now)
      const stub = { secretHash: '', privilege: plan.privilege, createdAt, previous }
      return { meta: stub, text: '{}', ends: plan.reason }
    },
  }
}

const MAX_PREVIOUS = 3

/** The secrets that a rotation leaves behind, as long as a late request may come with one. */
function retire({ secretHash, previous = [] }: SessionMeta, now: number): PreviousSecret[] {
  const recent = previous.filter(({ at }) => now - at < SUPERSEDED_FOR)
  return [{ secretHash, at: now }, ...recent].slice(0, MAX_PREVIOUS)
}

/** The kept keys of a session, and new data on top. All of them encoded. */
export function keepFields(text: string, keep: readonly string[], data: string): string {
  if (keep.length === 0) return data
  const fields: Fields = new Map()
  const current = splitData(text)
  for (const key of keep) {
    const value = current.get(key)
    if (value !== undefined) fields.set(key, value)
  }
  for (const [key, value] of splitData(data)) fields.set(key, value)
  return joinFields(fields)
}

/** Puts the changes of a request on top of `current`, key by key. */
function replay(
  pending: Pending,
  current: string,
): { text: string; overwritten: readonly string[] } {
  const { base, text } = pending
  if (text === base.text) return { text: current, overwritten: [] }
  if (current === base.text) return { text, overwritten: [] }
  const baseFields = splitData(base.text)
  const fields = splitData(current)
  const overwritten: string[] = []
  for (const [key, value] of diffFields(baseFields, splitData(text))) {
    const theirs = fields.get(key)
    if (theirs !== baseFields.get(key) && theirs !== value) overwritten.push(key)
    if (value === undefined) fields.delete(key)
    else fields.set(key, value)
  }
  return { text: sameText(current, joinFields(fields)), overwritten }
}

/** `current` itself where `text` says the same, so that another encoder's spelling is no change. */
function sameText(current: string, text: string): string {
  return saysTheSame(current, text) ? current : text
}

function withPendingMeta(meta: SessionMeta, pending: Pending): SessionMeta {
  if (pending.maxAge === undefined && pending.device === undefined) return meta
  return {
    ...meta,
    maxAge: pending.maxAge === undefined ? meta.maxAge : pending.maxAge,
    device: pending.device ?? meta.device,
  }
}
