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

  /** Counts the time until `answer` settles against the budget, and answers it unchanged. */
  spend<T>(answer: PromiseLike<T>): PromiseLike<T> {
    this.#settle()
    this.#waiting += 1
    const done = (): void => {
      this.#settle()
      this.#waiting -= 1
    }
    answer.then(done, done)
    return answer
  }

  /** Waits for something that is worth nothing by itself: as long as the budget lasts, whatever becomes of it. */
  waitFor(answer: PromiseLike<unknown>): PromiseLike<void> {
    const goOn = (): void => {}
    const late = (): Error => new Error('not in time')
    return this.spend(within(this.left(), answer, late).then(goOn, goOn))
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
