import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as main from 'staykept'
import * as conformance from 'staykept/conformance'
import * as testing from 'staykept/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { entries } from '../scripts/entries.mjs'
import { dist } from './dist.js'
import { type Fence, fencesOf, headingsOf, linksOf, slugOf } from './markdown.js'
import { output, root, run } from './run.js'

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
  ...['docs', 'docs/stores'].flatMap(listed).filter((name) => name.endsWith('.md')),
  ...listed('decisions'),
]
const fences = pages.flatMap((page) => fencesOf(page, read(page)))

let folder: string

/** A project of a reader: the built library and what the pages import beside it. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'staykept-docs-'))
  await dist()
  await mkdir(join(folder, 'node_modules'))
  await symlink(root, join(folder, 'node_modules/staykept'))
  // All that is installed here, for the clients of the stores.
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name === 'staykept' || name.startsWith('.')) continue
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  }
})

afterAll(() => rm(folder, { recursive: true, force: true }))

test('every TypeScript snippet compiles, strictly, against the published types', async () => {
  const modules = fences.filter(({ language }) => language === 'ts')
  expect(modules.length).toBeGreaterThan(10)
  const project = join(folder, 'types')
  await mkdir(project)
  for (const [index, fence] of modules.entries()) {
    await writeFile(join(project, fileOf(fence, index)), `${fence.text}\nexport {}\n`)
  }
  await writeFile(join(project, 'around.d.ts'), AROUND)
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: STRICT }))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { stdout } = await run(process.execPath, [tsc, '-p', project])
  const places = modules.map((fence, index) => `${fileOf(fence, index)} is ${placeOf(fence)}`)
  expect(stdout, places.join('\n')).toBe('')
})

describe('snippets that run', () => {
  for (const fence of fences.filter(({ info }) => info === 'js run')) {
    test(`${placeOf(fence)} runs to its end`, async () => {
      const file = join(folder, `run-${fence.page.replaceAll('/', '-')}-${fence.line}.mjs`)
      await writeFile(file, fence.text)
      await output(process.execPath, [file], { cwd: folder, timeout: 20_000 })
    })
  }

  test('the dozen lines of the README answer with the cookie that it shows', async () => {
    const [fence] = fences.filter(({ info }) => info === 'js serve')
    const port = await freePort()
    await writeFile(join(folder, 'serve.mjs'), String(fence?.text).replace('3000', String(port)))
    const child = spawn(process.execPath, ['serve.mjs'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    onTestFinished(() => void child.kill())
    await new Promise((resolve) => child.stdout.once('data', resolve))

    const url = `http://localhost:${port}/`
    const first = await fetch(url)
    expect(await first.text()).toBe('Visit number 1')
    const shown = read('README.md')
    const [line = ''] = first.headers.getSetCookie()
    expect(shape(line)).toBe(shape(/^Set-Cookie: (.*)$/m.exec(shown)?.[1] ?? ''))
    expect(first.headers.get('cache-control')).toBe(/^Cache-Control: (.*)$/m.exec(shown)?.[1])
    const cookie = line.split(';')[0] ?? ''
    expect(await (await fetch(url, { headers: { cookie } })).text()).toBe('Visit number 2')
  })
})

test('the store of docs/writing-a-store.md passes the kit', async () => {
  const fence = fences.find(({ info }) => info === 'ts store')
  const file = join(folder, 'map-store.ts')
  await writeFile(file, String(fence?.text))
  const { mapStore } = await import(file)
  const cases: [title: string, run: () => Promise<void>][] = []
  conformance.testSessionStore({
    test: (title, run) => cases.push([title, run]),
    open: () => mapStore(),
  })
  expect(cases.length).toBeGreaterThan(50)
  for (const [title, run] of cases) {
    await run().catch((error: unknown) => {
      throw new Error(title, { cause: error })
    })
  }
})

describe('links', () => {
  test.each(pages)('%s leads nowhere in vain', (page) => {
    const broken = linksOf(read(page)).filter((link) => {
      if (/^[a-z]+:/.test(link)) return false
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, target))) return true
      return anchor !== undefined && !headingsOf(read(target)).map(slugOf).includes(anchor)
    })
    expect(broken).toEqual([])
  })
})

describe('what the pages say is there', () => {
  const manifest = JSON.parse(read('package.json'))

  test('every npm command in them is a script of its package', () => {
    const missing = pages.flatMap((page) =>
      [...read(page).matchAll(/\bnpm (?:run ([\w:]+)|(start|test))(?: -w ([\w/-]+))?/g)]
        .filter(([, script, word, workspace]) => {
          const scripts = workspace
            ? JSON.parse(read(`${workspace}/package.json`)).scripts
            : manifest.scripts
          return scripts?.[script ?? word ?? ''] === undefined
        })
        .map(([command]) => `${page}: ${command}`),
    )
    expect(missing).toEqual([])
  })

  test.each(['README.md', 'docs/api.md'])(
    'every option of session() is in the tables of %s',
    (page) => {
      const rows = read(page)
        .split('\n')
        .filter((line) => line.startsWith('| `'))
        .join('\n')
      const names = [
        ...optionsOf('src/express/options.ts', 'SessionOptions'),
        ...optionsOf('src/express/cookie-options.ts', 'CookieCommon'),
        ...optionsOf('src/express/cookie-options.ts', 'SecureCookie'),
      ]
      expect(names.length).toBeGreaterThan(20)
      const missing = names.filter(
        (name) => name !== 'cookie' && !new RegExp(`[\`.]${name}\``).test(rows),
      )
      expect(missing).toEqual([])
    },
  )

  test('every export, method and event is in docs/api.md', () => {
    const page = read('docs/api.md')
    const sessions = main.session({ secret: 'x'.repeat(32) })
    const names = [
      ...[main, conformance, testing].flatMap((entry) => Object.keys(entry)),
      ...Object.keys(sessions),
      ...membersOf('src/core/session.ts', 'SessionMethods'),
      ...membersOf('src/core/session.ts', 'SessionInfo'),
      ...membersOf('src/core/events.ts', 'SessionEvents'),
      ...optionsOf('src/conformance.ts', 'ConformanceOptions'),
      ...membersOf('src/testing/faulty-store.ts', 'FaultyStore'),
      ...membersOf('src/testing/gated-store.ts', 'GatedStore'),
    ].filter((name) => name !== 'default')
    expect(names.length).toBeGreaterThan(60)
    expect([...new Set(names)].filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual(
      [],
    )
  })

  const stores = entries().filter(({ module }) => module.startsWith('stores/'))

  test.each(stores)(
    'every option of $name is on its page, under the headings of all stores',
    ({ module }) => {
      const page = read(`docs/${module}.md`)
      const source = read(`src/${module}.ts`)
      const names = [...source.matchAll(/^export interface (\w*Options)\b/gm)].flatMap(([, name]) =>
        optionsOf(`src/${module}.ts`, name as string),
      )
      expect(names.length).toBeGreaterThan(0)
      expect([...new Set(names)].filter((name) => !page.includes(`\`${name}\``))).toEqual([])
      expect(headingsOf(page)).toEqual(
        expect.arrayContaining([
          ...['What it needs', 'The dozen lines', 'What is durable when'],
          ...['How to look inside', 'How to clean up', 'How fast', 'Options'],
        ]),
      )
    },
  )

  test('the README is short enough to be read', () => {
    expect(read('README.md').split('\n').length).toBeLessThanOrEqual(240)
  })

  test('every decision has its four parts and fits on a page', () => {
    for (const page of listed('decisions')) {
      const parts = ['Context', 'Alternatives weighed', 'Evidence', 'When to revisit']
      expect(
        headingsOf(read(page)).filter((heading) => parts.includes(heading)),
        page,
      ).toEqual(parts)
      expect(read(page).trimEnd().split('\n').length, page).toBeLessThanOrEqual(60)
    }
  })
})

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

function listed(path: string): string[] {
  return readdirSync(join(root, path)).map((name) => `${path}/${name}`)
}

/** The store of docs/writing-a-store.md is a file that its test imports. */
function fileOf({ info }: Fence, index: number): string {
  return info === 'ts store' ? 'map-store.ts' : `snippet-${index}.ts`
}

function placeOf({ page, line }: Fence): string {
  return `${page}:${line}`
}

/** A Set-Cookie line with random values replaced by their lengths. */
function shape(line: string): string {
  return line.replaceAll(/[\w-]{20,}/g, (value) => `(${value.length})`)
}

function membersOf(path: string, name: string): string[] {
  const body = new RegExp(`interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(read(path))?.[1]
  return [...(body ?? '').matchAll(/^ {2}(?:readonly |get )?(\w+)[?<(:]/gm)].map(
    ([, member]) => member ?? '',
  )
}

const optionsOf = membersOf

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = http.createServer().listen(0, () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

const STRICT = {
  target: 'es2023',
  lib: ['es2023'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  noEmit: true,
}

/** What stands around the snippets of a page: the application that they are lines of. */
const AROUND = `
import type { Express, Request, Response } from 'express'
import type { Server } from 'node:http'
import type { Sessions, SessionStore } from 'staykept'
import type { Authenticator } from 'passport'

declare global {
  const app: Express
  const req: Request
  const res: Response
  const server: Server
  const sessions: Sessions
  const secret: string
  const user: { id: number; name: string }
  const passport: Authenticator
  function session(options: import('staykept').SessionOptions): Sessions
  function checkPassword(form: unknown): Promise<{ id: number; name: string }>
  function freshTable(): Promise<{ store(): SessionStore; drop(): Promise<void> }>
}
`
