const LONGEST = 60

/** A wrong value as an error message shows it: in one line, short, and whatever it is. Never for secrets. */
export function showValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `'${shorten(JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"'))}'`
    case 'bigint':
      return `${value}n`
    case 'function':
      return value.name === '' ? 'a function' : `the function ${shorten(value.name)}`
    case 'symbol':
      return 'a symbol'
    case 'object':
      return value === null ? 'null' : showObject(value)
    default:
      return String(value)
  }
}

function showObject(value: object): string {
  if (Array.isArray(value)) return 'an array'
  const { name } = (value as { constructor?: { name?: unknown } }).constructor ?? {}
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object'
  return `an object of class ${shorten(name)}`
}

function shorten(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
}
