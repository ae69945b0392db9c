import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root, run } from '../run.js'
import { discard, type Files, lend, pack, project, type Tarball, write } from './tarball.js'

let tarball: Tarball
let plain: string
let withExpress: string
beforeAll(async () => {
  tarball = await pack()
  plain = await project(tarball)
  withExpress = await project(tarball)
  await lend(plain, '@types/node')
  await lend(withExpress, '@types/node')
  await lend(withExpress, '@types/express')
})
afterAll(() => discard(tarball))

const compilers = {
  'TypeScript 7': join(root, 'node_modules/typescript/bin/tsc'),
  'TypeScript 5.9': join(root, 'node_modules/typescript-5/bin/tsc'),
}
type Compiler = keyof typeof compilers

const modules = {
  node16: { module: 'node16' },
  nodenext: { module: 'nodenext' },
  bundler: { module: 'preserve', moduleResolution: 'bundler' },
  node10: { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true },
}
type ModuleKind = keyof typeof modules

/** Fails to compile where `T` is `any`, which would satisfy every other check. */
const notAny = `
  type NotAny<T> = 0 extends 1 & T ? never : true
  function known<T>(_value: T, _check: NotAny<T>): void {}
`

const uses = `
  ${notAny}
  const sessions = session({ secret: 'x', store: memoryStore() })
  createServer((req, res) => {
    sessions(req, res, () => {
      known(req.session, true)
      known(req.session.id, true)
      const cart: string[] | undefined = req.session.cart
      const visits: number | undefined = req.session.visits
      req.session.cart = ['apple', ...(cart ?? [])]
      // @ts-expect-error: the type of a key is the one declared for it
      req.session.visits = 'many'
      // @ts-expect-error: a key that nobody declared
      req.session.other = visits
      known(req.session.signIn, true)
    })
  })
  known(isSessionError, true)
  const data: SessionData = { visits: 1 }
  known(data.cart, true)
`

const head = `
  import { createServer } from 'node:http'
  import { isSessionError, type SessionData, session } from 'staykept'
  import { memoryStore } from 'staykept/memory'
`

/** Two files of one program, an ES module and a CommonJS one, that each add a key to the same interface. */
const both: Files = {
  'a.mts': `${head}
    import byDefault from 'staykept'
    declare module 'staykept' { interface SessionData { cart?: string[] } }
    byDefault({ secret: 'x' })
    ${uses}`,
  'b.cts': `${head}
    import required = require('staykept')
    declare module 'staykept' { interface SessionData { visits?: number } }
    required({ secret: 'x' })
    required.session({ secret: 'x' })
    const error: required.SessionError | undefined = undefined
    export { error }
    ${uses}`,
}

const single: Files = {
  'a.ts': `${head}
    declare module 'staykept' { interface SessionData { cart?: string[]; visits?: number } }
    ${uses}`,
}

const express: Files = {
  'c.ts': `
    import express from 'express'
    import { session } from 'staykept'
    ${notAny}
    const app = express()
    app.use(session({ secret: 'x' }))
    app.get('/', session({ secret: 'x' }), async (req, res) => {
      known(req.session, true)
      known(req.session.id, true)
      await req.session.signIn('ada')
      // @ts-expect-error: a key that nobody declared
      req.session.other = 1
      res.json({ id: req.session.id })
    })`,
}

/** Every other entry, so that its types are found too. */
const subpaths: Files = {
  'd.ts': `
    import { testSessionStore } from 'staykept/conformance'
    import { memoryStore } from 'staykept/memory'
    import { sqliteStore } from 'staykept/sqlite'
    import { movableClock } from 'staykept/testing'
    ${notAny}
    known(testSessionStore, true)
    known(memoryStore, true)
    known(sqliteStore, true)
    known(movableClock, true)`,
}

async function compile(app: string, compiler: Compiler, kind: ModuleKind, files: Files) {
  const folder = await mkdtemp(join(app, 'program-'))
  const config = {
    compilerOptions: {
      ...modules[kind],
      target: 'es2022',
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      // Where only @types/node is installed, the declarations of the library are checked as well.
      skipLibCheck: app === withExpress,
      noEmit: true,
    },
  }
  await write(folder, { ...files, 'tsconfig.json': JSON.stringify(config) })
  const { code, stdout } = await run(process.execPath, [compilers[compiler], '--pretty', 'false'], {
    cwd: folder,
  })
  return { code, errors: stdout.trim() }
}

const fine = { code: 0, errors: '' }

describe.each(Object.keys(compilers) as Compiler[])('%s', (compiler) => {
  test.each(['node16', 'nodenext', 'bundler'] as const)(
    'module %s: SessionData merges from .cts and .mts, and req.session is typed without @types/express',
    async (kind) => {
      expect(await compile(plain, compiler, kind, { ...both, ...subpaths })).toEqual(fine)
    },
  )

  test.each(['node16', 'bundler'] as const)(
    'module %s: req.session is typed in Express handlers with @types/express',
    async (kind) => {
      expect(await compile(withExpress, compiler, kind, express)).toEqual(fine)
    },
  )
})

test('TypeScript 5.9 with the old node10 resolution finds every entry', async () => {
  expect(await compile(plain, 'TypeScript 5.9', 'node10', { ...single, ...subpaths })).toEqual(fine)
})

test('a key that a session has already is an error on the line that declares it', async () => {
  const declares = (key: string): string =>
    `import 'staykept'\ndeclare module 'staykept' { interface SessionData {\n${key}\n} }\n`
  const result = await compile(plain, 'TypeScript 7', 'nodenext', {
    'fine.mts': declares('user?: { name: string }'),
    'save.mts': declares('save?: string'),
    'id.cts': declares('id?: number'),
    'cookie.cts': declares("cookie?: 'oatmeal'"),
  })
  const lines = [...result.errors.matchAll(/^([\w.]+)\((\d+),/gm)].map(
    (match) => `${match[1]}:${match[2]}`,
  )
  expect([...new Set(lines)].sort()).toEqual(['cookie.cts:3', 'id.cts:3', 'save.mts:3'])
})
