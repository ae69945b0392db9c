/**
 * Whether two encoded sessions surely hold something different, judged by the first members in which their texts part.
 * Most changes show there, at a tenth of the price of decoding both. `false` says nothing: keys in another order and
 * another spelling of the same value want a closer look. `left` may be anybody's text, `right` is as we encode it.
 */
export function plainlyDiffer(left: string, right: string): boolean {
  let at = 0
  while (at < left.length && left.charCodeAt(at) === right.charCodeAt(at)) at += 1
  const before = memberAt(left, at)
  const after = memberAt(right, at)
  // The left one ends where the right one goes on with one more key.
  if (before === after) return left.charCodeAt(at) === CLOSE_BRACE
  const [key, value] = entryOf(before)
  const [otherKey, otherValue] = entryOf(after)
  if (key !== otherKey) return false
  return JSON.stringify(value) !== JSON.stringify(otherValue)
}

const QUOTE = 34
const COMMA = 44
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/** The member of the outer object, `"key":value`, that ends at or after `at`. */
function memberAt(text: string, at: number): string {
  let depth = 0
  let isString = false
  let start = 0
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (isString) {
      if (unit === BACKSLASH) index += 1
      else if (unit === QUOTE) isString = false
    } else if (unit === QUOTE) {
      isString = true
    } else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      depth += 1
      if (depth === 1) start = index + 1
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
      depth -= 1
      if (depth === 0) return text.slice(start, index)
    } else if (unit === COMMA && depth === 1) {
      if (index >= at) return text.slice(start, index)
      start = index + 1
    }
  }
  return ''
}

function entryOf(member: string): readonly [key?: string, value?: unknown] {
  return Object.entries(JSON.parse(`{${member}}`))[0] ?? []
}
