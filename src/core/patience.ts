/** Something that is waited for, for so long and no longer. */
export interface Waiting {
  /** By the clock of `performance.now()`. Set by `Patience`, as is its place there. */
  until: number
  place: number
}

/**
 * One timer for all that is waited for. A timer for each costs as much as the rest of a call to a fast store, and nearly
 * all of them are taken back: here that is a place in a list.
 */
export class Patience<T extends Waiting> {
  readonly #onLate: (one: T) => void
  readonly #waiting: T[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #firesAt: number = Number.POSITIVE_INFINITY

  constructor(onLate: (one: T) => void) {
    this.#onLate = onLate
  }

  /** `onLate(one)` is called in so many milliseconds, unless it is dropped before. Until then the process stays. */
  add(one: T, milliseconds: number): void {
    one.until = performance.now() + milliseconds
    one.place = this.#waiting.push(one) - 1
    if (one.until < this.#firesAt) this.#fireAt(one.until)
  }

  drop(one: T): void {
    if (this.#waiting[one.place] !== one) return
    const last = this.#waiting.pop() as T
    if (last !== one) {
      this.#waiting[one.place] = last
      last.place = one.place
    }
    if (this.#waiting.length === 0) this.#fireAt(Number.POSITIVE_INFINITY)
  }

  #fireAt(time: number): void {
    clearTimeout(this.#timer)
    this.#firesAt = time
    if (time === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.#fire(), Math.max(1, Math.ceil(time - performance.now())))
  }

  #fire(): void {
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    let isAnyLate = false
    for (const { until } of this.#waiting) {
      if (isOver(until, now)) isAnyLate = true
      else next = Math.min(next, until)
    }
    this.#fireAt(next)
    // After the process was busy, answers lie unread in its sockets: they are looked at before any is given up.
    if (isAnyLate) setImmediate(() => this.#giveUp(now))
  }

  #giveUp(now: number): void {
    const late = this.#waiting.filter(({ until }) => isOver(until, now))
    for (const one of late) this.drop(one)
    for (const one of late) this.#onLate(one)
  }
}

/** A timer may be early by a part of a millisecond. */
function isOver(until: number, now: number): boolean {
  return until - now < 1
}
