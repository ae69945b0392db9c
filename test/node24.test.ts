import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { dist } from './dist.js'
import { node24 } from './node24.js'
import { notRun } from './not-run.js'
import { output } from './run.js'

test('the compiled library runs on Node 24, by require and by import', async (context) => {
  const node = await node24().catch((error: Error) => notRun('Node 24', error.message, context))
  const folder = await dist()
  const source = `
    const required = require(${JSON.stringify(join(folder, 'index.cjs'))})
    import(${JSON.stringify(pathToFileURL(join(folder, 'index.mjs')))}).then((imported) => {
      console.log(process.version, typeof required, imported.session === required)
    })`
  expect(await output(node, ['-e', source])).toMatch(/^v24\.\S+ function true\n$/)
})
