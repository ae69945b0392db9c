/**
 * A promise that knows whether anyone listens. `req.session.signIn(…)` without `await` must not crash the process when
 * it fails, and its failure must not get lost either: the response is then told instead.
 */
export class WatchedPromise<T> extends Promise<T> {
  isWatched: boolean = false

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // biome-ignore lint/suspicious/noThenProperty: this is a promise
  override then<Result = T, Failure = never>(
    onFulfilled?: ((value: T) => Result | PromiseLike<Result>) | null,
    onRejected?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    this.isWatched = true
    return super.then(onFulfilled, onRejected)
  }

  /** Its failure is no unhandled rejection, though nobody listens. */
  forgive(): void {
    super.then(undefined, () => {})
  }
}
