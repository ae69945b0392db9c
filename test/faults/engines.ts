import { missing as noPostgres, start as startPostgres } from '../servers/postgres.js'
import type { ServerProcess } from '../servers/process.js'
import { missing as noRedis, start as startRedis } from '../servers/redis.js'
import type { Settings } from '../stores/rig.js'

/** A server that tests treat badly. */
export interface Engine {
  readonly name: string
  /** Why there is none here. */
  readonly missing: string | undefined
  /** It keeps what it acknowledged, whoever kills it. */
  start(port?: number): Promise<ServerProcess>
  /** A file as in `StoreRig`: it opens the store in another process, as an application would. */
  readonly opener: string
  settings(port: number): Settings
  /** Milliseconds between two resets of all its connections, and requests a second meanwhile: some connect slowly. */
  readonly resets: { readonly every: number; readonly perSecond: number }
}

const ON_DISK = ['--appendonly', 'yes', '--appendfsync', 'always']

export const redis: Engine = {
  name: 'Redis',
  missing: noRedis(),
  start: (port) => startRedis({ args: ON_DISK, ...(port === undefined ? {} : { port }) }),
  opener: '../faults/redis.open.cjs',
  settings: (port) => ({ port }),
  resets: { every: 200, perSecond: 300 },
}

export const postgres: Engine = {
  name: 'PostgreSQL',
  missing: noPostgres(),
  start: (port) => startPostgres(port === undefined ? {} : { port }),
  opener: '../faults/postgres.open.cjs',
  settings: (port) => ({ port }),
  resets: { every: 1000, perSecond: 100 },
}

export const engines: readonly Engine[] = [redis, postgres]
