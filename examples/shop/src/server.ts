import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DEMO, DEMO_ADMIN } from './accounts.js'
import { openShop, type Shop } from './app.js'
import { answerBrokenRequests } from './broken-requests.js'
import { type Config, readConfig } from './config.js'
import { configError } from './config-error.js'
import { drainable } from './drain.js'

/** Platforms kill 10 s after SIGTERM at the earliest. */
const DRAIN_DEADLINE = 8_000

const NEAR_CACHE: Readonly<Record<Shop['nearCache'], string>> = {
  on: 'on, reads are answered from memory',
  off: 'off, NEAR_CACHE=on switches it on',
  impossible: 'off, although NEAR_CACHE=on: it needs a store with a change feed',
}

try {
  await start(readConfig(process.env))
} catch (error) {
  if (!(error instanceof Error) || error.name !== 'ConfigError') throw error
  console.error(error.message)
  process.exitCode = 1
}

async function start(config: Config): Promise<void> {
  const shop = await openShop(config)
  const server = createServer(shop.app)
  answerBrokenRequests(server)
  const drain = drainable(server)

  server.listen(config.port)
  await once(server, 'listening').catch(async (error: NodeJS.ErrnoException) => {
    await shop.close()
    if (error.code !== 'EADDRINUSE') throw error
    throw configError(
      `Port ${config.port} is taken. Choose another: PORT=${config.port + 1} npm start`,
    )
  })
  welcome(config, shop, (server.address() as AddressInfo).port)

  async function stop(): Promise<void> {
    shop.drain()
    await drain(DRAIN_DEADLINE)
    await shop.close()
    process.exit(0)
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

function welcome({ demoAccount, sessionStore }: Config, shop: Shop, port: number): void {
  const lines = [
    `Stillware is open at http://localhost:${port}`,
    `Sessions are kept in ${sessionStore.name}`,
    `Near cache: ${NEAR_CACHE[shop.nearCache]}`,
  ]
  if (!shop.hasFeed) {
    lines.push(
      'This store tells nobody of changes: what another process signs out is noticed within 30 seconds',
    )
  }
  if (demoAccount) {
    lines.push(
      'Demo accounts, in development only:',
      `  ${DEMO.email}, password "${DEMO.password}"`,
      `  ${DEMO_ADMIN.email}, password "${DEMO_ADMIN.password}": looks after the shop`,
    )
  }
  console.log(lines.join('\n'))
}
