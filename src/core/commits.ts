import type { Budget } from './budget.js'
import type { Change, Draft } from './changes.js'
import { createEntry, createLane, type Entry, type Lane, resultOf } from './commit-queue.js'
import type { EventHub } from './events.js'
import { isPromise } from './maybe.js'
import type { Random } from './random.js'
import { encodePayload, readData, readRecord, type StoredSession } from './record.js'
import { contention, ended, rotated, tooLarge, unknownOutcome } from './refusals.js'
import type { MaybePromise, SessionRecord, WriteResult } from './store.js'
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

export function createCommits(options: CommitsOptions): Commits {
  const { callStore, events, random, timeouts, maxPayloadBytes, now } = options
  const lanes = new UnderWay<Lane>()

  function commit(change: Change, budget: Budget): MaybePromise<StoredSession> {
    const lane = lanes.find(change.base.id) ?? lanes.add(createLane(change.base.id))
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
      const step = nextStep(lane)
      if (step === undefined) break
      const { asked, send, onAnswer } = step
      const onError = (error: unknown): void => {
        lane.current = undefined
        lane.currentSentAt = 0
        for (const entry of asked) fail(lane, entry, error)
      }
      lane.sent = step.sent
      lane.count += 1
      const sentAt = lane.count
      let answer: MaybePromise<unknown>
      try {
        answer = send(Math.max(...asked.map(patienceOf)))
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
    lanes.remove(lane)
  }

  interface Step {
    /** Whom the answer concerns. */
    readonly asked: readonly Entry[]
    /** Whose change travels with it, and may have been stored though no answer comes. */
    readonly sent: readonly Entry[]
    readonly send: (milliseconds: number) => MaybePromise<unknown>
    readonly onAnswer: (answer: unknown, sentAt: number) => void
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
    const deadlines: Deadlines =
      draft.ends !== undefined
        ? { expiresAt: time + SUPERSEDED_FOR, absoluteExpiresAt: time + SUPERSEDED_FOR }
        : deadlinesOf(draft.meta, lastSeenAt, timeouts)
    const { user } = draft.meta
    const record: SessionRecord = {
      version: random.mark(),
      payload: encodePayload(draft.meta, draft.text),
      userId: user === undefined ? undefined : String(user),
      lastSeenAt,
      ...deadlines,
    }
    for (const entry of batch) entry.tries += 1
    return {
      asked: batch,
      sent: batch,
      send: (milliseconds) =>
        callStore('update', milliseconds, (store) =>
          store.update(lane.id, record, current.version, time, draft.ends),
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

  /** Looks at the record once more, where an older one is not good enough to refuse or to leave things as they are. */
  function checkStep(lane: Lane): Step {
    const asked = [...lane.entries]
    return {
      asked,
      sent: [],
      send: (milliseconds) =>
        callStore('load', milliseconds, (store) => store.load(lane.id, now())),
      onAnswer: (record, sentAt) => meet(lane, asked, record as SessionRecord | undefined, sentAt),
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
    if (typeof stored !== 'object' || readData(stored) === undefined) {
      lane.current = undefined
      lane.currentSentAt = 0
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
    if (!lane.sent.includes(entry)) {
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
    if (bytes > maxPayloadBytes) throw tooLarge(bytes, maxPayloadBytes, text)
  }

  return { commit }
}

/** How long to wait for an answer. After a conflict a little longer, so that the last one is still heard. */
function patienceOf({ budget, tries }: Entry): number {
  return budget.left() + (tries > 1 ? LAST_ANSWER_GRACE : 0)
}

function isSame(draft: Draft, current: StoredSession): boolean {
  return draft.text === current.text && draft.meta === current.meta && draft.ends === undefined
}
