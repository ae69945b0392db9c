/** What a near cache saves and hears, where each process has one: the sessions of a sample, one after the other. */

/**
 * Requests of a session come at random, `perSession` a second, to one process of `processes` or, with `isSticky`, all to
 * the same. `writeShare` of them change it, and every `touchEvery` seconds one is a touch: both are told to every process,
 * also to the one that did it. Times are seconds; `warmUp` is not counted.
 */
export function simulate({
  processes,
  sessions,
  perSession,
  writeShare,
  touchEvery = Number.POSITIVE_INFINITY,
  maxEntryAge = 30,
  isSticky = false,
  warmUp,
  seconds,
}) {
  let requests = 0
  let hits = 0
  let told = 0
  for (let session = 0; session < sessions; session += 1) {
    const readAt = new Map()
    let changedAt = 0
    let touchedAt = Number.isFinite(touchEvery) ? -Math.random() * touchEvery : 0
    for (let now = soon(perSession); now < warmUp + seconds; now += soon(perSession)) {
      const process = isSticky ? 0 : Math.floor(Math.random() * processes)
      const at = readAt.get(process)
      const isHit = at !== undefined && at > changedAt && now - at <= maxEntryAge
      if (!isHit) readAt.set(process, now)
      const isTouch = now - touchedAt >= touchEvery
      const isTold = isTouch || Math.random() < writeShare
      if (isTold) changedAt = now
      if (isTouch) touchedAt = now
      if (now < warmUp) continue
      requests += 1
      hits += Number(isHit)
      told += Number(isTold)
    }
  }
  return { hitRatio: hits / requests, toldPerSecond: told / seconds }
}

function soon(perSecond) {
  return -Math.log(1 - Math.random()) / perSecond
}
