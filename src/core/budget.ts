/**
 * How long one request may wait for the store, in milliseconds. Waiting uses it up; time spent elsewhere gives it back,
 * so that a request of many steps stays bounded and a long-lived one (a stream, a socket) is not starved.
 */
export interface Budget {
  left(): number
  /** Counts the time until `answer` settles against the budget, and answers it unchanged. */
  spend<T>(answer: PromiseLike<T>): PromiseLike<T>
}

export function createBudget(total: number): Budget {
  let spent = 0
  let waiting = 0
  let since = performance.now()

  function settle(): void {
    const now = performance.now()
    spent = waiting > 0 ? spent + (now - since) : Math.max(0, spent - (now - since))
    since = now
  }

  function done(): void {
    settle()
    waiting -= 1
  }

  return {
    left() {
      settle()
      return Math.max(0, total - spent)
    },
    spend(answer) {
      settle()
      waiting += 1
      answer.then(done, done)
      return answer
    },
  }
}

/** Rejects with `late()` where `answer` takes longer than `milliseconds`; a late answer goes nowhere. */
export function within<T>(
  milliseconds: number,
  answer: PromiseLike<T>,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), milliseconds)
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
