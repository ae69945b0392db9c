/** One text field of a form: trimmed, and empty where it is missing, repeated, or no text. */
export function field(body: unknown, name: string): string {
  return rawField(body, name).trim()
}

/** As typed: for passwords. */
export function rawField(body: unknown, name: string): string {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return ''
  const value = (body as Record<string, unknown>)[name]
  return typeof value === 'string' ? value : ''
}

/** A whole number of a form or of JSON: `missing` where there is none, NaN where it is something else. */
export function wholeNumber(body: unknown, name: string, missing: number = NaN): number {
  const value = (body as Record<string, unknown> | undefined)?.[name]
  if (value === undefined) return missing
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && /^\d{1,4}$/.test(text) ? Number(text) : NaN
}

export type Problems = Record<string, string>

/** NIST SP 800-63B-4 §3.1.1: length, not composition. 15 characters, because the password stands alone. */
export const PASSWORD_MIN = 15
export const PASSWORD_MAX = 1024

const COMMON = [
  'password',
  'passwort',
  'qwertyuiop',
  'asdfghjkl',
  '1234567890',
  'letmein',
  'iloveyou',
  'stillware',
]

/** What is wrong with a registration, by field. An empty object: nothing. */
export function registrationProblems(form: {
  name: string
  email: string
  password: string
}): Problems {
  const problems: Problems = {}
  const name = nameProblem(form.name)
  if (name) problems.name = name
  if (!isEmail(form.email)) problems.email = 'An e-mail address such as ada@example.com.'
  const password = passwordProblem(form)
  if (password) problems.password = password
  return problems
}

export function nameProblem(name: string): string {
  if (name === '') return 'What shall we call you?'
  return name.length > 80 || hasControls(name) ? 'Up to 80 ordinary characters, please.' : ''
}

export function passwordProblem(form: { name: string; email: string; password: string }): string {
  const { password } = form
  const length = [...password].length
  if (length < PASSWORD_MIN) {
    return length === 0
      ? `At least ${PASSWORD_MIN} characters. A few words make a good one.`
      : `${PASSWORD_MIN - length} more to go: at least ${PASSWORD_MIN} characters.`
  }
  if (Buffer.byteLength(password) > PASSWORD_MAX) return `At most ${PASSWORD_MAX} bytes.`
  const plain = password.toLowerCase().replaceAll(/\s/g, '')
  const known = [...COMMON, form.email.toLowerCase(), form.name.toLowerCase().replaceAll(/\s/g, '')]
  const rest = known.reduce((left, word) => (word === '' ? left : left.replaceAll(word, '')), plain)
  return rest.length < 8 || new Set(plain).size < 5
    ? 'Too easy to guess. A few words that do not belong together make a good one.'
    : ''
}

/** A filter for typing mistakes, not a judge: only a letter that arrives proves an address. */
export function isEmail(text: string): boolean {
  return (
    text.length <= 254 && /^[^\s@<>"]+@[^\s@<>"]+\.[^\s@<>".]{2,}$/.test(text) && !hasControls(text)
  )
}

export function hasControls(text: string): boolean {
  return /\p{C}/u.test(text)
}
