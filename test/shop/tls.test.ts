import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { cert, key } from '../express/certificate.js'
import { createClient } from '../http.js'
import { notRun } from '../not-run.js'
import { freePort } from '../servers/process.js'
import { missing, start } from '../servers/redis.js'
import { openTestShop, scratch, visitor } from './shop.js'
import { isSignedIn } from './to-and-fro.js'

test('over TLS the certificate of Redis is checked, against an own authority or, if told so, not at all', async (context) => {
  const why = missing()
  if (why !== undefined) return notRun('Redis over TLS', why, context)
  const folder = scratch()
  const file = join(folder, 'cert.pem')
  writeFileSync(file, cert)
  writeFileSync(join(folder, 'key.pem'), key)
  const port = await freePort()
  const server = await start({
    args: [
      ...['--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-ca-cert-file', file],
      ...['--tls-cert-file', file, '--tls-key-file', join(folder, 'key.pem')],
    ],
  })
  onTestFinished(() => server.close())

  const SESSION_STORE = `rediss://localhost:${port}`
  for (const params of [`?tlsCAFile=${file}`, '?tlsInsecure=true']) {
    const shop = await openTestShop({ SESSION_STORE: SESSION_STORE + params })
    const robin = visitor(shop)
    await robin.signIn()
    expect(await isSignedIn(robin)).toBe(true)
  }

  const strict = await openTestShop({ SESSION_STORE })
  expect((await createClient(strict.url).get('/readyz')).status).toBe(503)
  const { error } = await strict.sessions.check()
  expect(String(error)).toMatch(/self-signed certificate|SELF_SIGNED_CERT/)
})
