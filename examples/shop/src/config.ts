import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { configError } from './config-error.js'
import { readSessionStore } from './session-store.js'
import type { SessionPlace } from './stores/place.js'

/** What the surroundings decide. Read once, at start; nothing else reads the environment, but for the SDK of AWS. */
export interface Config {
  readonly production: boolean
  readonly port: number
  /** Where the databases live, and in development the secret. */
  readonly dataDir: string
  /** The first signs, all verify: put a new one in front to rotate. */
  readonly secrets: readonly string[]
  /** How many proxies stand in front, or which addresses they have. */
  readonly trustProxy: false | number | string
  readonly sessionStore: SessionPlace
  /** Whether reads are answered from memory, where the store has a change feed. */
  readonly nearCache: boolean
  /** Other sites whose scripts may use `/api` with the visitor's session. */
  readonly allowedOrigins: readonly string[]
  readonly demoAccount: boolean
  readonly logLevel: string
}

export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const production = env.NODE_ENV === 'production'
  const dataDir = resolve(env.DATA_DIR || join(import.meta.dirname, '../.data'))
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  return {
    production,
    port: readPort(env.PORT),
    dataDir,
    secrets: readSecrets(env.SESSION_SECRET, production, dataDir),
    trustProxy: readTrustProxy(env.TRUST_PROXY),
    sessionStore: readSessionStore(env, dataDir),
    nearCache: readNearCache(env.NEAR_CACHE),
    allowedOrigins: readOrigins(env.ALLOWED_ORIGINS),
    demoAccount: readDemoAccount(env.DEMO_ACCOUNT, production),
    logLevel: env.LOG_LEVEL || 'warn',
  }
}

function readPort(value = '3000'): number {
  const port = Number(value)
  if (/^\d{1,5}$/.test(value) && port <= 65_535) return port
  throw configError(`PORT must be a number from 0 to 65535, such as PORT=3000; it is "${value}".`)
}

function readSecrets(value: string | undefined, production: boolean, dataDir: string): string[] {
  const secrets = (value ?? '').split(',').map((secret) => secret.trim())
  if (secrets.some((secret) => secret !== '')) {
    if (secrets.every((secret) => secret.length >= 32)) return secrets
    throw configError(
      'Every secret in SESSION_SECRET needs at least 32 characters. Make one with: openssl rand -base64 32',
    )
  }
  if (production) {
    throw configError(
      'SESSION_SECRET is missing. Make one with `openssl rand -base64 32` and set it in the environment; ' +
        'to rotate, put the new one in front of the old one, separated by a comma.',
    )
  }
  return [keptSecret(join(dataDir, 'session-secret'))]
}

/** In development a secret is made once and kept, so that a restart signs nobody out. */
function keptSecret(filename: string): string {
  if (!existsSync(filename)) {
    const aside = `${filename}.${process.pid}`
    // Written aside and linked: a shop that starts in the same moment finds the whole secret or none.
    writeFileSync(aside, randomBytes(32).toString('base64url'), { mode: 0o600 })
    try {
      linkSync(aside, filename)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      unlinkSync(aside)
    }
  }
  return readFileSync(filename, 'utf8').trim()
}

function readTrustProxy(value = ''): false | number | string {
  if (value === '' || value === 'false' || value === '0') return false
  if (/^\d{1,2}$/.test(value)) return Number(value)
  // `true` believes whatever address and protocol a client cares to claim.
  if (value !== 'true') return value
  throw configError(
    'TRUST_PROXY must say how many proxies stand in front (TRUST_PROXY=1) or which (TRUST_PROXY=loopback).',
  )
}

function readNearCache(value = ''): boolean {
  if (/^(on|off)?$/.test(value)) return value === 'on'
  throw configError(`NEAR_CACHE is "on" or "off"; it is "${value}".`)
}

function readOrigins(value = ''): string[] {
  const origins = value.split(',').map((origin) => origin.trim())
  if (origins.length === 1 && origins[0] === '') return []
  for (const origin of origins) {
    // The exact text that browsers send: no path, no slash at the end, no default port. `*` and `null` are nobody.
    if (/^https?:/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin)
      continue
    throw configError(
      `ALLOWED_ORIGINS is a list such as "https://app.example.com,https://admin.example.com"; "${origin}" is no origin.`,
    )
  }
  return origins
}

function readDemoAccount(value: string | undefined, production: boolean): boolean {
  if (!production) return value !== 'off'
  if (!value || value === 'off') return false
  throw configError('DEMO_ACCOUNT is for development. Remove it: everybody knows its passwords.')
}
