import Bowser from 'bowser'

/** "Firefox on Windows": enough to know one's own devices by, from what the browser says of itself. */
export function deviceName(userAgent: string | undefined): string {
  if (!userAgent) return 'Unknown device'
  const { browser, os, platform } = Bowser.parse(userAgent)
  // Bowser says nothing as undefined or as ''.
  const names = [browser.name, platform.model || os.name].filter(Boolean)
  return names.join(' on ') || 'Unknown device'
}

export type DeviceKind = 'computer' | 'phone' | 'tablet'

export function deviceKind(userAgent: string | undefined): DeviceKind {
  const type = userAgent ? Bowser.parse(userAgent).platform.type : undefined
  return type === 'mobile' ? 'phone' : type === 'tablet' ? 'tablet' : 'computer'
}
