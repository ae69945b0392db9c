/** A name that goes into statements as it is: they cannot take it as a value. Throws a `TypeError` for anything else. */
export function assertName(store: string, option: string, name: unknown, longest: number): void {
  if (typeof name === 'string' && name.length <= longest && /^[a-z_][a-z0-9_]*$/i.test(name)) return
  throw new TypeError(
    `${store} needs a name of 1 to ${longest} letters, digits and _ as ${option}, not '${String(name)}'; it cannot begin with a digit`,
  )
}
