import { randomInt } from 'node:crypto'

/** Numbers from 0 to 1 that come again with the same seed (mulberry32). The seed is printed. */
export function seededRandom(what: string, seed: number = randomInt(2 ** 31)): () => number {
  console.log(`${what}: seed ${seed}`)
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
