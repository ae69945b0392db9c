import type { Budget } from './budget.js'
import type { Change, Draft } from './changes.js'
import { createLane, Entry, type Lane } from './commit-queue.js'
import type { EventHub } from './events.js'
import { isPromise } from './maybe.js'
import { Patience } from './patience.js'
import type { Random } from './random.js'
import { encodePayload, readData, readRecord, type StoredSession } from './record.js'
import { contention, ended, rotated, tooLarge, unknownOutcome } from './refusals.js'
import type { EndReason, MaybePromise, SessionRecord, WriteResult } from './store.js'
import { notSent, type StoreCall } from './store-calls.js'
import { type Deadlines, deadlinesOf, SUPERSEDED_FOR, type Timeouts } from './timing.js'
import { UnderWay } from './under-way.js'

/**
 * Brings changes to the store. Those of one session that queue up in this process are applied one after the other to
 * one record and stored as one write; each is told its own result. A conflict brings the current record with it, and
 * the same changes are applied to that, until they land or their request's budget is spent.
 */
export interface Commits {
  /** The record after the change. Rejects where the change was not, or may not have been, stored. */
  commit(change: Change, budget: Budget): MaybePromise<StoredSession>
}

export interface CommitsOptions {
  readonly callStore: StoreCall
  readonly events: EventHub
  readonly random: Random
  readonly timeouts: Timeouts
  readonly maxPayloadBytes: number
  readonly now: () => number
}

/** A store that answers at once uses up no budget: so many conflicts in a row are no contention but a broken store. */
const MOST_TRIES = 1000

/** Room for the answer of a last try, so that contention is told from a store that does not answer. */
const LAST_ANSWER_GRACE = 50

const NOBODY: readonly Entry[] = Object.freeze([])

export function createCommits(options: CommitsOptions): Commits {
  const { callStore, events, random, timeouts, maxPayloadBytes, now } = options
  const lanes = new UnderWay<Lane>()
  const patience = new Patience<Entry>(expire)

  function commit(change: Change, budget: Budget): MaybePromise<StoredSession> {
    const lane = lanes.find(change.base.id) ?? lanes.add(createLane(change.base.id))
    const entry = new Entry(lane, change, budget)
    lane.entries.push(entry)
    if (!lane.isBusy) drive(lane)
    if (entry.outcome !== undefined) return entry.result
    patience.add(entry, budget.left())
    return budget.spend(entry.later())
  }

  /** Works until the lane is empty or an answer has to be waited for. */
  function drive(lane: Lane): void {
    lane.isBusy = true
    for (;;) {
      const step = nextStep(lane)
      if (step === undefined) break
      lane.sent = step.write === undefined ? NOBODY : step.asked
      lane.count += 1
      lane.sentAt = lane.count
      let answer: MaybePromise<unknown>
      try {
        answer = send(lane, step)
      } catch (error) {
        refuse(lane, step, error)
        continue
      }
      if (isPromise(answer)) {
        answer.then(
          (value) => {
            hear(lane, step, value)
            drive(lane)
          },
          (error: unknown) => {
            refuse(lane, step, error)
            drive(lane)
          },
        )
        return
      }
      hear(lane, step, answer)
    }
    lane.isBusy = false
    lanes.remove(lane)
  }

  interface Step {
    /** Whom the answer concerns. */
    readonly asked: readonly Entry[]
    /** What is written, where the store is not only asked. */
    readonly write?: {
      readonly record: SessionRecord
      readonly stored: StoredSession
      readonly time: number
      readonly ends: EndReason | undefined
    }
  }

  function send(lane: Lane, { asked, write }: Step): MaybePromise<unknown> {
    const milliseconds = patienceOf(asked)
    if (write === undefined) {
      return callStore('load', milliseconds, (store) => store.load(lane.id, now()))
    }
    const { version } = lane.current as StoredSession
    return callStore('update', milliseconds, (store) =>
      store.update(lane.id, write.record, version, write.time, write.ends),
    )
  }

  function hear(lane: Lane, { asked, write }: Step, answer: unknown): void {
    const { outcome, record } = (answer ?? {}) as Partial<WriteResult & { record: SessionRecord }>
    if (write === undefined) {
      meet(lane, asked, answer as SessionRecord | undefined)
    } else if (outcome === 'updated') {
      accept(lane, write.stored)
      for (const entry of asked) succeed(lane, entry, write.stored)
    } else {
      meet(lane, asked, outcome === 'conflict' ? record : undefined)
    }
  }

  function refuse(lane: Lane, { asked }: Step, error: unknown): void {
    lane.current = undefined
    lane.currentSentAt = 0
    for (const entry of asked) fail(lane, entry, error)
  }

  function nextStep(lane: Lane): Step | undefined {
    for (const entry of lane.entries) {
      if (entry.budget.left() > 0 && entry.tries < MOST_TRIES) continue
      fail(lane, entry, entry.tries > 0 ? contention() : notSent('update'))
    }
    const last = lane.entries.at(-1)
    if (last === undefined) return undefined
    lane.current ??= last.change.base
    const { current } = lane
    const { draft, batch, mustCheck } = applyAll(lane, current)
    if (mustCheck) return checkStep(lane)
    if (draft !== current && !isSame(draft, current)) return updateStep(lane, batch, current, draft)
    if (!batch.every((entry) => isProven(lane, entry))) return checkStep(lane)
    for (const entry of batch) succeed(lane, entry, current)
    return nextStep(lane)
  }

  /**
   * Applies the changes to a draft, one on top of the other. One that cannot be made is refused alone, but not on the
   * word of a record that may be older than the request: that is looked at again first. A sign-in or an end lands in a
   * write of its own: what comes before must not be shown what it makes, and what comes after is judged by it.
   */
  function applyAll(
    lane: Lane,
    current: StoredSession,
  ): { draft: Draft; batch: Entry[]; mustCheck: boolean } {
    const batch: Entry[] = []
    let draft: Draft = current
    let mustCheck = false
    for (const entry of [...lane.entries]) {
      const { change } = entry
      try {
        if (change.base.meta.privilege !== current.meta.privilege) throw rotated()
        const next = change.apply(draft)
        const isTurn = next.ends !== undefined || next.meta.privilege !== current.meta.privilege
        if (isTurn && batch.length > 0) break
        if (next.text !== draft.text) checkSize(next)
        draft = next
        batch.push(entry)
        if (isTurn) break
      } catch (error) {
        if (isProven(lane, entry)) fail(lane, entry, error)
        else mustCheck = true
      }
    }
    return { draft, batch, mustCheck }
  }

  /** Whether the lane's record is an answer to a question that was asked after this change was. */
  function isProven(lane: Lane, entry: Entry): boolean {
    return lane.currentSentAt > entry.order
  }

  function updateStep(
    lane: Lane,
    batch: readonly Entry[],
    current: StoredSession,
    draft: Draft,
  ): Step {
    const time = now()
    const lastSeenAt = Math.max(time, current.lastSeenAt)
    const { expiresAt, absoluteExpiresAt }: Deadlines =
      draft.ends !== undefined
        ? { expiresAt: time + SUPERSEDED_FOR, absoluteExpiresAt: time + SUPERSEDED_FOR }
        : deadlinesOf(draft.meta, lastSeenAt, timeouts)
    const { meta, text } = draft
    const { user } = meta
    const version = random.mark()
    // Spelt out: a spread costs as much as all the rest of this (decision 030).
    const record: SessionRecord = {
      version,
      payload: encodePayload(meta, text),
      userId: user === undefined ? undefined : String(user),
      lastSeenAt,
      expiresAt,
      absoluteExpiresAt,
    }
    const stored: StoredSession = {
      id: lane.id,
      version,
      meta,
      text,
      lastSeenAt,
      expiresAt,
      absoluteExpiresAt,
    }
    for (const entry of batch) entry.tries += 1
    return { asked: batch, write: { record, stored, time, ends: draft.ends } }
  }

  /** Looks at the record once more, where an older one is not good enough to refuse or to leave things as they are. */
  function checkStep(lane: Lane): Step {
    return { asked: [...lane.entries] }
  }

  /** Goes on with the record that stands in the store, or gives up where there is none. */
  function meet(lane: Lane, batch: readonly Entry[], record: SessionRecord | undefined): void {
    const stored = record === undefined ? undefined : readRecord(lane.id, record)
    if (typeof stored !== 'object' || readData(stored) === undefined) {
      lane.current = undefined
      lane.currentSentAt = 0
      for (const entry of batch) fail(lane, entry, ended())
    } else {
      accept(lane, stored)
    }
  }

  function accept(lane: Lane, stored: StoredSession): void {
    lane.current = stored
    lane.currentSentAt = lane.sentAt
  }

  function succeed(lane: Lane, entry: Entry, stored: StoredSession): void {
    if (!settle(lane, entry, { stored })) return
    const keys = entry.change.overwritten
    if (keys !== undefined && keys.length > 0) events.emit('conflict', { id: lane.id, keys })
  }

  function fail(lane: Lane, entry: Entry, error: unknown): void {
    settle(lane, entry, { error })
  }

  function settle(lane: Lane, entry: Entry, outcome: NonNullable<Entry['outcome']>): boolean {
    if (entry.outcome !== undefined) return false
    patience.drop(entry)
    lane.entries = lane.entries.filter((other) => other !== entry)
    entry.settle(outcome)
    return true
  }

  function expire(entry: Entry): void {
    const { lane } = entry
    if (!lane.sent.includes(entry)) {
      fail(lane, entry, notSent('update'))
    } else if (entry.tries > 1) {
      entry.tries = 1
      patience.add(entry, LAST_ANSWER_GRACE)
    } else {
      fail(lane, entry, unknownOutcome())
    }
  }

  function checkSize({ meta, text }: Draft): void {
    // Every UTF-16 unit is at most three bytes of UTF-8: small sessions are not counted.
    if (text.length * 3 + 1024 <= maxPayloadBytes) return
    const bytes = Buffer.byteLength(encodePayload(meta, text))
    if (bytes > maxPayloadBytes) throw tooLarge(bytes, maxPayloadBytes, text)
  }

  return { commit }
}

/** How long to wait for an answer. After a conflict a little longer, so that the last one is still heard. */
function patienceOf(asked: readonly Entry[]): number {
  let longest = 0
  for (const { budget, tries } of asked) {
    longest = Math.max(longest, budget.left() + (tries > 1 ? LAST_ANSWER_GRACE : 0))
  }
  return longest
}

function isSame(draft: Draft, current: StoredSession): boolean {
  return draft.text === current.text && draft.meta === current.meta && draft.ends === undefined
}
