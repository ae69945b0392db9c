/** How deep session data may be nested. */
export const MAX_DEPTH: number = 64

/** A plain object of this realm or another (a test runner's sandbox makes such), or one without a prototype. */
export function isPlain(object: object): boolean {
  const prototype = Object.getPrototypeOf(object) as object | null
  return (
    prototype === Object.prototype ||
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
  )
}

/** An array and nothing more: not of a class that extends it. */
export function isPlainArray(array: readonly unknown[]): boolean {
  const prototype = Object.getPrototypeOf(array) as object | null
  if (prototype === Array.prototype) return true
  const parent = prototype === null ? null : Object.getPrototypeOf(prototype)
  return parent !== null && Object.getPrototypeOf(parent) === null
}

/** Whether a Date, Map or Set is more than that: of a class of its own, or with properties of its own. */
export function hasExtras(object: object, prototype: object): boolean {
  return Object.getPrototypeOf(object) !== prototype || Object.keys(object).length > 0
}
