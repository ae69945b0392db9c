/** The names that belong to a session itself: methods and properties of its prototype, and no key of its data. */
export const RESERVED_KEYS: ReadonlySet<string> = new Set([
  'id',
  'cookie',
  'info',
  'touch',
  'save',
  'reload',
  'destroy',
  'regenerate',
  'signIn',
  'signOut',
  'update',
  'take',
])
