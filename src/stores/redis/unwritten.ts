/**
 * What node-redis takes for an AbortSignal, at a fraction of the cost: it listens to one for as long as a command is not
 * written to the socket. When the connection breaks, such commands would wait for the next one, for ever if none comes; so
 * they are taken back, and sent again by those who know how long they may wait.
 */
export interface Unwritten {
  readonly aborted: false
  addEventListener(event: 'abort', takeBack: () => void): void
  removeEventListener(event: 'abort', takeBack: () => void): void
  takeAllBack(): void
}

/** Where the socket cannot keep up, commands wait for longer. */
const MOST_GONE = 1024

export function createUnwritten(): Unwritten {
  // No Set: each table that it outgrows leads to the next, which keeps what came and went alive through young collections.
  const commands: ((() => void) | undefined)[] = []
  /** What stands before it is gone: commands are written in the order in which they came. */
  let first = 0
  return {
    aborted: false,
    addEventListener: (_, takeBack) => void commands.push(takeBack),
    removeEventListener(_, takeBack) {
      const at = commands.indexOf(takeBack, first)
      if (at >= 0) commands[at] = undefined
      while (first < commands.length && commands[first] === undefined) first += 1
      if (first < commands.length && first < MOST_GONE) return
      commands.splice(0, first)
      first = 0
    },
    takeAllBack() {
      // Each once, and the last one first: the list in node-redis 5 comes apart where something is removed from it twice, or
      // its first entry, and then the client never connects again.
      const all = commands.splice(0)
      first = 0
      for (const takeBack of all.reverse()) takeBack?.()
    },
  }
}
