/**
 * Says that there is no option `key`, with what was probably meant. `prefix` is what stands in front of its name;
 * `mends` are for names that other libraries know, in lower case.
 */
export function unknownOption(
  key: string,
  {
    prefix = '',
    known,
    mends,
  }: {
    readonly prefix?: string
    readonly known: ReadonlySet<string>
    readonly mends: Readonly<Record<string, string>>
  },
): TypeError {
  const mend = mends[plain(key)] ?? suggest(key, prefix, known)
  return new TypeError(`${prefix}${key} is no option of session(). ${mend}`)
}

function suggest(key: string, prefix: string, known: ReadonlySet<string>): string {
  const near = [...known]
    .map((name) => ({ name, distance: distanceOf(plain(key), plain(name)) }))
    .sort((left, right) => left.distance - right.distance)[0]
  if (near !== undefined && near.distance <= Math.min(3, near.name.length / 3)) {
    return `Did you mean ${prefix}${near.name}?`
  }
  return `The options are ${[...known].map((name) => `${prefix}${name}`).join(', ')}.`
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '')
}

/** How many letters have to be put in, left out, changed or swapped (optimal string alignment). */
function distanceOf(left: string, right: string): number {
  const rows: number[][] = [Array.from({ length: right.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0
  for (let row = 1; row <= left.length; row++) {
    rows.push([row])
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1]
      const isSwap =
        row > 1 &&
        column > 1 &&
        left[row - 1] === right[column - 2] &&
        left[row - 2] === right[column - 1]
      const edits = [
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (isSame ? 0 : 1),
        ...(isSwap ? [at(row - 2, column - 2) + 1] : []),
      ]
      rows[row]?.push(Math.min(...edits))
    }
  }
  return at(left.length, right.length)
}
