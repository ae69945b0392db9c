import { createRequire } from 'node:module'
import { mysqlStore } from 'staykept/mysql'
import { missing, newHome } from './mysql/databases.js'
import type { StoreRig } from './rig.js'

const { openPool } = createRequire(import.meta.url)('./mysql.open.cjs')

export const withMysql2: StoreRig = rig('mysql, with mysql2', 'mysql2')
export const withPromises: StoreRig = {
  ...rig('mysql, with mysql2/promise', 'mysql2/promise'),
  isVariant: true,
}
export const withMariadb: StoreRig = { ...rig('mysql, with mariadb', 'mariadb'), isVariant: true }

/** Each place is a database of its own. */
function rig(name: string, client: string): StoreRig {
  return {
    name,
    missing,
    async prepare() {
      const { login, remove } = await newHome()
      return { settings: { login, client }, remove }
    },
    open({ login, client }) {
      const { pool, close } = openPool({ ...login, client })
      return { store: mysqlStore({ pool }), close }
    },
    opener: 'mysql.open.cjs',
  }
}
