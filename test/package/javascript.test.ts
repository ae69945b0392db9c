import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { output } from '../run.js'
import { discard, pack, project, type Tarball } from './tarball.js'

let tarball: Tarball
let folder: string
beforeAll(async () => {
  tarball = await pack()
  folder = await project(tarball, { 'serve.cjs': serve(requires), 'serve.mjs': serve(imports) })
})
afterAll(() => discard(tarball))

const requires = `
  const { createServer } = require('node:http')
  const { session } = require('staykept')
  const { memoryStore } = require('staykept/memory')
`
const imports = `
  import { createServer } from 'node:http'
  import { session } from 'staykept'
  import { memoryStore } from 'staykept/memory'
`

/** A program that counts the visits of one browser over real HTTP and prints what it saw. */
function serve(head: string): string {
  return `${head}
  const sessions = session({ secret: 'a secret of at least thirty-two characters', store: memoryStore() })
  const server = createServer((req, res) => {
    sessions(req, res, (error) => {
      if (error) throw error
      req.session.visits = (req.session.visits ?? 0) + 1
      res.end(String(req.session.visits))
    })
  })
  server.listen(0, '127.0.0.1', async () => {
    const url = 'http://127.0.0.1:' + server.address().port
    const first = await fetch(url)
    const cookie = first.headers.getSetCookie()[0].split(';')[0]
    const second = await fetch(url, { headers: { cookie } })
    console.log(await first.text(), await second.text())
    server.close()
    server.closeAllConnections()
  })`
}

function evaluate(source: string, type: 'commonjs' | 'module'): Promise<string> {
  return output(process.execPath, [`--input-type=${type}`, '-e', source], { cwd: folder })
}

test('the tarball installs into an empty folder without a network and brings nothing along', async () => {
  const installed = await readdir(join(folder, 'node_modules'))
  expect(installed.filter((name) => !name.startsWith('.'))).toEqual(['staykept'])
})

test.each(['serve.cjs', 'serve.mjs'])('a %s program keeps a session over HTTP', async (file) => {
  expect((await output(process.execPath, [file], { cwd: folder })).trim()).toBe('1 2')
})

test('require gives the function itself, with every other name on it', async () => {
  const source = `
    const it = require('staykept')
    console.log(JSON.stringify([typeof it, it === it.session, it === it.default, it === it.default.default,
      typeof it.isSessionError, typeof it.SessionError]))`
  expect(JSON.parse(await evaluate(source, 'commonjs'))).toEqual([
    'function',
    true,
    true,
    true,
    'function',
    'function',
  ])
})

test('import gives the same names as require, and the same one implementation', async () => {
  const source = `
    import { createRequire } from 'node:module'
    const require = createRequire(process.cwd() + '/x.js')
    for (const name of ['staykept', 'staykept/memory', 'staykept/sqlite', 'staykept/testing', 'staykept/conformance']) {
      const imported = await import(name)
      const required = require(name)
      const names = Object.keys(imported).filter((key) => key !== 'default')
      const same = names.length > 0 && names.every((key) => imported[key] === required[key])
      const all = Object.keys(required).every((key) => key in imported)
      console.log(name, same && all)
    }
    const { default: it, session } = await import('staykept')
    console.log('default', it === session)`
  expect((await evaluate(source, 'module')).trim().split('\n')).toEqual([
    'staykept true',
    'staykept/memory true',
    'staykept/sqlite true',
    'staykept/testing true',
    'staykept/conformance true',
    'default true',
  ])
})

test('importing any part starts nothing: the process ends by itself, with nothing printed', async () => {
  const source = `
    for (const name of ['', '/memory', '/sqlite', '/testing', '/conformance']) require('staykept' + name)`
  expect(await evaluate(source, 'commonjs')).toBe('')
})

test.each([
  'staykept/dist/cjs/core/store.js',
  'staykept/cjs/core/store',
  'staykept/cjs/core/store.js',
])('what is inside cannot be imported by its path: %s', async (path) => {
  const source = `try { require('${path}') } catch (error) { console.log(error.code) }`
  expect((await evaluate(source, 'commonjs')).trim()).toMatch(
    /^(ERR_PACKAGE_PATH_NOT_EXPORTED|MODULE_NOT_FOUND)$/,
  )
})
