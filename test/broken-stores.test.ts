import { describe, expect, test } from 'vitest'
import { wrongConnections } from './broken-stores/connections.js'
import { wrongDeadlines } from './broken-stores/deadlines.js'
import { openReference } from './broken-stores/reference.js'
import { runKit } from './broken-stores/run-kit.js'
import { wrongUsers } from './broken-stores/users.js'
import { wrongWrites } from './broken-stores/writes.js'

const wrong = Object.entries({
  ...wrongWrites,
  ...wrongDeadlines,
  ...wrongUsers,
  ...wrongConnections,
})

describe('the kit refuses a store that', () => {
  for (const [mistake, { mutation, caughtBy }] of wrong) {
    test.concurrent(mistake, async () => {
      const group = caughtBy.slice(0, caughtBy.indexOf(':'))
      const only = (title: string) => title.startsWith(`${group}:`)
      const { failed } = await runKit(() => openReference(mutation), { only })
      expect([...failed.keys()]).toContain(caughtBy)
    })
  }
})

test('every mistake is caught by a test of its own', () => {
  expect(new Set(wrong.map(([, { caughtBy }]) => caughtBy)).size).toBe(wrong.length)
})

test('the store without a mistake is refused by no test, and none is left out', async () => {
  const { failed, skipped, passed } = await runKit(() => openReference())
  expect([...failed]).toEqual([])
  expect(skipped).toEqual([])
  expect(passed.length).toBeGreaterThan(100)
})
