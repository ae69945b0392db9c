const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const day = new Intl.DateTimeFormat('en-IE', { dateStyle: 'long', timeZone: 'UTC' })
const moment = new Intl.DateTimeFormat('en-IE', {
  dateStyle: 'medium',
  timeStyle: 'short',
  timeZone: 'UTC',
})

const STEPS = [
  ['day', 24 * 60 * 60_000],
  ['hour', 60 * 60_000],
  ['minute', 60_000],
] as const

export function ago(time: number, now: number = Date.now()): string {
  for (const [unit, length] of STEPS) {
    const count = Math.round((time - now) / length)
    if (count !== 0) return relative.format(count, unit)
  }
  return 'just now'
}

export function longDate(time: number): string {
  return day.format(time)
}

/** The server does not know the visitor's time zone; `public/shop.js` does, and rewrites it. */
export function dateAndTime(time: number): string {
  return `${moment.format(time)} UTC`
}
