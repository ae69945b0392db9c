/**
 * How long one request may wait for the store, in milliseconds. Waiting uses it up; time spent elsewhere gives it back,
 * so that a request of many steps stays bounded and a long-lived one (a stream, a socket) is not starved.
 */
export class Budget {
  readonly #total: number
  #spent = 0
  #waiting = 0
  #since: number | undefined

  constructor(total: number) {
    this.#total = total
  }

  left(): number {
    // Nothing was waited for yet: a synchronous store never asks the clock.
    if (this.#since !== undefined) this.#settle()
    return Math.max(0, this.#total - this.#spent)
  }

  /** Counts the time until `answer` settles against the budget; then it is what the two make of it, as in `then`. */
  spend<T, U = T>(
    answer: PromiseLike<T>,
    next?: (value: T) => U | PromiseLike<U>,
    fail?: (error: unknown) => U | PromiseLike<U>,
  ): PromiseLike<U> {
    this.#settle()
    this.#waiting += 1
    return answer.then(
      (value) => {
        this.#stopWaiting()
        return next === undefined ? (value as unknown as U) : next(value)
      },
      (error: unknown) => {
        this.#stopWaiting()
        if (fail === undefined) throw error
        return fail(error)
      },
    )
  }

  /** Waits for something that is worth nothing by itself: as long as the budget lasts, whatever becomes of it. */
  waitFor(answer: PromiseLike<unknown>): PromiseLike<void> {
    const goOn = (): void => {}
    const late = (): Error => new Error('not in time')
    return this.spend(within(this.left(), answer, late), goOn, goOn)
  }

  #stopWaiting(): void {
    this.#settle()
    this.#waiting -= 1
  }

  #settle(): void {
    const now = performance.now()
    const passed = now - (this.#since ?? now)
    this.#spent = this.#waiting > 0 ? this.#spent + passed : Math.max(0, this.#spent - passed)
    this.#since = now
  }
}

/**
 * Rejects with `late()` where `answer` takes longer than `milliseconds`; a late answer goes nowhere. After the process
 * was busy, what lies unread in its sockets is looked at first.
 */
export function within<T>(
  milliseconds: number,
  answer: PromiseLike<T>,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(late())), milliseconds)
    answer.then(
      (value: T) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
