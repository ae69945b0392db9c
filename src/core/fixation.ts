import type { Pending } from './changes.js'
import { splitData } from './codec.js'
import type { Engine } from './engine.js'

const IDENTITY_KEYS = ['user', 'userId'] as const

/** Someone signs users in by hand, on a session that was there before: session fixation (OWASP WSTG-SESS-03). */
export function warnOfFixation(engine: Engine, { base, text }: Pending): void {
  if (base.meta.user !== undefined || !/"user(?:Id)?":/.test(text)) return
  const before = splitData(base.text)
  const after = splitData(text)
  const key = IDENTITY_KEYS.find((name) => after.has(name) && !before.has(name))
  if (key === undefined) return
  engine.warn(
    'WARN_SESSION_FIXATION',
    () =>
      `req.session.${key} was set on a session that existed before: whoever planted its cookie is signed in too. Use await req.session.signIn(userId, { data: { ${key} } }).`,
  )
}
