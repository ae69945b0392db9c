const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BRACKET = 0x5b
const BACKSLASH = 0x5c
const BRACE = 0x7b

/** What an entry costs whatever is in it, and each UTF-16 unit of its text. */
const BASE = 1024
const UNIT = 4
/** What each object, list, key and further item costs more: it is there twice, to be copied and to be shared. */
const OBJECT = 200
const LIST = 80
const KEY = 24
const ITEM = 8

/**
 * About how many bytes the near cache needs for a payload, once it is decoded. Three characters may be an empty object, so
 * the length alone says little.
 */
export function weighPayload(payload: string): number {
  let bytes = BASE + UNIT * payload.length
  let isText = false
  for (let at = 0; at < payload.length; at++) {
    const unit = payload.charCodeAt(at)
    if (unit === QUOTE) isText = !isText
    else if (isText) {
      if (unit === BACKSLASH) at += 1
    } else if (unit === COMMA) bytes += ITEM
    else if (unit === COLON) bytes += KEY
    else if (unit === BRACE) bytes += OBJECT
    else if (unit === BRACKET) bytes += LIST
  }
  return bytes
}
