/** `node dist/grant.js ada@example.com admin` gives an account a role: the first admin has nobody else to ask. */
import { join } from 'node:path'
import { openAccounts } from './accounts.js'
import { readConfig } from './config.js'
import { openDatabase } from './db.js'
import { openSessions } from './sessions.js'

const [email = '', role] = process.argv.slice(2)
if (role !== 'customer' && role !== 'admin') {
  console.error('Usage: node dist/grant.js <e-mail> customer|admin')
  process.exit(2)
}

const config = readConfig(process.env)
const db = openDatabase(join(config.dataDir, 'shop.db'))
const accounts = openAccounts(db, { demo: config.demoAccount })
const { sessions, close } = await openSessions(config, Date, () => {})

const account = accounts.search(email).find((one) => one.email === email.toLowerCase())
if (account && accounts.setRole(account.id, role)) {
  try {
    const ended = await sessions.revokeByUser(account.id)
    console.log(`${account.email} has the role ${role}. Sessions ended: ${ended}.`)
  } catch (error) {
    const why = (error as Error).message
    console.error(
      `${account.email} has the role ${role}, but its sessions go on: ${why}. Run this again.`,
    )
    process.exitCode = 1
  }
} else {
  console.error(`There is no account ${email}.`)
  process.exitCode = 1
}
await close()
db.close()
