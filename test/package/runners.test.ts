import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { output, root } from '../run.js'
import { discard, lend, pack, project, type Tarball } from './tarball.js'

// What the author of a store does: installs the package, opens the store, hands over the `test` of their runner.
let tarball: Tarball
let folder: string
beforeAll(async () => {
  tarball = await pack()
  folder = await project(tarball, {
    'node.test.cjs': `
      const { test } = require('node:test')
      const { testSessionStore } = require('staykept/conformance')
      const { memoryStore } = require('staykept/memory')
      testSessionStore({ test, open: () => memoryStore() })`,
    'mocha.test.mjs': `
      import { testSessionStore } from 'staykept/conformance'
      import { memoryStore } from 'staykept/memory'
      testSessionStore({ test: it, open: () => memoryStore() })`,
    'vitest.test.ts': `
      import { testSessionStore } from 'staykept/conformance'
      import { memoryStore } from 'staykept/memory'
      import { test } from 'vitest'
      testSessionStore({ test, open: () => memoryStore() })`,
    'vitest.config.mjs': `
      export default { test: { testTimeout: 60_000 } }`,
  })
  await lend(folder, 'vitest')
})
afterAll(() => discard(tarball))

const modules = join(root, 'node_modules')

const runners: readonly { name: string; args: readonly string[]; passed: RegExp }[] = [
  { name: 'node:test', args: ['--test', 'node.test.cjs'], passed: /^# pass [1-9]\d*$/m },
  {
    name: 'mocha',
    args: [join(modules, 'mocha/bin/mocha.js'), '--timeout', '60000', 'mocha.test.mjs'],
    passed: /^ *[1-9]\d* passing/m,
  },
  {
    name: 'vitest',
    args: [join(modules, 'vitest/vitest.mjs'), 'run', 'vitest.test.ts'],
    passed: /Tests +[1-9]\d* passed/,
  },
]

test.each(runners)('the conformance kit runs under $name', async ({ args, passed }) => {
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, VITEST: undefined }
  expect(await output(process.execPath, args, { cwd: folder, env })).toMatch(passed)
})
