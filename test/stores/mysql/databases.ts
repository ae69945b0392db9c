import { randomBytes } from 'node:crypto'
import mysql from 'mysql2/promise'
import { mysqlSchema } from 'staykept/mysql'
import * as mariadb from '../../servers/mariadb.js'
import { sharedServer } from '../../servers/shared.js'

/** How a client logs in to a database. */
export interface Login {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database?: string
}

export interface OwnDatabase {
  readonly login: Login
  remove(): Promise<void>
}

/** Why no server can be tested here. */
export function missing(): string | undefined {
  return process.env.MYSQL_URL ? undefined : mariadb.missing()
}

/**
 * A new database, in the MariaDB that all tests share; or, with `MYSQL_URL=mysql://root:secret@host:3306`, in a server
 * of yours, whose user may make databases.
 */
export async function newDatabase(port?: number): Promise<OwnDatabase> {
  const url = port === undefined ? process.env.MYSQL_URL : undefined
  const server = port ?? (url ? undefined : (await sharedServer('mariadb')).port)
  const [admin, user] =
    server === undefined
      ? [fromUrl(url as string), fromUrl(url as string)]
      : [mariadb.administrator(server), mariadb.login(server)]
  const database = `s_${randomBytes(6).toString('hex')}`
  await run(admin, `CREATE DATABASE ${database}`)
  return {
    login: { ...user, database },
    remove: () => run(admin, `DROP DATABASE ${database}`),
  }
}

/** The same with the tables in it: making them takes longer than some tests give a request. */
export async function newHome(port?: number): Promise<OwnDatabase> {
  const own = await newDatabase(port)
  await run({ ...own.login, multipleStatements: true }, mysqlSchema())
  return own
}

async function run(login: mysql.ConnectionOptions, text: string): Promise<void> {
  const connection = await mysql.createConnection(login)
  await connection.query(text)
  connection.destroy()
}

function fromUrl(url: string): Login {
  const { hostname, port, username, password } = new URL(url)
  return {
    host: hostname,
    port: Number(port || 3306),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  }
}
