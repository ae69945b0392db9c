import { notRun } from '../not-run.js'

/** Whether a group of tests has to be left out, for which it says why. */
export function needs(what: string, why: string | undefined): boolean {
  if (why !== undefined) notRun(`faults of ${what}`, why)
  return why !== undefined
}
