import { createHmac, hash, type KeyObject } from 'node:crypto'
import type { StoreKey } from './store.js'

/**
 * Who a browser says it is. The value of the cookie is `<id>.<secret>.<tag>`:
 *
 * - `id` names the session in public and is the key in the store;
 * - `secret` is what proves it; the record keeps only its SHA-256, so a stolen store opens nothing;
 * - `tag` is a MAC over both with the configured secret: a filter, so that a forgery costs no store call.
 */
export interface Credential {
  readonly id: StoreKey
  readonly secret: CookieSecret
  /** What a record keeps of the secret. */
  readonly secretHash: string
  /** Which configured secret made the tag: 0 is the one that signs, any other asks for a new cookie. */
  readonly keyIndex: number
}

/** The secret half of a cookie. Branded: it cannot be passed for an id, and must never be logged or stored. */
export type CookieSecret = string & { readonly [cookieSecret]: true }
declare const cookieSecret: unique symbol

export interface Keyring {
  /** The cookie value for a session. Always 89 characters. */
  sign(id: StoreKey, secret: CookieSecret): string
  /** The credential in a cookie value, or `undefined` for anything that this keyring did not sign. */
  verify(value: string): Credential | undefined
}

const SHAPE = /^[\w-]{22}\.[\w-]{43}\.[\w-]{22}$/
const SECRET_AT = 23
const SECRET_END = 66
const TAG_AT = 67
const TAG_LENGTH = 22
/** How many verified values a process remembers. */
const REMEMBERED = 10_000

/** The first secret signs, all of them verify: a new one is put in front, the old one leaves when its cookies have. */
export function createKeyring(secrets: readonly (string | Uint8Array | KeyObject)[]): Keyring {
  const tags = secrets.map((secret) => createTag(tagKey(secret)))
  const [tag] = tags as [Tag]
  // A browser sends the same value again and again, and a MAC costs more than all else in reading a session.
  const verified = new Map<string, Credential>()

  return {
    sign(id, secret) {
      const body = `${id}.${secret}`
      return `${body}.${tag(body)}`
    },
    verify(value) {
      const known = verified.get(value)
      if (known !== undefined) return known
      if (value.length !== TAG_AT + TAG_LENGTH || !SHAPE.test(value)) return undefined
      const body = value.slice(0, SECRET_END)
      const keyIndex = tags.findIndex((tagOf) => equals(tagOf(body), value.slice(TAG_AT)))
      if (keyIndex < 0) return undefined
      const secret = value.slice(SECRET_AT, SECRET_END) as CookieSecret
      const id = value.slice(0, SECRET_AT - 1) as StoreKey
      const credential = { id, secret, secretHash: hashSecret(secret), keyIndex }
      if (verified.size >= REMEMBERED) verified.delete(verified.keys().next().value as string)
      verified.set(value, credential)
      return credential
    },
  }
}

/** What a record keeps of a secret. A plain hash is enough: 256 random bits cannot be guessed back. */
export function hashSecret(secret: CookieSecret): string {
  return hash('sha256', secret, 'base64url')
}

/** Whether two strings are equal, in a time that does not tell how much of them is (ASVS 11.2.4). */
export function equals(left: string, right: string): boolean {
  let difference = left.length ^ right.length
  for (let at = 0; at < left.length; at++) difference |= left.charCodeAt(at) ^ right.charCodeAt(at)
  return difference === 0
}

/** A public name of this secret for CSRF libraries: new at every rotation, and no way back to the secret or its hash. */
export function csrfIdOf(secretHash: string): string {
  return hash('sha256', `staykept csrf\0${secretHash}`, 'base64url')
}

/** One label for one purpose: the key of the tag opens nothing else that is made from the same secret (ASVS 9.2.2). */
function tagKey(secret: string | Uint8Array | KeyObject): Buffer {
  const bytes =
    typeof secret === 'string' || secret instanceof Uint8Array ? secret : secret.export()
  return createHmac('sha256', bytes).update('staykept cookie tag').digest()
}

/** The MAC over the body of a cookie, which is of `SECRET_END` characters of ASCII. */
type Tag = (body: string) => string

/** Bytes that SHA-256 takes at a time. */
const BLOCK = 64

/**
 * HMAC-SHA-256 (RFC 2104), put together from two hashes: `createHmac` makes an object for each MAC, and takes twice as
 * long, its collection not counted.
 */
function createTag(key: Buffer): Tag {
  const inner = Buffer.alloc(BLOCK + SECRET_END, 0x36)
  const outer = Buffer.alloc(BLOCK + key.length, 0x5c)
  for (const [at, byte] of key.entries()) {
    inner[at] = byte ^ 0x36
    outer[at] = byte ^ 0x5c
  }

  return function tag(body) {
    inner.write(body, BLOCK, 'latin1')
    outer.write(hash('sha256', inner, 'binary'), BLOCK, 'latin1')
    return hash('sha256', outer, 'base64url').slice(0, TAG_LENGTH)
  }
}
