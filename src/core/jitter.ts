/** Up to `part` more or less, so that processes which began together do not go on in step. */
export function jittered(milliseconds: number, part: number): number {
  return milliseconds * (1 + part * (2 * Math.random() - 1))
}
