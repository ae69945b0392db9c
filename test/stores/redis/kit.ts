import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type Around, type EngineHooks, testSessionStore } from '../../../src/conformance.js'
import { redisStore } from '../../../src/stores/redis.js'
import { startProxy, type TcpProxy } from '../../servers/proxy.js'
import { ask } from '../../servers/redis.js'
import { type Client, type ClientKind, end } from './clients.js'

export interface Engines {
  /** Where a client starts to look. */
  readonly port: number
  /** The ports of all servers that keep data. */
  readonly servers: readonly number[]
}

/**
 * The whole kit on one kind of client, with everything in its hooks: between two commands of a call, and with a network
 * that loses the reply to a change.
 */
export function kitOn(kind: ClientKind, engines: () => Engines): void {
  describe(kind.name, () => {
    let proxies: TcpProxy[]
    let client: Client
    let watched: Watched

    beforeAll(async () => {
      const { port, servers } = engines()
      proxies = await Promise.all(servers.map((server) => startProxy(server)))
      const through = Object.fromEntries(servers.map((server, at) => [server, proxies[at]?.port]))
      const isStandalone = servers.length === 1 && servers[0] === port
      const first = isStandalone ? (proxies[0]?.port as number) : port
      client = kind.open({ port: first, through: through as Record<number, number> })
      watched = watch(client)
    })
    afterAll(async () => {
      await end(client)
      for (const proxy of proxies) await proxy.close()
    })

    const hooks: EngineHooks = {
      intercept: (around) => watched.intercept(around),
      cutReply(method) {
        let isLost = false
        for (const proxy of proxies) {
          proxy.loseReplyTo((request) => {
            if (isLost || !REQUESTS[method].test(request)) return false
            isLost = true
            return true
          })
        }
      },
      async cutFeed() {
        await Promise.all(engines().servers.map(cutFeeds))
      },
      async executions(method) {
        let times = 0
        for (const port of engines().servers) {
          // A replica counts what its primary did once more.
          if ((await ask(port, 'INFO', 'replication')).includes('role:slave')) continue
          const stats = await ask(port, 'INFO', 'commandstats')
          times += Number(
            new RegExp(`cmdstat_${CHANGES[method]}:calls=(\\d+)`).exec(stats)?.[1] ?? 0,
          )
        }
        return times
      },
    }

    testSessionStore({
      test,
      open() {
        const prefix = `${randomUUID()}:`
        return {
          store: redisStore({ client: watched.client, prefix }),
          reopen: () => redisStore({ client, prefix }),
          ...hooks,
        }
      },
    })
  })
}

/** Ends the connections that keys are tracked for. */
async function cutFeeds(port: number): Promise<void> {
  for (const line of (await ask(port, 'CLIENT', 'LIST')).split('\n')) {
    const [, id, flags = ''] = /^(?:\$.*\r\n)?id=(\d+) .* flags=(\w+)/.exec(line) ?? []
    if (id !== undefined && flags.includes('t')) await ask(port, 'CLIENT', 'KILL', 'ID', id)
  }
}

/** How a change is asked for, and the command by which the engine does it. */
const REQUESTS = { create: /eval/i, update: /eval/i, touch: /eval/i, delete: /eval/i }
const CHANGES = { create: 'set', update: 'set', touch: 'setrange', delete: 'getdel' }

interface Watched {
  readonly client: Client
  intercept(around: Around): () => void
}

/**
 * A client whose commands can be held. Held or not, they leave in the order in which they were given, as they would on a
 * connection: none overtakes another.
 */
function watch(client: Client): Watched {
  let around: Around | undefined
  let last: Promise<unknown> = Promise.resolve()
  type Send = (...args: unknown[]) => Promise<unknown>

  /** `client` with one method in whose way `around` stands. */
  function held(method: string): PropertyDescriptor {
    const send = (client as unknown as Record<string, unknown>)[method] as Send
    const value: Send = (...args) => {
      if (around === undefined) return send.apply(client, args)
      const turn = last
      let leave = () => {}
      last = new Promise<void>((resolve) => {
        leave = resolve
      })
      const answer = around(async () => {
        await turn
        leave()
        return send.apply(client, args)
      })
      answer.then(leave, leave)
      return answer
    }
    return { value }
  }

  // What the store calls on it: behind Sentinel, what the sentinel client's own commands call.
  const method = 'getMasterNode' in client ? '_execute' : 'sendCommand'
  return {
    client: Object.create(client, { [method]: held(method) }),
    intercept(next) {
      around = next
      return () => {
        around = undefined
      }
    },
  }
}
