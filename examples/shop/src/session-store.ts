import { resolve } from 'node:path'
import { memoryStore } from 'staykept/memory'
import { sqliteStore } from 'staykept/sqlite'
import { configError } from './config-error.js'
import type { SessionPlace } from './stores/place.js'

/** Reads SESSION_STORE. A client library is loaded when its store is opened, so only the one that is asked for. */
export function readSessionStore(value: string | undefined, dataDir: string): SessionPlace {
  const [, kind, place = ''] = /^(\w+):(.*)$/.exec(value || 'sqlite:') ?? []
  if (kind === 'sqlite') return sqlite(resolve(dataDir, place || 'sessions.db'))
  if (kind === 'memory' && place === '') return memory
  // Not echoed: an address of a database often has a password in it.
  throw configError(
    'SESSION_STORE is none that this shop knows. Known are "sqlite:" (a file in DATA_DIR), "sqlite:/path/to/file.db" and ' +
      '"memory:" (one process, forgets everybody when it stops).',
  )
}

function sqlite(filename: string): SessionPlace {
  return {
    name: `SQLite, in ${filename}`,
    open: async () => ({ store: sqliteStore({ filename }) }),
  }
}

const memory: SessionPlace = {
  name: 'the memory of this process',
  open: async () => ({ store: memoryStore() }),
}
