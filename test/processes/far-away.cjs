'use strict'

/** The same store behind a network: `delay` milliseconds there and back. With 0 it answers by a promise all the same. */
function farAway(store, delay) {
  const far = { ...store }
  for (const [name, method] of Object.entries(store)) {
    if (typeof method !== 'function' || name === 'watch') continue
    far[name] = async (...args) => {
      await wait(delay / 2)
      const answer = await method(...args)
      await wait(delay / 2)
      return answer
    }
  }
  return far
}

function wait(milliseconds) {
  return new Promise((resolve) => {
    if (milliseconds === 0) setImmediate(resolve)
    else setTimeout(resolve, milliseconds)
  })
}

module.exports = { farAway }
