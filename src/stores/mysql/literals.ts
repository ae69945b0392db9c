import type { Value } from './statement.js'

/** Two letters for each byte: longer values are better sent as they are. */
const MOST_BYTES = 64 * 1024

/**
 * A statement with its values in it; `undefined` where one of them is better sent apart. Text and bytes stand as
 * hexadecimal digits: no quote, and no sql_mode or character set, can make anything else of them.
 */
export function withValues(text: string, values: readonly Value[]): string | undefined {
  const parts = text.split('?')
  if (parts.length !== values.length + 1) return undefined
  let room = MOST_BYTES
  let whole = parts[0] as string
  for (const [index, value] of values.entries()) {
    if (typeof value === 'string' || Buffer.isBuffer(value)) room -= value.length
    const written = room < 0 ? undefined : literal(value)
    if (written === undefined) return undefined
    whole += written + parts[index + 1]
  }
  return whole
}

function literal(value: Value): string | undefined {
  if (value === null) return 'NULL'
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined
  if (typeof value === 'string') return `_utf8mb4 x'${Buffer.from(value).toString('hex')}'`
  return `x'${value.toString('hex')}'`
}
