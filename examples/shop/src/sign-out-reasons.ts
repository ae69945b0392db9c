const NOT_YOU = 'If that was not you, sign in and change your password.'

/** What a page that left by itself says of why, by the reason of the session's end. */
const TEXTS: Readonly<Record<string, string>> = {
  signOut: 'You signed out in another tab of this browser.',
  revoke: `You were signed out on another device, or by the shop. ${NOT_YOU}`,
  revokeByUser: `Your devices were signed out, this one among them. ${NOT_YOU}`,
  expired:
    'You were away for a while, so you were signed out. Sign in, and you go on where you were.',
}

const OTHERWISE = 'You are not signed in any more. Sign in, and you go on where you were.'

/** The reason comes from an address that anybody can write, so nothing of it is shown. */
export function endedBecause(reason: unknown): string | undefined {
  if (reason === undefined) return undefined
  return typeof reason === 'string' && Object.hasOwn(TEXTS, reason) ? TEXTS[reason] : OTHERWISE
}
