export function simulate(size: {
  processes: number
  sessions: number
  perSession: number
  writeShare: number
  touchEvery?: number
  maxEntryAge?: number
  isSticky?: boolean
  warmUp: number
  seconds: number
}): { hitRatio: number; toldPerSecond: number }
