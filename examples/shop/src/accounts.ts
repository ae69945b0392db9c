import { randomUUID } from 'node:crypto'
import type Database from 'libsql'
import { hashPassword, needsRehash, verifyPassword } from './passwords.js'

export interface Account {
  readonly id: string
  readonly email: string
  readonly name: string
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
}

export const DEMO: Registration = {
  name: 'Robin Vale',
  email: 'robin@stillware.example',
  password: 'three quiet teapots',
}

/** `demo` says whether the demo account exists here. Where it does not, one from a copied database is nobody. */
export async function openAccounts(
  db: Database.Database,
  { demo }: { demo: boolean },
): Promise<Accounts> {
  const visible = demo ? '' : 'AND demo = 0'
  const byId = db.prepare<[string]>(`SELECT * FROM accounts WHERE id = ? ${visible}`)
  const byEmail = db.prepare<[string]>(`SELECT * FROM accounts WHERE email = ? ${visible}`)
  const setPassword = db.prepare<[string, string]>('UPDATE accounts SET password = ? WHERE id = ?')
  const insert = db.prepare<[string, string, string, string, number, number]>(
    `INSERT INTO accounts (id, email, name, password, demo, created_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (email) DO NOTHING`,
  )

  async function register(registration: Registration, isDemo = 0): Promise<void> {
    const { name, email, password } = registration
    insert.run(randomUUID(), fold(email), name, await hashPassword(password), isDemo, Date.now())
  }

  if (demo && byEmail.get(DEMO.email) === undefined) await register(DEMO, 1)

  return {
    find(id) {
      return account(byId.get(id) as Row | undefined)
    },

    register(registration) {
      return register(registration)
    },

    async verify(email, password) {
      const row = byEmail.get(fold(email)) as Row | undefined
      if (!(await verifyPassword(row?.password, password)) || row === undefined) return undefined
      if (needsRehash(row.password)) setPassword.run(await hashPassword(password), row.id)
      return account(row)
    },
  }
}

interface Row {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly password: string
  readonly created_at: number
}

function account(row: Row | undefined): Account | undefined {
  return row && { id: row.id, email: row.email, name: row.name, createdAt: row.created_at }
}

/** One address, one account, however it is written. */
function fold(email: string): string {
  return email.normalize('NFKC').toLowerCase()
}
