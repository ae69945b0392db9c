import type { Violation } from './check-history.js'
import { about, type Entry, groupBy, isUse } from './history.js'

/** The promises to the data of one session: A2, A3 and A4. Its entries come in the order of their beginnings. */
export function checkData(entries: readonly Entry[]): Violation[] {
  return [
    ...eachKey(entries, 'append', checkLists),
    ...eachKey(entries, 'incr', checkCounters),
    ...eachKey(entries, 'set', checkRegister),
    ...consumedTwice(entries),
  ]
}

type KeyCheck = (key: string, writes: readonly Entry[], reads: readonly Entry[]) => Violation[]

function eachKey(entries: readonly Entry[], kind: Entry['kind'], check: KeyCheck): Violation[] {
  const writes = groupBy(
    entries.filter((entry) => entry.kind === kind),
    ({ key }) => key ?? '',
  )
  const reads = entries.filter((entry) => entry.kind === 'read' && isUse(entry))
  return [...writes].flatMap(([key, own]) => check(key, own, reads))
}

function checkLists(key: string, writes: readonly Entry[], reads: readonly Entry[]): Violation[] {
  const seen = reads.flatMap((read) => {
    const list = read.seen?.lists?.[key]
    return list === undefined ? [] : [{ read, list }]
  })
  const longest = seen.reduce<readonly string[]>(
    (best, { list }) => (list.length > best.length ? list : best),
    [],
  )
  const place = new Map(longest.map((value, index) => [value, index]))
  const appended = new Map(writes.map((write) => [write.value ?? '', write]))
  const violations: Violation[] = []
  if (place.size < longest.length) {
    violations.push(violation('A2', `List ${key} has a value twice: ${longest}`))
  }
  for (const value of place.keys()) {
    if ((appended.get(value)?.outcome ?? 'fail') !== 'fail') continue
    violations.push(violation('A2', `List ${key} has ${value}, which was not appended`))
  }
  const completed = acknowledged(writes)
  let needed = -1
  let next = 0
  for (const { read, list } of seen) {
    for (; (completed[next]?.completed ?? NEVER) < read.invoked; next += 1) {
      const value = completed[next]?.value ?? ''
      const index = place.get(value)
      if (index !== undefined) needed = Math.max(needed, index)
      else violations.push(violation('A2', `List ${key} lost ${value}, seen by ${about(read)}`))
    }
    if (list.some((value, index) => value !== longest[index])) {
      violations.push(violation('A3', `List ${key} was ${list} and is ${longest}`))
    }
    if (list.length <= needed) {
      violations.push(
        violation('A3', `${about(read)} misses a completed append to ${key}: ${list}`),
      )
    }
    const early = list.find((value) => (appended.get(value)?.invoked ?? 0) > read.completed)
    if (early)
      violations.push(violation('A3', `${about(read)} sees ${early} before it was written`))
  }
  return [
    ...violations,
    ...shrinking(
      seen.map(({ read, list }) => [read, list.length]),
      key,
    ),
  ]
}

function checkCounters(
  key: string,
  writes: readonly Entry[],
  reads: readonly Entry[],
): Violation[] {
  const counts = writes.flatMap(({ outcome, count }) =>
    outcome === 'ok' && count !== undefined ? [count] : [],
  )
  const violations: Violation[] = []
  if (new Set(counts).size < counts.length) {
    violations.push(violation('A2', `Two increments of ${key} counted to the same number`))
  }
  const done = acknowledged(writes).map(({ completed }) => completed)
  const begun = writes.filter(({ outcome }) => outcome !== 'fail').map(({ invoked }) => invoked)
  const seen = reads.flatMap((read): [Entry, number][] => {
    const count = read.seen?.counters?.[key]
    return count === undefined ? [] : [[read, count]]
  })
  for (const [read, count] of seen) {
    const least = countBelow(done, read.invoked)
    const most = countBelow(begun, read.completed)
    if (count >= least && count <= most) continue
    const expected = `${least} to ${most}`
    violations.push(violation('A2', `${about(read)} sees ${key} at ${count}, not ${expected}`))
  }
  return [...violations, ...shrinking(seen, key)]
}

/** A read that begins after another was completed sees no less. */
function shrinking(seen: readonly (readonly [Entry, number])[], key: string): Violation[] {
  const byEnd = [...seen].sort(([a], [b]) => a.completed - b.completed)
  let most = 0
  let next = 0
  return seen.flatMap(([read, size]) => {
    for (; (byEnd[next]?.[0].completed ?? NEVER) < read.invoked; next += 1) {
      most = Math.max(most, byEnd[next]?.[1] ?? 0)
    }
    return size < most ? [violation('A3', `${about(read)} sees ${key} go back`)] : []
  })
}

/**
 * Whether reads and writes of unique values can be put in one order (Gibbons and Korach, 1997): each value has a zone
 * from its first end to its last beginning. No two forward zones may overlap, none may hold a backward one.
 */
function checkRegister(
  key: string,
  writes: readonly Entry[],
  reads: readonly Entry[],
): Violation[] {
  const clusters = new Map<string | undefined, Entry[]>()
  const written = new Map(writes.map((write) => [write.value, write]))
  const violations: Violation[] = []
  for (const write of writes) if (write.outcome === 'ok') clusters.set(write.value, [write])
  for (const read of reads) {
    if (read.seen?.values === undefined) continue
    const value = read.seen.values[key]
    const write = written.get(value)
    const unwritten = write === undefined || write.outcome === 'fail'
    if (value !== undefined && (unwritten || write.invoked > read.completed)) {
      violations.push(violation('A3', `${about(read)} sees ${key} = ${value}, not written by then`))
      continue
    }
    // A write of unknown outcome counts from where somebody saw it.
    const cluster = clusters.get(value) ?? (write ? [{ ...write, completed: NEVER }] : [])
    clusters.set(value, [...cluster, read])
  }
  const zones = [...clusters].map(([value, cluster]) => ({
    value,
    from: value === undefined ? -1 : Math.min(...cluster.map(({ completed }) => completed)),
    to: Math.max(...cluster.map(({ invoked }) => invoked)),
  }))
  const forward = zones.filter(({ from, to }) => from < to).sort((a, b) => a.from - b.from)
  for (const [index, zone] of forward.entries()) {
    const before = forward[index - 1]
    if (before && before.to > zone.from) {
      const values = `${before.value} and ${zone.value}`
      violations.push(violation('A3', `${key} was seen as ${values} with no order of the two`))
    }
  }
  for (const { value, from, to } of zones.filter((zone) => zone.from >= zone.to)) {
    // Forward zones that do not overlap are sorted by their ends as well.
    const around =
      forward[
        countBelow(
          forward.map((zone) => zone.from),
          to,
        ) - 1
      ]
    if (around && around.to > from) {
      violations.push(violation('A3', `${key} = ${value} was lost inside ${around.value}`))
    }
  }
  return violations
}

function consumedTwice(entries: readonly Entry[]): Violation[] {
  const won = entries.filter(
    ({ kind, outcome, got }) => kind === 'consume' && outcome === 'ok' && got,
  )
  return [...groupBy(won, ({ key, value }) => `${key} ${value}`)].flatMap(([what, times]) =>
    times.length > 1 ? [violation('A4', `${what} was consumed ${times.length} times`)] : [],
  )
}

/** Acknowledged ones, by their ends. */
function acknowledged(writes: readonly Entry[]): Entry[] {
  return writes
    .filter(({ outcome, found }) => outcome === 'ok' && found !== false)
    .sort((a, b) => a.completed - b.completed)
}

function countBelow(sorted: readonly number[], limit: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? NEVER) < limit) low = middle + 1
    else high = middle
  }
  return low
}

function violation(rule: Violation['rule'], message: string): Violation {
  return { rule, message }
}

const NEVER = Number.POSITIVE_INFINITY
