import net from 'node:net'
import { missingProgram, type ServerProcess, type ServerRecipe, startServer } from './process.js'

/** Why there is no Redis here; `undefined` where there is one. */
export function missing(): string | undefined {
  return missingProgram('redis-server')
}

export interface RedisSettings {
  readonly port?: number
  /** More lines of redis.conf, as arguments: `['--maxmemory', '8mb']`. */
  readonly args?: readonly string[]
}

/** A Redis without persistence, unless its arguments say otherwise. */
export function start({ port, args = [] }: RedisSettings = {}): Promise<ServerProcess> {
  return startServer(recipe({ ...(port === undefined ? {} : { port }), args }))
}

function recipe({ port, args = [] }: RedisSettings): ServerRecipe {
  return {
    command: 'redis-server',
    ...(port === undefined ? {} : { port }),
    args: (place) => [
      ...['--port', String(place.port), '--bind', '127.0.0.1', '--dir', place.folder],
      ...['--save', '', '--appendonly', 'no', '--daemonize', 'no', ...args],
    ],
    isReady: async (place) => /^[+-]/.test(await ask(place.port, 'PING')),
  }
}

/** One command of words without spaces, by hand: no client stands between. Rejects where nothing answers within 2 s. */
export function ask(port: number, ...words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = net.connect(port, '127.0.0.1', () => {
      // The server closes after QUIT: what came until then is the whole answer.
      socket.write(`${words.join(' ')}\r\nQUIT\r\n`)
    })
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer')))
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    socket.once('error', reject).once('close', () => resolve(text.replace(/\+OK\r\n$/, '')))
  })
}
