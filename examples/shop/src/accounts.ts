import { randomUUID } from 'node:crypto'
import type Database from 'libsql'
import { hashPassword, needsRehash, verifyPassword } from './passwords.js'

export type Role = 'customer' | 'admin'

export interface Account {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly role: Role
  readonly createdAt: number
}

export interface Registration {
  readonly name: string
  readonly email: string
  readonly password: string
}

export interface Accounts {
  find(id: string): Account | undefined
  /** Makes the account unless the address is taken. Answers the same either way: see `routes/account.ts`. */
  register(registration: Registration): Promise<void>
  /** The account, if the password is right. */
  verify(email: string, password: string): Promise<Account | undefined>
  setPassword(id: string, password: string): Promise<void>
  rename(id: string, name: string): void
  /** Whether there is such an account. Its sessions are for the caller to end: see `routes/admin.ts`. */
  setRole(id: string, role: Role): boolean
  /** At most `SEARCH_LIMIT` accounts with this text in their name or address, the newest first. */
  search(text: string): Account[]
}

export const SEARCH_LIMIT = 20

interface Demo extends Registration {
  readonly role: Role
  /** Of the password, made beforehand, so that a first start takes no longer. */
  readonly hash: string
}

export const DEMO: Demo = {
  name: 'Robin Vale',
  email: 'robin@stillware.example',
  password: 'three quiet teapots',
  role: 'customer',
  hash: '$argon2id$v=19$m=19456,t=2,p=1$o7CZpmxcnlf7DKeIL+nP/g$wgCUrYoO3lqYYi8IeyYMtyc8EeEFSxMECgdqWKG4WnE',
}

export const DEMO_ADMIN: Demo = {
  name: 'Morgan Reed',
  email: 'morgan@stillware.example',
  password: 'four patient kilns',
  role: 'admin',
  hash: '$argon2id$v=19$m=19456,t=2,p=1$DopceKuUasw8+e6LxsN8lg$rENJhYlRSZlonSlHZnOwmBDKCm/Xg11NF7dJuAiy0lk',
}

/** `demo` says whether the demo accounts exist here. Where not, those from a copied database are nobody. */
export function openAccounts(db: Database.Database, { demo }: { demo: boolean }): Accounts {
  const visible = demo ? '' : 'AND demo = 0'
  const byId = db.prepare<[string]>(`SELECT * FROM accounts WHERE id = ? ${visible}`)
  const byEmail = db.prepare<[string]>(`SELECT * FROM accounts WHERE email = ? ${visible}`)
  const bySearch = db.prepare<[string, string, number]>(
    `SELECT * FROM accounts WHERE (instr(email, ?) OR instr(lower(name), ?)) ${visible}
     ORDER BY created_at DESC LIMIT ?`,
  )
  const storePassword = db.prepare<[string, string]>(
    'UPDATE accounts SET password = ? WHERE id = ?',
  )
  const renewPassword = db.prepare<[string, string, string]>(
    'UPDATE accounts SET password = ? WHERE id = ? AND password = ?',
  )
  const storeName = db.prepare<[string, string]>('UPDATE accounts SET name = ? WHERE id = ?')
  const storeRole = db.prepare<[string, string]>(
    `UPDATE accounts SET role = ? WHERE id = ? ${visible}`,
  )
  const insert = db.prepare<[string, string, string, string, string, number, number]>(
    `INSERT INTO accounts (id, email, name, password, role, demo, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (email) DO NOTHING`,
  )

  if (demo) {
    for (const { name, email, hash, role } of [DEMO, DEMO_ADMIN]) {
      insert.run(randomUUID(), email, name, hash, role, 1, Date.now())
    }
  }

  return {
    find(id) {
      return account(byId.get(id) as Row | undefined)
    },

    async register({ name, email, password }) {
      const hash = await hashPassword(password)
      insert.run(randomUUID(), fold(email), name, hash, 'customer', 0, Date.now())
    },

    async verify(email, password) {
      const row = byEmail.get(fold(email)) as Row | undefined
      if (!(await verifyPassword(row?.password, password)) || row === undefined) return undefined
      if (needsRehash(row.password)) {
        // Only over the hash that was verified: the password may be changed meanwhile.
        renewPassword.run(await hashPassword(password), row.id, row.password)
      }
      return account(row)
    },

    async setPassword(id, password) {
      storePassword.run(await hashPassword(password), id)
    },

    rename(id, name) {
      storeName.run(name, id)
    },

    setRole(id, role) {
      return storeRole.run(role, id).changes > 0
    },

    search(text) {
      const part = fold(text)
      return (bySearch.all(part, part, SEARCH_LIMIT) as Row[]).map(toAccount)
    },
  }
}

interface Row {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly password: string
  readonly role: Role
  readonly created_at: number
}

function account(row: Row | undefined): Account | undefined {
  return row && toAccount(row)
}

function toAccount({ id, email, name, role, created_at }: Row): Account {
  return { id, email, name, role, createdAt: created_at }
}

/** One address, one account, however it is written. */
function fold(email: string): string {
  return email.normalize('NFKC').toLowerCase()
}
