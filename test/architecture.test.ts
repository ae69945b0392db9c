import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { entries } from '../scripts/entries.mjs'
import { root } from './run.js'
import { importsOf, sources, withoutComments } from './sources.js'

const all = sources()

/** What each part may import. The first rule that fits a file is its rule. */
const rules: readonly { of: RegExp; may: RegExp }[] = [
  { of: /^core\//, may: /^(core\/|node:crypto$)/ },
  // What stores for SQL have in common is no store: it may be imported by some, and imports none.
  { of: /^stores\/sql\//, may: /^(core\/(store|errors)$|stores\/sql\/)/ },
  // Never another store, and never a client library: those are handed in.
  ...all
    .flatMap(({ path }) => /^stores\/(\w+)$/.exec(path)?.[1] ?? [])
    .map((name) => ({
      of: new RegExp(`^stores/${name}(/|$)`),
      may: new RegExp(
        `^(core/(store|errors)$|stores/(sql|${name})/|node:(crypto|fs|module|path|sqlite)$)`,
      ),
    })),
  { of: /^conformance(\/|$)/, may: /^(conformance\/|core\/(store|errors)$|node:assert(\/|$))/ },
  {
    of: /^testing(\/|$)/,
    may: /^(testing\/|conformance\/random$|core\/(store|errors)$)/,
  },
  { of: /^express\//, may: /^(express\/|core\/|node:(http|net|events|crypto)$)/ },
  { of: /^index$/, may: /^(core\/|express\/|stores\/memory$)/ },
]

describe('imports', () => {
  test.each(all.map((source) => [source.path, source] as const))(
    '%s keeps to its part',
    (_, source) => {
      const rule = rules.find(({ of }) => of.test(source.path))
      expect(rule, 'a new part of src needs a rule here').toBeDefined()
      expect(source.imports.filter((name) => !rule?.may.test(name))).toEqual([])
    },
  )

  test('only index.ts knows the Express part', () => {
    const knowing = all.filter(
      ({ path, imports }) =>
        !path.startsWith('express/') && imports.some((name) => name.startsWith('express/')),
    )
    expect(knowing.map(({ path }) => path)).toEqual(['index'])
  })

  test('name files that exist', () => {
    const paths = new Set(all.map(({ path }) => path))
    const missing = all.flatMap(({ path, imports }) =>
      imports
        .filter(
          (name) => /^(core|stores|express|conformance|testing)\//.test(name) && !paths.has(name),
        )
        .map((name) => `${path} → ${name}`),
    )
    expect(missing).toEqual([])
  })

  test('form no circle, types included', () => {
    expect(circles(new Map(all.map(({ path, imports }) => [path, imports])))).toEqual([])
  })
})

describe('files', () => {
  test('none is called types or utils: a type lives with the idea it belongs to', () => {
    const vague = /(^|\/)(types?|utils?|helpers?|common|misc)$/
    expect(all.map(({ path }) => path).filter((path) => vague.test(path))).toEqual([])
  })

  test('none is longer than 300 lines, unless a decision record names it', () => {
    const decisions = texts('decisions')
    const long = all.filter(
      ({ path, lines }) =>
        lines > 300 && !decisions.some((text) => text.includes(`src/${path}.ts`)),
    )
    expect(long.map(({ path, lines }) => `${path}: ${lines} lines`)).toEqual([])
  })
})

describe('entries', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

  const files = (name: string) => ({
    import: { types: `./dist/${name}.d.mts`, default: `./dist/${name}.mjs` },
    require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
  })

  test('package.json exports what stands at the top of src and in src/stores, without naming it', () => {
    expect(manifest.exports).toEqual({
      '.': files('index'),
      './*': files('*'),
      './package.json': './package.json',
    })
  })

  test('each but the main one can be found by the old resolution of TypeScript', () => {
    expect(manifest.typesVersions).toEqual({ '*': { '*': ['./dist/*.d.cts', './*'] } })
  })

  test('each has a heading in docs/api.md, or a page of its own if it is a store', () => {
    for (const { name, module } of entries()) {
      const page = module.startsWith('stores/') ? `docs/${module}.md` : 'docs/api.md'
      const headings = headingsOf(page)
      const imported = name === 'index' ? 'staykept' : `staykept/${name}`
      expect(
        headings.some((heading) => heading.split(/[\s`:,]+/).includes(imported)),
        imported,
      ).toBe(true)
    }
  })
})

test('every error and warning code of the source is a heading of docs/errors.md, and no other is', () => {
  const code = /\b(?:ERR|WARN)_SESSION(?:_[A-Z]+)+\b/g
  const used = new Set(all.flatMap(({ text }) => withoutComments(text).match(code) ?? []))
  const told = headingsOf('docs/errors.md').flatMap((heading) => heading.match(code) ?? [])
  expect([...told].sort()).toEqual([...used].sort())
})

test('these checks see every form of import, and a circle through types', () => {
  const text = [
    "import type { A } from './a.js'",
    'import {',
    '  b,',
    "} from './b.js'",
    "import './c.js'",
    "export * from './d.js'",
    "export type { E } from './e.js'",
    "// import { no } from './no.js'",
    "type F = import('./f.js').F",
    "const g = require('g')",
    "const url = 'http://h/h.js'",
  ]
  expect(importsOf(text.join('\n'))).toEqual([
    ...['./a.js', './b.js', './c.js', './d.js', './e.js'],
    ...['./f.js', 'g'],
  ])
  const graph = { a: ['b'], b: ['c'], c: ['b'], d: ['a'] }
  expect(circles(new Map(Object.entries(graph)))).toEqual(['b → c → b'])
})

/** Each circle of a graph once, as the path that closes it. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = []
  const done = new Set<string>()

  function visit(path: string, trail: readonly string[]): void {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
      return
    }
    if (done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }

  for (const path of graph.keys()) visit(path, [])
  return found
}

function texts(folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder)).map((name) =>
    readFileSync(join(root, folder, name), 'utf8'),
  )
}

function headingsOf(path: string): string[] {
  return readFileSync(join(root, path), 'utf8').match(/^#+ .*$/gm) ?? []
}
