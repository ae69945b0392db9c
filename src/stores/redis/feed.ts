import type { StoreEvent, StoreFeed } from '../../core/store.js'
import type { Commands } from './commands.js'
import type { Connection } from './connection.js'
import type { Ends } from './ends.js'
import { createListening, type Listening } from './listening.js'
import { recentSet } from './recent.js'
import type { Recovery } from './recovery.js'
import { closedStore } from './refusals.js'
import { createSurvey } from './survey.js'

export interface FeedParts {
  readonly connection: Connection
  readonly commands: Commands
  readonly recovery: Recovery
  readonly start: string
  readonly ends: Ends
}

/** All watchers of a store share what it listens to. */
export interface Feed {
  watch(listener: (event: StoreEvent) => void): StoreFeed
  close(): void
}

/** A cluster passes a message on to all its nodes, and each has a connection that listens. */
const REMEMBERED = 2048

export function createFeed({ connection, commands, recovery, start, ends }: FeedParts): Feed {
  const listeners = new Set<(event: StoreEvent) => void>()
  let listening: Listening | undefined
  let isClosed = false

  function listen(): Listening {
    const told = recentSet(REMEMBERED)
    const isCluster = connection.refresh !== undefined
    return createListening({
      ...{ connection, commands, start, ends },
      survey: createSurvey(connection, recovery),
      tell(event) {
        if (isCluster && event.type === 'ended') {
          const end = `${event.key} ${event.reason}`
          if (told.has(end)) return
          told.add(end)
        }
        for (const listener of listeners) listener(event)
      },
    })
  }

  return {
    watch(listener) {
      if (isClosed) throw closedStore()
      // Wrapped: the same function may listen twice, and each stops for itself.
      const own = (event: StoreEvent): void => listener(event)
      listeners.add(own)
      listening?.renewSilent()
      listening ??= listen()
      const current = listening
      return {
        check: () => current.check(),
        stop() {
          if (!listeners.delete(own) || listeners.size > 0) return
          current.close()
          listening = undefined
        },
      }
    },
    close() {
      isClosed = true
      listeners.clear()
      listening?.close()
      listening = undefined
    },
  }
}
