import { createClient } from 'redis'
import { session } from 'staykept'
import { redisStore } from 'staykept/redis'
import { expect, test } from 'vitest'
import { createClient as createBrowser, serve } from '../http.js'
import { notRun } from '../not-run.js'
import { createApp } from '../processes/app.cjs'
import { ask, missing, start } from '../servers/redis.js'
import { SECRET } from '../worlds.js'

const why = missing()
if (why !== undefined) notRun('what a hit of the near cache costs Redis', why)

/** How often the server ran which command, but for those of the feed and of this question. */
async function commandsOf(port: number): Promise<string[]> {
  const told = (await ask(port, 'INFO', 'commandstats')).matchAll(/^cmdstat_([\w|]+):calls=(\d+)/gm)
  return [...told]
    .filter(([, name]) => !['info', 'ping', 'quit'].includes(name ?? ''))
    .map(([, name, calls]) => `${name} ${calls}`)
}

test.skipIf(why !== undefined)('a thousand hits cost the server nothing', async () => {
  const server = await start()
  const client = createClient({ url: `redis://127.0.0.1:${server.port}` })
  await client.connect()
  const sessions = session({ secret: SECRET, store: redisStore({ client }), nearCache: true })
  const site = await serve(createApp(sessions))
  const browser = createBrowser(site.url)
  await browser.post('/login')
  for (let warm = 0; warm < 20; warm += 1) await browser.get('/me')
  await new Promise((resolve) => setTimeout(resolve, 300))
  await browser.get('/me')
  const before = await commandsOf(server.port)
  for (let hit = 0; hit < 1000; hit += 1) expect((await browser.get('/me')).status).toBe(200)
  expect(await commandsOf(server.port)).toEqual(before)
  await sessions.close()
  client.destroy()
  await server.close()
})
