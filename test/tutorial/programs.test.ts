import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { dist } from '../dist.js'
import { createClient } from '../http.js'
import { root } from '../run.js'

beforeAll(() => dist())

test('first-session.js counts the visits of each browser', async () => {
  const { url } = await start('first-session.js')
  const ada = createClient(url)
  for (const visits of [1, 2, 3]) expect((await ada.get('/')).text).toBe(`Visits: ${visits}`)
  expect((await createClient(url).get('/')).text).toBe('Visits: 1')
})

test('login.js knows who logged in until they log out, and then the old cookie is dead', async () => {
  const { url } = await start('login.js')
  const john = createClient(url)
  expect((await john.get('/dashboard')).status).toBe(401)
  await john.get('/login')
  const welcome = await john.get('/dashboard')
  expect(welcome.text).toBe('Welcome back, JohnDoe! Your role is: admin')

  const copy = createClient(url, john.jar.clone())
  expect((await john.get('/logout')).text).toBe('You have been logged out.')
  expect(john.jar.header()).toBe('')
  expect((await copy.get('/dashboard')).status).toBe(401)
})

test('complete.js keeps its sessions through a restart, and ends them here and elsewhere', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tutorial-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const env = { SESSIONS: join(folder, 'sessions.db') }
  const before = await start('complete.js', env)
  const laptop = createClient(before.url)
  const phone = createClient(before.url)
  for (const device of [laptop, phone]) {
    expect((await device.post('/login')).text).toBe('Login successful')
  }
  await before.stop()

  const { url } = await start('complete.js', env)
  const again = createClient(url, laptop.jar)
  const hello = 'Hello, JohnDoe. Accessing admin panel...'
  expect((await again.get('/dashboard')).text).toBe(hello)
  expect((await again.post('/logout-elsewhere')).text).toBe('Logged out elsewhere: 1')
  expect((await createClient(url, phone.jar).get('/dashboard')).status).toBe(401)

  const copy = createClient(url, again.jar.clone())
  expect((await again.post('/logout')).text).toBe('Logged out successfully')
  expect((await copy.get('/dashboard')).json()).toEqual({ error: 'Unauthorized' })
})

interface Program {
  readonly url: string
  stop(): Promise<void>
}

async function start(name: string, env: Record<string, string> = {}): Promise<Program> {
  const child = spawn(process.execPath, [join(root, 'examples/tutorial', name)], {
    env: { ...process.env, ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let text = ''
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        const port = /http:\/\/localhost:(\d+)/.exec(text)?.[1]
        if (port) resolve(`http://localhost:${port}`)
      })
    }
    void ended.then(() => reject(new Error(`${name} ended:\n${text}`)))
  })
  return {
    url,
    stop() {
      child.kill()
      return ended
    },
  }
}
