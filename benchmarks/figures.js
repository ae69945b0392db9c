/** Medians, ratios and tables in Markdown. */

export function median(values) {
  return quantile(values, 0.5)
}

export function quantile(values, part) {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
}

/** The median of what two series give round by round: what slows the machine for a moment slows both. */
export function paired(left, right, combine) {
  return median(left.map((value, round) => combine(value, right[round])))
}

export function markdown([head, ...rows]) {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((row) => `| ${head.map((_, i) => row[i] ?? '').join(' | ')} |`).join('\n')
}

/** Runs `measure(name)` for all names in turns. Answers the figures by name, one for each round. */
export async function inTurns(names, rounds, measure) {
  const found = new Map(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) found.get(name).push(await measure(name))
  }
  return found
}
