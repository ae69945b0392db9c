import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dist } from './dist.js'
import { type Client, createClient } from './http.js'
import { root } from './run.js'
import { start, stop } from './worlds.js'

const tutorial = join(root, '../shared/tutorial.txt')

/** The lines from the first one that begins with `first` to the one before the next that begins with `end`. */
function passage(first: string, end: string): string {
  const lines = readFileSync(tutorial, 'utf8').split('\n')
  const from = lines.findIndex((line) => line.startsWith(first))
  const to = lines.findIndex((line, index) => index > from && line.startsWith(end))
  if (from < 0 || to < 0) throw new Error(`the tutorial has no passage from ${first} to ${end}`)
  return lines
    .slice(from, to)
    .join('\n')
    .replaceAll("require('express-session')", "require('staykept')")
}

interface Program {
  browser(): Client
  /** Moves the clock of the program by so many milliseconds, and answers the codes of its warnings so far. */
  advance(milliseconds: number): Promise<string[]>
}

async function run(code: string): Promise<Program> {
  const { child, message } = await start('program.cjs', { code, root, dist: await dist() })
  onTestFinished(() => stop(child as ChildProcess))
  const { port } = message as { port: number }
  return {
    browser: () => createClient(`http://127.0.0.1:${port}`),
    async advance(milliseconds) {
      child.send({ advance: milliseconds })
      const [{ warnings }] = await once(child, 'message')
      return warnings
    },
  }
}

// In a clone of this repository alone the tutorial is not there; test/tutorial has equivalents of its programs.
const suite = existsSync(tutorial) ? describe : reportMissing

suite('the tutorial, word for word but for the package name', () => {
  const setup = "const express = require('express')\nconst app = express()\n"
  const config = (): string =>
    setup + passage("const session = require('express-session')", 'secure: true while')
  const login = (): string => passage('// A mock login route', 'Destroying a Session')
  const logout = (): string => passage("app.get('/logout'", 'Using a Session Store')
  const listen = '\napp.listen(3000)'

  test('its configuration keeps what a handler writes, and stores nothing for others', async () => {
    const program = await run(
      `${config()}
      app.get('/', (req, res) => res.send(String(req.session.views)))
      app.get('/view', (req, res) => res.send(String(req.session.views = (req.session.views || 0) + 1)))
      ${listen}`,
    )
    const browser = program.browser()
    expect((await browser.get('/')).cookies).toEqual([])
    expect((await browser.get('/view')).cookies[0]).toMatch(
      /; Max-Age=\d+; Path=\/; HttpOnly; Same/,
    )
    expect((await browser.get('/view')).text).toBe('2')
    expect((await program.browser().get('/')).text).toBe('undefined')
    expect(await program.advance(0)).toEqual(['WARN_SESSION_SECRET'])
  })

  test('its login is remembered by its dashboard, in this browser, for a minute after the last request', async () => {
    const program = await run(config() + login() + listen)
    const browser = program.browser()
    const stranger = program.browser()
    expect((await browser.get('/dashboard')).status).toBe(401)
    expect((await browser.get('/login')).text).toBe(
      'You are now logged in and your session is active.',
    )
    const welcome = 'Welcome back, JohnDoe! Your role is: admin'
    expect((await browser.get('/dashboard')).text).toBe(welcome)
    expect((await stranger.get('/dashboard')).text).toBe('Please log in first.')
    await program.advance(50_000)
    expect((await browser.get('/dashboard')).text).toBe(welcome)
    await program.advance(50_000)
    expect((await browser.get('/dashboard')).text).toBe(welcome)
    await program.advance(61_000)
    expect((await browser.get('/dashboard')).status).toBe(401)
  })

  test('after its logout the browser has no cookie, and the cookie it had is dead', async () => {
    const program = await run(config() + login() + logout() + listen)
    const browser = program.browser()
    await browser.get('/login')
    const cookie = browser.jar.header()
    expect((await browser.get('/logout')).text).toBe('You have been logged out.')
    expect(browser.jar.get('sid')).toBe(undefined)
    expect((await browser.get('/dashboard')).status).toBe(401)
    const answer = await program.browser().get('/dashboard', { headers: { cookie } })
    expect(answer.text).toBe('Please log in first.')
    expect((await browser.get('/login')).status).toBe(200)
    expect((await browser.get('/dashboard')).status).toBe(200)
  })

  test('its complete example, without the lines about Redis, behaves as it claims', async () => {
    const code = passage('// 1. Setup Redis Client', 'Summary')
      .split('\n')
      .filter((line) => !/redis/i.test(line))
      .join('\n')
    const program = await run(`${setup}const session = require('staykept')\n${code}`)
    const browser = program.browser()
    expect((await browser.get('/dashboard')).json()).toEqual({ error: 'Unauthorized' })
    expect((await browser.post('/login')).text).toBe('Login successful')
    expect((await browser.get('/dashboard')).text).toBe('Hello, JohnDoe. Accessing admin panel...')
    const old = browser.jar.header()
    await program.advance(29 * 60_000)
    expect((await browser.get('/dashboard')).status).toBe(200)
    expect((await browser.get('/logout')).text).toBe('Logged out successfully')
    expect((await program.browser().get('/dashboard', { headers: { cookie: old } })).status).toBe(
      401,
    )
  })
})

function reportMissing(): void {
  test('the tutorial is not beside this repository', () => {
    console.log('not run: the tutorial word for word: ../shared/tutorial.txt is not there')
  })
}
