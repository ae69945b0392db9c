import { isSessionError } from './errors.js'
import { WatchedPromise } from './watched-promise.js'

interface Failure {
  readonly promise: WatchedPromise<unknown>
  readonly error: unknown
}

/** The methods of a session that one request called: run in the order of the calls, and none forgotten. */
export class Operations {
  #failures: Failure[] = []
  #tail: PromiseLike<void> | undefined

  /** Resolves when what was asked for so far is done; `undefined` where nothing is under way. */
  get running(): PromiseLike<void> | undefined {
    return this.#tail
  }

  /** A failure that nobody looked at, because the call was not awaited. */
  get unheard(): Failure | undefined {
    return this.#failures.find(({ promise }) => !promise.isWatched)
  }

  /** Whether something failed because of the store. */
  get hasLostStore(): boolean {
    return this.#failures.some(({ error }) => isSessionError(error) && error.status === 503)
  }

  /** Whether anything failed so far, heard of or not. */
  get hasFailed(): boolean {
    return this.#failures.length > 0
  }

  /** What is called from now on runs after `other`. */
  waitFor(other: PromiseLike<unknown>): void {
    this.#follow(other, ignore, ignore)
  }

  run<T>(operation: () => Promise<T>): Promise<T> {
    const started = this.#tail === undefined ? operation() : this.#tail.then(operation)
    const promise = new WatchedPromise<T>((resolve, reject) => {
      this.#follow(started, resolve, (error) => {
        this.#failures.push({ promise, error })
        promise.forgive()
        reject(error)
      })
    })
    return promise
  }

  /** Is done before anyone hears of `other` by `tell` or `fail`: who awaited that finds nothing under way any more. */
  #follow<T>(
    other: PromiseLike<T>,
    tell: (value: T) => void,
    fail: (error: unknown) => void,
  ): void {
    const leave = (): void => {
      if (this.#tail === tail) this.#tail = undefined
    }
    const tail: PromiseLike<void> = other.then(
      (value) => {
        leave()
        tell(value)
      },
      (error: unknown) => {
        leave()
        fail(error)
      },
    )
    this.#tail = tail
  }
}

function ignore(): void {}

/** Those of a request that called nothing. Not to be run. */
export const NO_OPERATIONS: Operations = new Operations()
