import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { session } from 'staykept'
import { sqliteStore } from 'staykept/sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { dist } from '../dist.js'
import { createClient } from '../http.js'
import { count, inParallel, SECRET, start, stop } from '../worlds.js'

test('SIGTERM with 100 requests in flight: all are answered, all are stored, the process ends by itself (B34)', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'staykept-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const filename = join(folder, 'sessions.db')
  const { child, message } = await start('drain.cjs', { dist: await dist(), filename })
  onTestFinished(() => stop(child))
  const { port } = message as { port: number }
  let started = 0
  const allStarted = new Promise<void>((resolve) => {
    child.on('message', () => {
      started += 1
      if (started === 100) resolve()
    })
  })

  const pending = inParallel(100, 100, () => createClient(`http://127.0.0.1:${port}`).post('/slow'))
  await allStarted
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const answers = await pending
  expect(count(answers, ({ status, text }) => status === 200 && text === 'done')).toBe(100)
  expect(await exited).toEqual([0, null])

  const sessions = session({ secret: SECRET, store: sqliteStore({ filename }) })
  expect(await sessions.listByUser('ada')).toHaveLength(100)
  await sessions.close()
})
