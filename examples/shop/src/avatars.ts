import { randomBytes } from 'node:crypto'
import type Database from 'libsql'

export interface Picture {
  readonly type: PictureType
  readonly bytes: Buffer
}

export type PictureType = 'image/png' | 'image/jpeg' | 'image/webp'

export interface Avatars {
  /** The name of the account's picture, new with each upload. */
  tagOf(account: string): string | undefined
  /** Only with the account that it belongs to: the tag alone opens nothing. */
  find(account: string, tag: string): Picture | undefined
  /** Replaces the picture as a whole: of two uploads at once, one stays. */
  put(account: string, picture: Picture): void
  remove(account: string): boolean
}

export function openAvatars(db: Database.Database): Avatars {
  const tag = db.prepare<[string]>('SELECT tag FROM avatars WHERE account = ?')
  const byTag = db.prepare<[string, string]>(
    'SELECT type, bytes FROM avatars WHERE account = ? AND tag = ?',
  )
  const put = db.prepare<[string, string, string, Buffer]>(
    `INSERT INTO avatars (account, tag, type, bytes) VALUES (?, ?, ?, ?)
     ON CONFLICT (account) DO UPDATE SET tag = excluded.tag, type = excluded.type, bytes = excluded.bytes`,
  )
  const remove = db.prepare<[string]>('DELETE FROM avatars WHERE account = ?')

  return {
    tagOf: (account) => (tag.get(account) as { tag: string } | undefined)?.tag,
    find: (account, name) => byTag.get(account, name) as Picture | undefined,
    put: (account, { type, bytes }) => {
      put.run(account, randomBytes(12).toString('base64url'), type, bytes)
    },
    remove: (account) => remove.run(account).changes > 0,
  }
}

/**
 * What the bytes themselves say they are. The name and the type that came along are the sender's to choose, so nobody
 * asks them. No SVG: it is a document that may have scripts in it.
 */
export function pictureOf(bytes: Buffer): Picture | undefined {
  const type = SIGNATURES.find(({ looksRight }) => looksRight(bytes))?.type
  return type && { type, bytes }
}

const SIGNATURES: readonly { type: PictureType; looksRight: (bytes: Buffer) => boolean }[] = [
  { type: 'image/png', looksRight: (bytes) => has(bytes, 0, '\x89PNG\r\n\x1a\n\0\0\0\rIHDR') },
  { type: 'image/jpeg', looksRight: (bytes) => has(bytes, 0, '\xff\xd8\xff') },
  { type: 'image/webp', looksRight: (bytes) => has(bytes, 0, 'RIFF') && has(bytes, 8, 'WEBPVP8') },
]

function has(bytes: Buffer, at: number, text: string): boolean {
  const expected = Buffer.from(text, 'latin1')
  return bytes.subarray(at, at + expected.length).equals(expected)
}
