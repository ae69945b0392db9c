import { expect, onTestFinished, test } from 'vitest'
import { notRun } from '../not-run.js'
import * as mongodb from '../servers/mongodb.js'
import * as postgres from '../servers/postgres.js'
import * as redis from '../servers/redis.js'
import * as sentinel from '../servers/sentinel.js'
import { sharedServer } from '../servers/shared.js'
import { rig as dynamodb } from '../stores/dynamodb.rig.js'
import * as mysql from '../stores/mysql/databases.js'
import { goToAndFro } from './to-and-fro.js'

interface Case {
  readonly name: string
  readonly says: RegExp
  missing?(): string | undefined
  address(): Promise<string>
  readonly env?: Record<string, string>
}

const cases: readonly Case[] = [
  {
    name: 'Redis',
    says: /kept in Redis at 127\.0\.0\.1:\d+, database 3\n/,
    missing: redis.missing,
    address: async () => `redis://127.0.0.1:${(await sharedServer('redis')).port}/3`,
  },
  {
    name: 'a Redis Cluster',
    says: /kept in Redis Cluster at 127\.0\.0\.1:1, 127\.0\.0\.1:\d+\n/,
    missing: redis.missing,
    // Of the nodes that are named, one is not there.
    address: async () =>
      `redis+cluster://127.0.0.1:1,127.0.0.1:${(await sharedServer('cluster')).port}`,
  },
  {
    name: 'Redis behind Sentinel',
    says: /kept in Redis, primary sessions of the sentinels at 127\.0\.0\.1:1, 127\.0\.0\.1:\d+\n/,
    missing: sentinel.missing,
    address: async () =>
      `redis+sentinel://127.0.0.1:1,127.0.0.1:${(await sharedServer('sentinel')).port}/sessions`,
  },
  {
    name: 'PostgreSQL',
    says: /kept in PostgreSQL at 127\.0\.0\.1:\d+, database postgres\n/,
    missing: postgres.missing,
    address: async () =>
      `postgres://postgres@127.0.0.1:${(await sharedServer('postgres')).port}/postgres`,
  },
  {
    name: 'MariaDB',
    says: /kept in MariaDB at 127\.0\.0\.1:\d+, database s_\w+\n/,
    missing: mysql.missing,
    async address() {
      const { login, remove } = await mysql.newDatabase()
      onTestFinished(remove)
      return `mariadb://${login.user}:${login.password}@${login.host}:${login.port}/${login.database}`
    },
  },
  {
    name: 'MongoDB, the double',
    says: /kept in MongoDB at 127\.0\.0\.1:\d+, database stillware\n/,
    address: async () => `${mongodb.urlOf((await sharedServer('mongodb')).port)}stillware`,
  },
  {
    name: 'DynamoDB, dynalite',
    says: /kept in DynamoDB, table staykept_\S+ in us-east-1 at http:\/\/127\.0\.0\.1:\d+\n/,
    async address() {
      const { settings, remove } = await dynamodb.prepare()
      onTestFinished(() => remove?.())
      const { table, config } = settings
      return `dynamodb://${table}?region=us-east-1&endpoint=${config.endpoint}`
    },
    env: { AWS_ACCESS_KEY_ID: 'any', AWS_SECRET_ACCESS_KEY: 'any' },
  },
]

test.each(cases)(
  'two shops share their visitors, and what these end, in $name',
  async ({ name, says, missing, address, env }) => {
    const why = missing?.()
    if (why !== undefined) return notRun(`the shop on ${name}`, why)
    const printed = await goToAndFro({ ...env, SESSION_STORE: await address() })
    expect(printed).toMatch(says)
  },
)
