import http from 'node:http'
import { expect, test } from 'vitest'
import { DEMO, DEMO_ADMIN } from '../../examples/shop/src/accounts.js'
import { createClient } from '../http.js'
import { startServer } from './server.js'
import { scratch, visitor } from './shop.js'

const SECRET = 'only-the-shop-knows-this-secret-of-44-chars!'

test('nothing that opens anything stands in the log or on the terminal', async () => {
  const server = await startServer(scratch(), {
    LOG_LEVEL: 'trace',
    SESSION_SECRET: SECRET,
    TRUST_PROXY: '1',
  })
  const issued = new Set<string>([SECRET])
  const robin = visitor(server)
  const note = () => {
    for (const part of robin.jar.get('sid')?.split('.').slice(1) ?? []) issued.add(part)
  }
  await robin.add('moon-jar')
  note()
  await robin.signIn()
  note()
  const token = await robin.token()
  issued.add(token)
  const stolen = robin.jar.clone()
  await robin.submit('/confirm', { password: DEMO.password })
  note()
  const changed = 'a password nobody logs'
  await robin.submit('/password', { current: DEMO.password, new: changed })
  note()
  for (const word of [DEMO.password, changed, 'a wrong password here']) issued.add(word)
  await visitor(server).signIn(DEMO.email, 'a wrong password here')
  await robin.submit('/sign-out')
  await robin.signIn(DEMO_ADMIN.email, DEMO_ADMIN.password)
  note()
  issued.add(DEMO_ADMIN.password)

  // Everything that goes wrong, with all of it at hand.
  const late = createClient(server.url, stolen)
  const headers = {
    origin: server.url,
    authorization: 'Bearer not-for-the-log',
    'x-csrf-token': token,
    'content-type': 'application/json',
  }
  issued.add('not-for-the-log')
  for (const body of ['{', `{"product":"${changed}`, 'x'.repeat(30_000), '{"product":1}']) {
    await late.post('/api/cart', { headers, body })
    await robin.post('/api/cart', { headers, body })
  }
  await robin.get(`/nowhere/?token=${token}&password=${encodeURIComponent(changed)}`)
  await robin.submit('/cart', { csrf: token, product: 'moon-jar' })
  await robin.post('/sign-in', { headers: { ...headers, origin: 'https://evil.example' } })
  await abandoned(server.url, robin.jar.header())
  server.child.kill('SIGTERM')
  expect(await server.ended).toBe(0)

  const printed = server.printed()
  const lines = printed.split('\n').filter((line) => line.startsWith('{'))
  expect(lines.length).toBeGreaterThan(25)
  expect(printed).toContain('"statusCode":403')
  expect(printed).toContain('"path":"/nowhere/"')
  const welcome = printed.slice(0, printed.indexOf('{'))
  const log = printed.slice(welcome.length)
  for (const secret of issued) {
    expect(secret.length).toBeGreaterThan(8)
    for (const written of [
      secret,
      encodeURIComponent(secret),
      new URLSearchParams({ secret }).toString().slice(7),
    ]) {
      expect(log.includes(written), `${secret} in the log`).toBe(false)
    }
  }
  expect(log).not.toMatch(/cookie|authorization|\?token/i)
  expect(log).not.toContain('robin@')
})

test('a line of the log names the account, by its id, and the request', async () => {
  const server = await startServer(scratch(), { LOG_LEVEL: 'info' })
  const robin = visitor(server)
  await robin.signIn()
  await robin.get('/dashboard?from=mail')
  server.child.kill('SIGTERM')
  await server.ended
  const lines = server
    .printed()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  expect(lines.find(({ req }) => req.path === '/dashboard')).toMatchObject({
    level: 30,
    req: { method: 'GET' },
    res: { statusCode: 200 },
    account: expect.stringMatching(/^[\w-]{36}$/),
  })
})

/** A request that goes away in the middle of its body. */
async function abandoned(url: string, cookie: string): Promise<void> {
  const request = http.request(`${url}/cart`, {
    method: 'POST',
    headers: { cookie, origin: url, 'content-length': '1000' },
  })
  request.on('error', () => {})
  await new Promise<void>((resolve) => request.write('product=', () => resolve()))
  request.destroy()
}
