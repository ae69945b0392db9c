import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { session } from 'staykept'
import { memoryStore } from 'staykept/memory'
import { describe, expect, test } from 'vitest'
import { check, checkEndAll, checkHit } from '../benchmarks/checks.js'
import { simulate } from '../benchmarks/feed-simulation.js'
import { dist } from './dist.js'
import { type RunResult, root, run } from './run.js'
import { SECRET } from './worlds.js'

test('the benchmark prints a table of each kind, with the versions and what is to be reached', async () => {
  await dist()
  const { code, stdout, stderr } = await bench('memory', 'read a key', '--quick', '--rounds', '1')
  expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
  for (const title of ['The session layer alone', 'The whole stack', 'Counted', 'Targets']) {
    expect(stdout).toMatch(new RegExp(`^## ${title}[^|]*\\| .* \\|\\n\\| ---`, 'm'))
  }
  expect(stdout).not.toContain('not timed')
  expect(stdout).toMatch(/^\| {2}\| staykept, memory \| [1-9]\d* \|/m)
  expect(stdout).toContain('| staykept, memory: read a key |')
  expect(stdout).toContain(`Node ${process.versions.node}, express 5`)
})

test('a word that the benchmark does not know is answered with those that it does', async () => {
  await dist()
  const { code, stderr } = await bench('memry')
  expect(code).toBe(2)
  expect(stderr).toContain("'memry' is none of these")
  expect(stderr).toContain('memory · sqlite')
})

test('a store whose server is not on this machine is left out, and that is said', async () => {
  await dist()
  const { code, stdout } = await bench('redis', { PATH: '/nowhere' })
  expect(code).toBe(0)
  expect(stdout).toContain('Not run: redis-server is not installed.')
})

describe('what is not right is not timed', () => {
  const sessions = session({ secret: SECRET, store: memoryStore() })
  const signIn = (req: IncomingMessage, data: Record<string, unknown>, done: () => void): void => {
    req.session.signIn(String(data.visits), { data }).then(done, done)
  }

  test('a session layer that is right passes', () => check({ middleware: sessions, signIn }))

  test('one that ends all sessions of a user passes, and none that cannot, or ends nothing, or others too', async () => {
    let people = 0
    const able = {
      middleware: sessions,
      signIn(req: IncomingMessage, data: Record<string, unknown>, done: () => void) {
        people += 1
        req.session.signIn(`person ${people}`, { data }).then(done, done)
      },
    }
    const endLast = async () => void (await sessions.revokeByUser(`person ${people}`))
    await checkEndAll({ ...able, endAll: endLast })
    await expect(checkEndAll(able)).rejects.toThrow('cannot end all sessions of a user')
    await expect(checkEndAll({ ...able, endAll: async () => {} })).rejects.toThrow('all sessions')
    const endBoth = async () => {
      await endLast()
      await sessions.revokeByUser(`person ${people - 1}`)
    }
    await expect(checkEndAll({ ...able, endAll: endBoth })).rejects.toThrow('those of others stay')
  })

  test('one that takes every cookie for the same person', async () => {
    const one = { user: { name: 'Ada Lovelace' }, visits: 12 }
    const wrong = check({
      middleware(req, _res, next) {
        Object.defineProperty(req, 'session', { value: req.headers.cookie ? one : {} })
        next()
      },
      signIn,
    })
    await expect(wrong).rejects.toThrow()
  })

  test('one that loses what was changed', async () => {
    const wrong = check({
      middleware(req, res, next) {
        sessions(req, res, (error) => {
          if (error) return next(error)
          if (req.session.info.userId !== undefined) {
            const forgotten = { ...req.session, visits: 12 }
            Object.defineProperty(req, 'session', { value: forgotten })
          }
          next()
        })
      },
      signIn,
    })
    await expect(wrong).rejects.toThrow('a change stays')
  })

  test('one in which the cookie of a stranger is that of the user later', async () => {
    const wrong = check({
      middleware: sessions,
      signIn(req, data, done) {
        Object.assign(req.session, data)
        done()
      },
    })
    await expect(wrong).rejects.toThrow('a cookie from before a sign-in is not in')
  })
})

describe('a near cache that does not answer by itself is not timed', () => {
  const reading = {
    middleware(_req: IncomingMessage, _res: ServerResponse, next: () => void): void {
      next()
    },
    look: () => ({ user: { name: 'Ada Lovelace' } }),
  }

  test('one that does passes', () => checkHit(reading, 'sid=ada'))

  test('one that waits for anything', async () => {
    const wrong = checkHit({ ...reading, middleware: (_req, _res, next) => setImmediate(next) }, '')
    await expect(wrong).rejects.toThrow('is read without waiting')
  })
})

test('how soon another process hears of a sign-out is printed, and that it heard of all', async () => {
  await dist()
  const ended = join(root, 'benchmarks/ended.js')
  const { code, stdout } = await run(process.execPath, [ended, 'sqlite', '20'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^\| sqlite \| 20 \| 20 \| -?[\d.]+ \|/m)
})

describe('the simulation of the feed gives what can be reckoned', () => {
  const size = { sessions: 400, perSession: 2, warmUp: 100, seconds: 400 }

  /** An entry lives until the next change, or its age; then the next request that does not change it makes a new one. */
  function reckoned(requestsPerSecond: number): number {
    const changes = 2 * 0.1
    const life = (1 - Math.exp(-30 * changes)) / changes
    const made = requestsPerSecond * 0.9
    return (made * life) / (1 + made * life)
  }

  test.each([
    [4, false, reckoned(2 / 4)],
    [4, true, reckoned(2)],
    [32, false, reckoned(2 / 32)],
  ])('of %i processes, sticky: %s', (processes, isSticky, hitRatio) => {
    const found = simulate({ ...size, processes, isSticky, writeShare: 0.1 })
    expect(Math.abs(found.hitRatio - hitRatio)).toBeLessThan(0.01)
    expect(found.toldPerSecond / (400 * 2 * 0.1)).toBeCloseTo(1, 1)
  })

  test('every touch is told, and nothing else where nobody changes anything', () => {
    const found = simulate({ ...size, processes: 2, writeShare: 0, touchEvery: 50 })
    expect(found.toldPerSecond / (400 / 50)).toBeCloseTo(1, 1)
  })
})

function bench(...words: readonly (string | NodeJS.ProcessEnv)[]): Promise<RunResult> {
  const env = Object.assign({}, process.env, ...words.filter((word) => typeof word === 'object'))
  const args = words.filter((word) => typeof word === 'string')
  return run(process.execPath, [join(root, 'benchmarks/bench.js'), ...args], { env })
}
