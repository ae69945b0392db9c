/** Resolves when the feed of these sessions has proven itself; rejects with why it cannot. Ask before it begins. */
export function feedAlive(sessions) {
  return new Promise((resolve, reject) => {
    sessions.on('feed', (turn) => (turn.isAlive ? resolve() : reject(turn.error)))
  })
}
