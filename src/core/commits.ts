import type { Budget } from './budget.js'
import type { Change, Draft } from './changes.js'
import { createEntry, createLane, type Entry, type Lane, resultOf } from './commit-queue.js'
import type { EventHub } from './events.js'
import { isPromise } from './maybe.js'
import type { Random } from './random.js'
import { encodePayload, readRecord, type StoredSession } from './record.js'
import { contention, ended, rotated, tooLarge, unknownOutcome } from './refusals.js'
import type { MaybePromise, SessionRecord, StoreKey, WriteResult } from './store.js'
import { notSent, type StoreCall } from './store-calls.js'
import { type Deadlines, deadlinesOf, type Timeouts } from './timing.js'

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

/** Room for the answer of a last try, so that contention is told from a store that does not answer. */
const LAST_ANSWER_GRACE = 50

export function createCommits(options: CommitsOptions): Commits {
  const { callStore, events, random, timeouts, maxPayloadBytes, now } = options
  const lanes = new Map<StoreKey, Lane>()

  function commit(change: Change, budget: Budget): MaybePromise<StoredSession> {
    const lane = lanes.get(change.base.id) ?? createLane(change.base.id)
    lanes.set(lane.id, lane)
    const entry = createEntry(change, budget, ++lane.count)
    lane.entries.push(entry)
    if (!lane.isBusy) drive(lane)
    if (entry.outcome !== undefined) return resultOf(entry)
    return budget.spend(
      new Promise<StoredSession>((resolve, reject) => {
        entry.timer = setTimeout(() => expire(lane, entry), budget.left())
        entry.settled = () => {
          try {
            resolve(resultOf(entry))
          } catch (error) {
            reject(error)
          }
        }
      }),
    )
  }

  /** Works until the lane is empty or an answer has to be waited for. */
  function drive(lane: Lane): void {
    lane.isBusy = true
    for (;;) {
      for (const entry of lane.entries) entry.isWaiting = false
      const step = nextStep(lane)
      if (step === undefined) break
      const { batch, send, onAnswer } = step
      const onError = (error: unknown): void => {
        lane.current = undefined
        for (const entry of batch) fail(lane, entry, error)
      }
      lane.count += 1
      const sentAt = lane.count
      let answer: MaybePromise<unknown>
      try {
        answer = send(Math.max(...batch.map((entry) => entry.budget.left())))
      } catch (error) {
        onError(error)
        continue
      }
      if (isPromise(answer)) {
        answer.then(
          (value) => {
            onAnswer(value, sentAt)
            drive(lane)
          },
          (error: unknown) => {
            onError(error)
            drive(lane)
          },
        )
        return
      }
      onAnswer(answer, sentAt)
    }
    lane.isBusy = false
    lanes.delete(lane.id)
  }

  interface Step {
    readonly batch: readonly Entry[]
    readonly send: (milliseconds: number) => MaybePromise<unknown>
    readonly onAnswer: (answer: unknown, sentAt: number) => void
  }

  function nextStep(lane: Lane): Step | undefined {
    for (const entry of lane.entries) {
      if (entry.budget.left() <= 0)
        fail(lane, entry, entry.tries > 0 ? contention() : notSent('update'))
    }
    const last = lane.entries.at(-1)
    if (last === undefined) return undefined
    lane.current ??= last.change.base
    const current = lane.current
    const draft = applyAll(lane, current)
    const batch = [...lane.entries]
    if (batch.length === 0) return nextStep(lane)
    if (draft.text === current.text && draft.meta === current.meta && draft.isEnded !== true) {
      const isProven = (entry: Entry): boolean =>
        !entry.change.needsNewest || lane.currentSentAt > entry.order
      if (!batch.every(isProven)) return checkStep(lane, batch)
      for (const entry of batch) succeed(lane, entry, current)
      return nextStep(lane)
    }
    return updateStep(lane, batch, current, draft)
  }

  /** Applies every change to the draft; one that cannot be made is refused alone. */
  function applyAll(lane: Lane, current: StoredSession): Draft {
    let draft: Draft = current
    for (const entry of [...lane.entries]) {
      const { change } = entry
      try {
        if (draft.isEnded) throw ended()
        if (change.base.meta.privilege !== draft.meta.privilege) throw rotated()
        const next = change.apply(draft)
        if (next.text !== draft.text) checkSize(next)
        draft = next
      } catch (error) {
        fail(lane, entry, error)
      }
    }
    return draft
  }

  function updateStep(
    lane: Lane,
    batch: readonly Entry[],
    current: StoredSession,
    draft: Draft,
  ): Step {
    const time = now()
    const lastSeenAt = Math.max(time, current.lastSeenAt)
    const deadlines: Deadlines =
      draft.isEnded === true
        ? { expiresAt: 0, absoluteExpiresAt: 0 }
        : deadlinesOf(draft.meta, lastSeenAt, timeouts)
    const { user } = draft.meta
    const record: SessionRecord = {
      version: random.mark(),
      payload: encodePayload(draft.meta, draft.text),
      userId: user === undefined ? undefined : String(user),
      lastSeenAt,
      ...deadlines,
    }
    lane.isChecking = false
    for (const entry of batch) entry.tries += 1
    return {
      batch,
      send: (milliseconds) =>
        callStore('update', milliseconds, (store) =>
          store.update(lane.id, record, current.version, time),
        ),
      onAnswer(value, sentAt) {
        const answer = value as WriteResult | undefined
        if (answer?.outcome === 'updated') {
          const stored: StoredSession = {
            id: lane.id,
            version: record.version,
            meta: draft.meta,
            text: draft.text,
            lastSeenAt,
            ...deadlines,
          }
          accept(lane, stored, sentAt)
          for (const entry of batch) succeed(lane, entry, stored)
        } else if (answer?.outcome === 'conflict') {
          meet(lane, batch, answer.record, sentAt)
        } else {
          meet(lane, batch, undefined, sentAt)
        }
      },
    }
  }

  /** Nothing to store, but on the word of an older answer: look once more. */
  function checkStep(lane: Lane, batch: readonly Entry[]): Step {
    lane.isChecking = true
    return {
      batch,
      send: (milliseconds) =>
        callStore('load', milliseconds, (store) => store.load(lane.id, now())),
      onAnswer: (record, sentAt) => meet(lane, batch, record as SessionRecord | undefined, sentAt),
    }
  }

  /** Goes on with the record that stands in the store, or gives up where there is none. */
  function meet(
    lane: Lane,
    batch: readonly Entry[],
    record: SessionRecord | undefined,
    sentAt: number,
  ): void {
    const stored = record === undefined ? undefined : readRecord(lane.id, record)
    if (stored === undefined || typeof stored === 'string') {
      lane.current = undefined
      for (const entry of batch) fail(lane, entry, ended())
    } else {
      accept(lane, stored, sentAt)
    }
  }

  function accept(lane: Lane, stored: StoredSession, sentAt: number): void {
    lane.current = stored
    lane.currentSentAt = sentAt
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
    entry.outcome = outcome
    clearTimeout(entry.timer)
    lane.entries = lane.entries.filter((other) => other !== entry)
    entry.settled?.()
    return true
  }

  function expire(lane: Lane, entry: Entry): void {
    if (entry.isWaiting || lane.isChecking) {
      fail(lane, entry, notSent('update'))
    } else if (entry.tries > 1) {
      entry.tries = 1
      entry.timer = setTimeout(() => expire(lane, entry), LAST_ANSWER_GRACE)
    } else {
      fail(lane, entry, unknownOutcome())
    }
  }

  function checkSize({ meta, text }: Draft): void {
    // Every UTF-16 unit is at most three bytes of UTF-8: small sessions are not counted.
    if (text.length * 3 + 1024 <= maxPayloadBytes) return
    const bytes = Buffer.byteLength(encodePayload(meta, text))
    if (bytes > maxPayloadBytes) throw tooLarge(bytes, maxPayloadBytes)
  }

  return { commit }
}
