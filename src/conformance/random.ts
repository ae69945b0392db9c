/** Seeded randomness, so that a failure can be played again. Not for secrets. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** A whole number in [0, below). */
  below(below: number): number
  /** One of `choices`. */
  pick<T>(choices: readonly T[]): T
  /** `length` characters of base64url. */
  text(length: number): string
}

/** Mulberry32: 32 bits of state, good enough to shuffle, the same on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  function below(limit: number): number {
    return Math.floor(next() * limit)
  }

  function pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new TypeError('There is nothing to pick from')
    return choices[below(choices.length)] as T
  }

  function text(length: number): string {
    return Array.from({ length }, () => ALPHABET[below(64)]).join('')
  }

  return { next, below, pick, text }
}

/** A seed for a run that was given none. */
export function anySeed(): number {
  return Math.floor(Math.random() * 4_294_967_296)
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
