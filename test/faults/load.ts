import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '../http.js'

/** One request as its sender saw it. Times are milliseconds; `at` counts from the beginning of the load. */
export interface Sample {
  readonly kind: string
  readonly at: number
  readonly took: number
  /** 0 where no whole answer came. */
  readonly status: number
  readonly answer: Answer | undefined
}

export interface LoadPlan {
  readonly perSecond: number
  readonly seconds: number
  /** The next request, whatever became of those before: a load that waits for answers hides what hangs. */
  send(index: number): { readonly kind: string; readonly answer: Promise<Answer> }
}

export async function load({ perSecond, seconds, send }: LoadPlan): Promise<Sample[]> {
  const began = performance.now()
  const samples: Promise<Sample>[] = []
  for (let index = 0; index < perSecond * seconds; index += 1) {
    const early = began + (index * 1000) / perSecond - performance.now()
    if (early > 1) await sleep(early)
    const { kind, answer } = send(index)
    samples.push(sampled(kind, answer, began))
  }
  return Promise.all(samples)
}

export async function sampled(
  kind: string,
  answer: Promise<Answer>,
  began: number = performance.now(),
): Promise<Sample> {
  const sent = performance.now()
  const given = await answer.catch(() => undefined)
  const took = performance.now() - sent
  const status = given?.isWhole === true ? given.status : 0
  return { kind, at: sent - began, took, status, answer: given }
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}

export function took(samples: readonly Sample[], part: number): number {
  return quantile(
    samples.map((sample) => sample.took),
    part,
  )
}

/** How many samples have which status, as `{ 200: 96, 503: 4 }`. */
export function statuses(samples: readonly Sample[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of samples) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** What a fault test saw, as a row of a table. */
export function row(id: string, ...cells: readonly (string | number)[]): void {
  const shown = cells.map((cell) =>
    typeof cell === 'number' && !Number.isInteger(cell) ? cell.toFixed(1) : String(cell),
  )
  console.log(`| ${[id, ...shown].join(' | ')} |`)
}
