import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { SessionStore, StoreKey } from '../../src/core/store.js'
import { dist } from '../dist.js'
import { inParallel } from '../worlds.js'
import { type Engine, oneOfEach } from './engines.js'
import { row } from './load.js'
import { needs } from './needs.js'

const isLarge = process.env.STAYKEPT_LARGE === '1'
const there = oneOfEach.filter(({ name, missing }) => !needs(name, missing))

describe.each(there)('$name', (engine) => {
  // Each is a process to be started, and there are several engines.
  const kills = isLarge ? 200 : process.env.CI === 'true' ? 60 : 24

  test(`F13: ${kills} processes killed in the middle of writing leave everything acknowledged, nothing torn, and a true index`, async () => {
    const server = await engine.start()
    onTestFinished(() => server.close())
    const told = await inParallel(kills, 4, (index) => killedAfter(engine, server.port, index))
    const require = createRequire(import.meta.url)
    const library = await dist()
    const opened = require(engine.opener).open(
      (name: string) => require(join(library, `${name}.cjs`)),
      engine.settings(server.port),
    )
    onTestFinished(() => opened.close?.())
    const store: Required<SessionStore> = opened.store
    const sessions = told.flatMap((lines) => [...expectedOf(lines)])
    const now = Date.now()
    let acknowledged = 0
    await inParallel(sessions.length, 50, async (index) => {
      const [key, versions] = sessions[index] as [StoreKey, readonly (string | null)[]]
      const found = await store.load(key, now)
      expect(versions, key).toContain(found?.version ?? null)
      if (found) expect(JSON.parse(found.payload)).toHaveProperty('text')
      const listed = await store.listByUser(`user-${key}`, now)
      expect(listed.map(({ record }) => record.version)).toEqual(found ? [found.version] : [])
      if (versions.length === 1) acknowledged += 1
    })
    row(`${engine.name} F13`, 'processes killed', kills, 'sessions', sessions.length)
    // Each has stored something; of some, that is what they were about to change again.
    expect(acknowledged).toBeGreaterThan(kills / 2)
  }, 300_000)
})

interface Line {
  readonly begin?: string
  readonly version?: string | null
  readonly stored?: string
}

/** What a writer said until it was killed, some milliseconds after the first thing was stored. */
async function killedAfter(engine: Engine, port: number, index: number): Promise<Line[]> {
  const settings = { dist: await dist(), opener: engine.opener, place: engine.settings(port) }
  const script = join(import.meta.dirname, 'writer.cjs')
  const child: ChildProcess = spawn(process.execPath, [script, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  let isDoomed = false
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    if (isDoomed || !text.includes('stored')) return
    isDoomed = true
    setTimeout(() => child.kill('SIGKILL'), 50 + ((index * 37) % 150))
  })
  const [code, signal] = await once(child, 'close')
  expect([code, signal]).toEqual([null, 'SIGKILL'])
  // The half line of the kill is left out.
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

/** For each session the versions under which it may stand, `null` for none: the acknowledged one, and what was under way. */
function expectedOf(lines: readonly Line[]): Map<string, readonly (string | null)[]> {
  const expected = new Map<string, readonly (string | null)[]>()
  for (const { begin, version = null, stored } of lines) {
    if (begin !== undefined) expected.set(begin, [...(expected.get(begin) ?? [null]), version])
    if (stored !== undefined) expected.set(stored, (expected.get(stored) ?? []).slice(-1))
  }
  return expected
}
