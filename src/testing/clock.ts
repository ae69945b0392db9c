/** A clock for the `clock` option of `session()` that moves only when it is told to. */
export interface MovableClock {
  /** The time it shows, in milliseconds since 1970. */
  now(): number
  /** Moves it on by so many milliseconds, or back by a negative number, and answers the new time. */
  advance(milliseconds: number): number
  /** Sets it to a time in milliseconds since 1970. */
  set(milliseconds: number): void
}

/**
 * A clock that stands still until it is moved. Starts at `start`, by default at the present.
 *
 * ```ts
 * const clock = movableClock()
 * app.use(session({ secret, clock }))
 * clock.advance(30 * 60_000)            // half an hour later
 * ```
 */
export function movableClock(start: number = Date.now()): MovableClock {
  let time = checked(start)

  function advance(milliseconds: number): number {
    time = checked(time + checked(milliseconds))
    return time
  }

  function set(milliseconds: number): void {
    time = checked(milliseconds)
  }

  return { now: () => time, advance, set }
}

function checked(milliseconds: number): number {
  if (Number.isFinite(milliseconds)) return milliseconds
  throw new TypeError(
    `A clock counts milliseconds: give a finite number, not ${String(milliseconds)}. For a Date, give date.getTime().`,
  )
}
